/**
 * What `opencmq dev` can be told while it runs, one command a line: `start 2`, `stop 2`, `kill 2`, `quit` by a person,
 * `{"command":"kill","node":2}` by a program. And when its stdin is a place from which commands come.
 */
import { spawnSync } from "node:child_process"
import { fstatSync, readFileSync } from "node:fs"

export type DevCommand =
  | { readonly name: "start" | "stop" | "kill"; readonly node: number }
  | { readonly name: "quit" }
  | { readonly name: "refused"; readonly reason: string }

/** The words, also as JSON's `command`; `shutdown` is `quit`. */
export function parseDevCommand(line: string, isJson: boolean): DevCommand {
  const { word, node } = isJson ? jsonWords(line) : plainWords(line)
  if (word === "quit" || word === "shutdown") return { name: "quit" }
  if (word === "start" || word === "stop" || word === "kill") {
    if (typeof node === "number") return { name: word, node }
    return { name: "refused", reason: `${word}: which node?` }
  }
  const known = isJson ? `{"command":"start"|"stop"|"kill","node":1} and {"command":"shutdown"}` : PLAIN_COMMANDS
  return { name: "refused", reason: `not a command: ${line.slice(0, SHOWN_MAX)}; commands: ${known}` }
}

const SHOWN_MAX = 200
const PLAIN_COMMANDS = "start 2, stop 2, kill 2, quit"

interface Words {
  readonly word: unknown
  readonly node: unknown
}

function jsonWords(line: string): Words {
  try {
    const value = JSON.parse(line) as { readonly command?: unknown; readonly node?: unknown } | null
    return { word: value?.command, node: value?.node }
  } catch {
    return { word: undefined, node: undefined }
  }
}

function plainWords(line: string): Words {
  const [word, node, ...more] = line.trim().split(/\s+/)
  if (more.length > 0) return { word: undefined, node: undefined }
  return { word, node: node !== undefined && /^\d{1,5}$/.test(node) ? Number(node) : undefined }
}

/** Whether stdin is somebody's end of a pipe, so that its end says that somebody is gone; /dev/null says nothing. */
export function isStdinPipe(): boolean {
  try {
    const stats = fstatSync(0)
    return stats.isFIFO() || stats.isSocket()
  } catch {
    return false
  }
}

/** Whether this process may read the terminal: one in the background (`npm start &`) is stopped when it tries. */
export function isForeground(): boolean {
  const [group, foreground] = terminalGroups()
  return group === foreground
}

/** The process group of this process, and the one that has the terminal. */
function terminalGroups(): readonly [string | undefined, string | undefined] {
  try {
    // Behind the name, which may contain anything: state, parent, group, session, terminal, group of the terminal.
    const [, , group, , , foreground] = readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
    return [group, foreground]
  } catch {
    // Not Linux.
    const asked = spawnSync("ps", ["-o", "pgid=,tpgid=", "-p", String(process.pid)], { encoding: "utf8" })
    const [group, foreground] = asked.error === undefined ? asked.stdout.trim().split(/\s+/) : []
    return [group, foreground]
  }
}
