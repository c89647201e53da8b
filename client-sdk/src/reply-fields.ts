/**
 * Reading the fields of a reply. A reply comes from outside: a field that is missing or of another type never throws,
 * it reads as empty.
 */

/** Fields of a reply, or of an object inside one. */
export type Fields = Readonly<Record<string, unknown>>

/** A text; numbers are written out, anything else is empty. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value
  return typeof value === "number" ? String(value) : ""
}

/** A number; anything else is 0. */
export function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0
}

/** Unix seconds as a `Date`; 0 or absent = the server does not say. */
export function timeOf(value: unknown): Date | undefined {
  return typeof value === "number" && value > 0 ? new Date(value * 1_000) : undefined
}

/** The objects of a list; anything else is an empty list. */
export function listOf(value: unknown): readonly Fields[] {
  if (!Array.isArray(value)) return []
  return (value as unknown[]).filter((each): each is Fields => typeof each === "object" && each !== null)
}
