/**
 * The log of a node: one JSON object a line, or coloured text on a terminal; always on stderr, because stdout belongs
 * to the commands. Bodies and secrets never reach it: they are hidden by name, and byte arrays are shown by length.
 */
import { pino, type DestinationStream, type Logger as Pino } from "pino"
import type { Logger } from "../../ports.ts"

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent"
/** `auto`: text on a terminal, else JSON. */
export type LogFormat = "auto" | "json" | "pretty"

export interface PinoLoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** In every line: `node`, `setId`, ... */
  readonly fields: Readonly<Record<string, unknown>>
  /** In every line as they are then: `term`. */
  readonly live?: () => Readonly<Record<string, unknown>>
  /** Where lines go instead of stderr; never a terminal. */
  readonly destination?: DestinationStream
}

/** A logger that can make others with more fixed fields. */
export interface RootLogger extends Logger {
  child(fields: Readonly<Record<string, unknown>>): RootLogger
}

const NOTHING = (): Readonly<Record<string, unknown>> => ({})

/** Names of fields that are never shown, at the top and one level down. */
const HIDDEN = [
  "authorization",
  "body",
  "msgBody",
  "password",
  "peerSecret",
  "secret",
  "secretKey",
  "signature",
  "token",
] as const

export async function createPinoLogger(options: PinoLoggerOptions): Promise<RootLogger> {
  const { level, format, fields, live = NOTHING, destination } = options
  const isTerminal = destination === undefined && process.stderr.isTTY
  const isPretty = format === "pretty" || (format === "auto" && isTerminal)
  const plain = destination ?? pino.destination({ dest: 2, sync: true })
  const stream = isPretty ? await prettyStream(plain, isTerminal) : plain
  const instance = pino(
    {
      level,
      base: fields,
      mixin: () => ({ ...live() }),
      // What a line says for itself goes before what holds for all of them.
      mixinMergeStrategy: (line, common) => ({ ...common, ...line }),
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: HIDDEN.flatMap((name) => [name, `*.${name}`]), censor: "[hidden]" },
      formatters: { level: (label) => ({ level: label }), log: shown },
    },
    stream,
  )
  return new PinoLogger(instance)
}

/** Formats line by line and at once: nothing is lost when the process ends on the next line. Loaded only where it is used. */
async function prettyStream(stream: DestinationStream, colorize: boolean): Promise<DestinationStream> {
  const { prettyFactory } = await import("pino-pretty")
  const format = prettyFactory({ colorize, singleLine: true, translateTime: "SYS:HH:MM:ss.l" })
  return {
    write: (line) => {
      stream.write(format(line))
    },
  }
}

/** Byte arrays by length, errors by what they say. */
function shown(fields: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Uint8Array) result[name] = `<${String(value.length)} bytes>`
    else if (value instanceof Error) result[name] = shownError(value)
    else result[name] = value
  }
  return result
}

function shownError(error: Error): Record<string, unknown> {
  const { message, stack } = error
  const code = (error as NodeJS.ErrnoException).code
  const cause = error.cause instanceof Error ? shownError(error.cause) : error.cause
  return { message, ...(code === undefined ? {} : { code }), ...(cause === undefined ? {} : { cause }), stack }
}

class PinoLogger implements RootLogger {
  readonly #pino: Pino

  constructor(instance: Pino) {
    this.#pino = instance
  }

  debug(fields: Readonly<Record<string, unknown>>, text: string): void {
    this.#pino.debug(fields, text)
  }

  info(fields: Readonly<Record<string, unknown>>, text: string): void {
    this.#pino.info(fields, text)
  }

  warn(fields: Readonly<Record<string, unknown>>, text: string): void {
    this.#pino.warn(fields, text)
  }

  error(fields: Readonly<Record<string, unknown>>, text: string): void {
    this.#pino.error(fields, text)
  }

  child(fields: Readonly<Record<string, unknown>>): RootLogger {
    return new PinoLogger(this.#pino.child(fields))
  }
}
