// Writes docs/options.md from the options table. Run: node --conditions=source --import tsx tools/render-options.mjs
import { writeFileSync } from "node:fs"
import { optionsPage } from "../broker/src/cli/options-page.ts"

writeFileSync(new URL("../docs/options.md", import.meta.url), optionsPage())
