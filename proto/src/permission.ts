/**
 * Permissions of key pairs: `ROLE:KIND:PATTERN`, as `send:queue:orders-*`, `administer:topic:news`, `peek:cluster`.
 *
 * A pattern is a name in which `*` stands for any run of characters, also an empty one. Names are compared exactly.
 */

/** What a key may do to one kind of thing. */
export const PERMISSION_ROLES = {
  queue: ["send", "receive", "peek", "administer"],
  /** `send` publishes; `peek` looks at subscriptions. */
  topic: ["send", "peek", "administer"],
  /** `peek` is GetClusterStatus, `administer` the key pairs themselves: who has it may make a key that may do everything. */
  cluster: ["peek", "administer"],
} as const

export type PermissionKind = keyof typeof PERMISSION_ROLES
export type PermissionRole = (typeof PERMISSION_ROLES)[PermissionKind][number]

/** One permission, read. */
export type Permission = Readonly<{
  role: PermissionRole
  kind: PermissionKind
  /** "" for the cluster, of which there is one. */
  pattern: string
}>

const PATTERN = /^[A-Za-z*][A-Za-z0-9_*-]{0,63}$/
const ARGUMENT_LENGTH_MAX = 100

/** @returns what the text says, or undefined when it is none; the refusal is then `permissionInvalid`. */
export function parsePermission(text: string): Permission | undefined {
  if (text.length > ARGUMENT_LENGTH_MAX) return undefined
  const [role, kind, pattern, ...rest] = text.split(":")
  if (rest.length > 0 || !isKind(kind) || !isRole(kind, role)) return undefined
  if (kind === "cluster") return pattern === undefined ? { role, kind, pattern: "" } : undefined
  return pattern !== undefined && PATTERN.test(pattern) ? { role, kind, pattern } : undefined
}

function isKind(word: string | undefined): word is PermissionKind {
  return word !== undefined && Object.hasOwn(PERMISSION_ROLES, word)
}

function isRole(kind: PermissionKind, word: string | undefined): word is PermissionRole {
  return (PERMISSION_ROLES[kind] as readonly (string | undefined)[]).includes(word)
}

/** Whether a pattern stands for a name. At most length of pattern times length of name steps, 64 each. */
export function matchesName(pattern: string, name: string): boolean {
  let at = 0
  let star = -1
  let starredAt = 0
  let next = 0
  while (at < name.length) {
    if (pattern[next] === "*") {
      star = next++
      starredAt = at
    } else if (pattern[next] === name[at]) {
      next++
      at++
    } else if (star >= 0) {
      // The last star takes one more character, and the rest of the pattern is tried again.
      next = star + 1
      at = ++starredAt
    } else return false
  }
  while (pattern[next] === "*") next++
  return next === pattern.length
}
