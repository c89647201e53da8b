/**
 * A transcript: comments, commands, and below each command, behind `----`, exactly what it printed. A blank line ends it.
 *
 * Format of our own; the idea is etcd's testdata. Written by hand up to `----`, the rest by `UPDATE=1`, and read in the diff.
 */
export interface StoryStep {
  /** Comment and blank lines above the command. */
  readonly preamble: readonly string[]
  readonly command: string
  readonly output: readonly string[]
}

export function parseStory(source: string): readonly StoryStep[] {
  const steps: StoryStep[] = []
  const lines = source.split("\n")
  let preamble: string[] = []
  for (let place = 0; place < lines.length; place++) {
    const line = lines[place] ?? ""
    if (line === "" || line.startsWith("#")) {
      preamble.push(line)
      continue
    }
    const output: string[] = []
    if (lines[place + 1] === "----") {
      place++
      while (place + 1 < lines.length && lines[place + 1] !== "") output.push(lines[++place] ?? "")
    }
    steps.push({ preamble, command: line, output })
    preamble = []
  }
  return steps
}

export function renderStory(steps: readonly StoryStep[]): string {
  const lines = steps.flatMap(({ preamble, command, output }) => {
    const above = preamble[0] === "" ? preamble : ["", ...preamble]
    return [...above, command, "----", ...output]
  })
  return `${lines.join("\n").trim()}\n`
}
