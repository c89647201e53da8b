/**
 * CMQ's arrays: `name.0`, `name.1` … or `name.1`, `name.2` …, both legal, consecutive, in the order of the
 * numbers (`msgBody.10` comes after `msgBody.9`). Source: cmq-api.md §0.8.
 */
import { LIMITS } from "./limits.ts"
import { accept, refuse } from "./reading.ts"
import type { ParameterMap, Reading } from "./reading.ts"

/** Where an array of parameters lies. */
export type IndexRange = Readonly<{
  /** Number of the first element, 0 or 1. */
  base: number
  /** Elements, 0..16; 0 = the request has none. */
  count: number
}>

const INDEX_PATTERN = /^(?:0|[1-9]\d{0,8})$/

/**
 * Finds the elements `name.<n>` of a request, or `name.<n>.<field>` for any of the fields.
 *
 * Refusals: `parameterKeyFormat` (no plain number after the dot), `parameterBatchSize` (more than 16),
 * `parameterNotConsecutive` (a gap, or a first number other than 0 and 1). Cost: one look at each parameter's name.
 */
export function readIndexRange(params: ParameterMap, name: string, fields?: readonly string[]): Reading<IndexRange> {
  const prefix = `${name}.`
  const indexes = new Set<number>()
  for (const key of params.keys()) {
    if (!key.startsWith(prefix)) continue
    const index = indexOf(key.slice(prefix.length), fields)
    if (index === undefined) return refuse("parameterKeyFormat", key)
    indexes.add(index)
    if (indexes.size > LIMITS.batchCount.max) return refuse("parameterBatchSize", name)
  }
  const count = indexes.size
  if (count === 0) return accept({ base: 0, count })
  const base = indexes.has(0) ? 0 : 1
  for (let index = base; index < base + count; index++) {
    if (!indexes.has(index)) return refuse("parameterNotConsecutive", name)
  }
  return accept({ base, count })
}

function indexOf(rest: string, fields: readonly string[] | undefined): number | undefined {
  const dot = rest.indexOf(".")
  if ((dot === -1) !== (fields === undefined)) return undefined
  if (fields !== undefined && !fields.includes(rest.slice(dot + 1))) return undefined
  const digits = dot === -1 ? rest : rest.slice(0, dot)
  return INDEX_PATTERN.test(digits) ? Number(digits) : undefined
}
