/**
 * Assertions: how the core speaks about its own bugs.
 *
 * A failed assertion is never caught. The process ends with the stack, the supervisor restarts it and the log is
 * replayed (ADR 0007). What the world or a client does wrong is not a bug: it is refused with data.
 */

/** A statement about the program turned out to be false. The only error that `core/` ever throws. */
export class AssertionFailed extends Error {
  override readonly name = "AssertionFailed"
}

/**
 * States what must hold here. Narrows types like a guard.
 *
 * The message says what was expected, in words; keep it constant where the call is frequent.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message)
}

/** Ends a `switch` over a union: compiles only when every case was treated. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable case: ${JSON.stringify(value)}`)
}
