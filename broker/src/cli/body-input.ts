/** The body of a message: from the command line, a file or stdin. */
import { readFile } from "node:fs/promises"
import { CliFailure } from "./failure.ts"
import type { Terminal } from "./terminal.ts"

/** @throws CliFailure for two bodies, or a file that cannot be read. */
export async function bodyOf(
  terminal: Terminal,
  body: string | undefined,
  file: string | undefined,
): Promise<string | Buffer> {
  if (body !== undefined && file !== undefined) {
    throw new CliFailure("usage", "a body and --file: which of them?", "give one of the two")
  }
  if (body !== undefined) return body
  if (file !== undefined) {
    try {
      return await readFile(file)
    } catch (cause) {
      throw new CliFailure("usage", `--file ${file} cannot be read: ${cause instanceof Error ? cause.message : "?"}`)
    }
  }
  if (terminal.stdin.isTTY) terminal.note("reading the body from the keyboard; Ctrl-D ends it")
  const chunks: Buffer[] = []
  for await (const chunk of terminal.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
