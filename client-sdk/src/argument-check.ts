/**
 * Mistakes in the calling program: what has the wrong type is a `TypeError`, an option outside its range a
 * `RangeError`, each with what is wanted and what was given. TypeScript finds most of them; JavaScript and `any` do not.
 *
 * A value of the right type that no broker would take (a queue name, an endpoint, the text of a body) may have come
 * from a user and is `argumentInvalid`, see `cmq-error.ts`.
 */

/** @param given - shown by its type only: it may be half a secret. */
export function typeError(name: string, wanted: string, given: unknown): TypeError {
  return new TypeError(`${name} must be ${wanted}; given was ${kindOf(given)}`)
}

/** @throws TypeError unless it is a string. */
export function checkString(name: string, given: unknown): void {
  if (typeof given !== "string") throw typeError(name, "a string", given)
}

/** @throws TypeError unless it is an array. */
export function checkArray(name: string, given: unknown): void {
  if (!Array.isArray(given)) throw typeError(name, "an array", given)
}

/** @throws TypeError unless it is an object with options, for which an array and a function do not count. */
export function checkOptions(name: string, given: unknown): void {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw typeError(name, "an object", given)
  }
}

/** @throws RangeError unless the value is a whole number within the range; TypeError unless it is a number at all. */
export function checkRange(name: string, given: unknown, range: Readonly<{ min: number; max: number }>): void {
  const wanted = `a whole number from ${String(range.min)} to ${String(range.max)}`
  if (typeof given !== "number") throw typeError(name, wanted, given)
  if (Number.isInteger(given) && given >= range.min && given <= range.max) return
  throw new RangeError(`${name} must be ${wanted}; given was ${String(given)}`)
}

function kindOf(given: unknown): string {
  if (given === undefined || given === null) return String(given)
  if (Array.isArray(given)) return "an array"
  return typeof given === "object" ? "an object" : `a ${typeof given}`
}
