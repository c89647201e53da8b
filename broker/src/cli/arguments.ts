/**
 * Reads what users write: times with units, sizes, counts, pairs. A wrong one is a usage error that says what is right.
 */
import { isWithin } from "@opencmq/proto"
import { InvalidArgumentError } from "commander"

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const
const BYTES = { "": 1, k: 1_024, m: 1_048_576 } as const

type Range = Readonly<{ min: number; max: number }>

/** A reader of times: `30`, `30s`, `5m`, `12h`, `4d`; whole seconds within the range. */
export function secondsWithin(range: Range): (text: string) => number {
  return (text) => {
    const match = /^(\d{1,10})(s|m|h|d)?$/.exec(text)
    const seconds = match === null ? NaN : Number(match[1]) * SECONDS[(match[2] ?? "s") as keyof typeof SECONDS]
    if (isWithin(range, seconds)) return seconds
    throw new InvalidArgumentError(
      `A time from ${timeText(range.min)} to ${timeText(range.max)} is allowed, as 30s, 5m, 12h or 4d.`,
    )
  }
}

/** A reader of moments in the past: `10m` (so long ago), `2026-08-01T12:00:00Z`, Unix seconds. */
export function momentBefore(nowMs: number): (text: string) => Date {
  return (text) => {
    const ago = /^(\d{1,9})(s|m|h|d)$/.exec(text)
    if (ago !== null) return new Date(nowMs - Number(ago[1]) * SECONDS[ago[2] as keyof typeof SECONDS] * 1_000)
    const moment = /^\d{9,10}$/.test(text) ? new Date(Number(text) * 1_000) : new Date(text)
    if (moment.getTime() >= 0 && moment.getTime() <= nowMs) return moment
    throw new InvalidArgumentError(
      "A time in the past is expected, as 10m (ago), 2026-08-01T12:00:00Z or Unix seconds.",
    )
  }
}

/** A reader of sizes: `4096`, `64KiB`, `1MiB`. */
export function bytesWithin(range: Range): (text: string) => number {
  return (text) => {
    const match = /^(\d{1,12})(?:([km])(?:i?b)?)?$/i.exec(text)
    const unit = (match?.[2] ?? "").toLowerCase() as keyof typeof BYTES
    const bytes = match === null ? NaN : Number(match[1]) * BYTES[unit]
    if (isWithin(range, bytes)) return bytes
    throw new InvalidArgumentError(
      `A size from ${String(range.min)} to ${String(range.max)} bytes is allowed, as 4096, 64KiB or 1MiB.`,
    )
  }
}

/** A reader of whole numbers. */
export function countWithin(range: Range): (text: string) => number {
  return (text) => {
    const count = /^\d{1,16}$/.test(text) ? Number(text) : NaN
    if (isWithin(range, count)) return count
    throw new InvalidArgumentError(`A whole number from ${String(range.min)} to ${String(range.max)} is allowed.`)
  }
}

/** Collects `name=value`, for an option that may be given several times. */
export function collectPair(text: string, collected: ReadonlyMap<string, string> | undefined): Map<string, string> {
  const at = text.indexOf("=")
  if (at < 1) throw new InvalidArgumentError("A name and a value are expected, as colour=red.")
  return new Map([...(collected ?? []), [text.slice(0, at), text.slice(at + 1)]])
}

/** Collects a list, for an option that may be given several times, or once with commas. */
export function collectList(text: string, collected: readonly string[] | undefined): string[] {
  return [...(collected ?? []), ...listOf(text)]
}

export function listOf(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")
}

/** Seconds as the shortest text that says the same: `90s`, `5m`, `4d`. */
export function timeText(seconds: number): string {
  for (const unit of ["d", "h", "m"] as const) {
    if (seconds !== 0 && seconds % SECONDS[unit] === 0) return `${String(seconds / SECONDS[unit])}${unit}`
  }
  return `${String(seconds)}s`
}

/** How long ago, roughly: `now`, `42s`, `3m`, `5h`, `2d`. */
export function ageText(since: Date | undefined, nowMs: number): string {
  if (since === undefined) return "-"
  const seconds = Math.max(0, Math.floor((nowMs - since.getTime()) / 1_000))
  if (seconds < 1) return "now"
  if (seconds < 60) return `${String(seconds)}s`
  if (seconds < 3_600) return `${String(Math.floor(seconds / 60))}m`
  if (seconds < 86_400) return `${String(Math.floor(seconds / 3_600))}h`
  return `${String(Math.floor(seconds / 86_400))}d`
}
