// Stories of the Raft core, as text. `UPDATE=1 npx vitest run broker/test/transcripts/raft.test.ts` writes what happens; read the diff.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { parseStory, renderStory } from "./raft/story-file.ts"
import { StoryWorld } from "./raft/story-world.ts"

const FOLDER = fileURLToPath(new URL("./raft/", import.meta.url))
const FILES = readdirSync(FOLDER).filter((file) => file.endsWith(".txt"))

test("there are enough stories", () => {
  expect(FILES.length).toBeGreaterThanOrEqual(20)
})

test.each(FILES)("%s", (file) => {
  const source = readFileSync(`${FOLDER}${file}`, "utf8")
  const world = new StoryWorld()
  const actual = renderStory(parseStory(source).map((step) => ({ ...step, output: world.run(step.command) })))
  if (process.env["UPDATE"] === "1") writeFileSync(`${FOLDER}${file}`, actual)
  else expect(actual).toBe(source)
})
