/**
 * What processes have used, from /proc: CPU time and resident memory. Linux only; elsewhere everything is undefined.
 */
import { readFileSync } from "node:fs"

/** Unit of the CPU times in /proc/<pid>/stat: Linux fixes USER_HZ at 100 on every architecture that Node runs on. */
const CLOCK_TICKS_PER_SECOND = 100
const KIB = 1_024

/** CPU time of a process since it started, all its threads, microseconds; undefined when there is no such process. */
export function cpuMicroseconds(pid: number): number | undefined {
  const text = tryRead(`/proc/${String(pid)}/stat`)
  if (text === undefined) return undefined
  // The second field is the program's name in brackets, and may hold blanks; fields are counted behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  const userTicks = Number(fields[11])
  const systemTicks = Number(fields[12])
  return ((userTicks + systemTicks) * 1_000_000) / CLOCK_TICKS_PER_SECOND
}

/** Resident memory now and at its peak, bytes; undefined when there is no such process. */
export function residentBytes(pid: number): { readonly now: number; readonly peak: number } | undefined {
  const text = tryRead(`/proc/${String(pid)}/status`)
  if (text === undefined) return undefined
  return { now: kibibytesOf(text, "VmRSS") * KIB, peak: kibibytesOf(text, "VmHWM") * KIB }
}

/** Load of the last minute: how many processes wanted a core. */
export function loadAverage(): number | undefined {
  const text = tryRead("/proc/loadavg")
  return text === undefined ? undefined : Number(text.split(" ")[0])
}

function kibibytesOf(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0)
}

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1")
  } catch {
    return undefined
  }
}
