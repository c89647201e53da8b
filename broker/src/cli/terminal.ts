/**
 * The terminal as the commands see it. Results go to stdout, everything else to stderr. Colour, questions and progress
 * exist only where a person looks: on a terminal, and without NO_COLOR.
 */
import { createInterface } from "node:readline/promises"
import picocolors from "picocolors"

export interface TerminalStreams {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly environment: Readonly<Record<string, string | undefined>>
}

export type Format = "table" | "json"

/** Makes the action of a command out of a function that gives an exit code. */
export type Act = <Args extends readonly unknown[]>(
  run: (terminal: Terminal, ...args: Args) => Promise<number>,
) => (...args: Args) => Promise<void>

export class Terminal {
  readonly environment: TerminalStreams["environment"]
  readonly stdin: NodeJS.ReadStream
  readonly #stdout: NodeJS.WriteStream
  readonly #stderr: NodeJS.WriteStream

  constructor(streams: TerminalStreams) {
    this.environment = streams.environment
    this.stdin = streams.stdin
    this.#stdout = streams.stdout
    this.#stderr = streams.stderr
  }

  /** Both ends of a conversation are a person. */
  get canAsk(): boolean {
    return this.stdin.isTTY && this.#stderr.isTTY
  }

  /** Somebody watches stderr. */
  get isWatched(): boolean {
    return this.#stderr.isTTY
  }

  get progressStream(): NodeJS.WriteStream {
    return this.#stderr
  }

  /** Colours of stdout; the identity where there are none. */
  get colors() {
    return picocolors.createColors(this.#stdout.isTTY && !this.environment["NO_COLOR"])
  }

  /** Somebody sees stdout as it comes: what is printed there can move the cursor. */
  get isStdoutTerminal(): boolean {
    return this.#stdout.isTTY
  }

  /** A line of the result. */
  print(text: string): void {
    this.#stdout.write(`${text}\n`)
  }

  /** A result for a program. */
  printJson(value: unknown): void {
    this.print(JSON.stringify(value, jsonValue, 2))
  }

  /** A line for a person, beside the result. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`)
  }

  async ask(question: string): Promise<string> {
    const lines = createInterface({ input: this.stdin, output: this.#stderr })
    try {
      return await lines.question(question)
    } finally {
      lines.close()
    }
  }
}

/** Maps as objects, bytes as base64. Dates are ISO texts by themselves. */
function jsonValue(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>)
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64")
  return value
}
