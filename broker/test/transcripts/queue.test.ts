// Whole stories of the queue machine, as text that is reviewed like prose. Each file in queue/ is a list of
//
//     command
//     ----
//     what came of it, one or more lines
//
// with comments (#) and blank lines between. `UPDATE=1 npx vitest run broker/test/transcripts` writes what comes of the
// commands now; the diff is then read, not trusted. The commands are in queue/story-teller.ts.
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { StoryTeller } from "./queue/story-teller.ts"

const folder = join(import.meta.dirname, "queue")
const files = readdirSync(folder).filter((name) => name.endsWith(".txt"))
const isUpdate = process.env["UPDATE"] === "1"

describe("transcripts of the queue machine", () => {
  test("there are at least twenty stories", () => {
    expect(files.length).toBeGreaterThanOrEqual(20)
  })

  test.each(files)("%s", (name) => {
    const path = join(folder, name)
    const written = readFileSync(path, "utf8")
    const told = retell(written)
    if (isUpdate) writeFileSync(path, told)
    else expect(told).toBe(written)
  })
})

/** The same commands and comments, with what comes of them now. */
function retell(text: string): string {
  const teller = new StoryTeller()
  const lines = text.trimEnd().split("\n")
  const out: string[] = []
  let isOutcome = false
  lines.forEach((line, index) => {
    if (line === "----") return
    const isCommand = lines[index + 1] === "----"
    if (isCommand) {
      out.push(line, "----", ...teller.tell(line))
      isOutcome = true
    } else if (line === "" || line.startsWith("#")) {
      isOutcome = false
      out.push(line)
    } else if (!isOutcome) throw new Error(`line ${String(index + 1)} is neither command, comment nor outcome`)
  })
  return `${out.join("\n")}\n`
}
