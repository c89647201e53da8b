/**
 * What reading a request gives: a value, or a refusal as data. Refusals are never thrown (code style 3.3).
 */
import type { ErrorName } from "./errors.ts"

/** A request that cannot be read: the row of the error table, and the arguments of its text. */
export type Refused = Readonly<{
  ok: false
  error: ErrorName
  /** For `errorText(error, ...args)`: mostly the parameter's name. */
  args: readonly (string | number)[]
}>

/** A value, or the reason why there is none. */
export type Reading<Value> = Readonly<{ ok: true; value: Value }> | Refused

/** Parameters of a request, decoded: name -> value. */
export type ParameterMap = ReadonlyMap<string, string>

/** A value that was read. */
export function accept<Value>(value: Value): Reading<Value> {
  return { ok: true, value }
}

/** A refusal with the arguments of its text. */
export function refuse(error: ErrorName, ...args: readonly (string | number)[]): Refused {
  return { ok: false, error, args }
}
