/** Lists by pages, the same for everything that has a name. A token is the number of rows that were shown. */
import { LIMITS, parseInteger } from "@opencmq/proto"
import type { LimitRow } from "@opencmq/proto"
import type { Field, FieldReader } from "./field-reader.ts"
import type { WireListRequest } from "./wire-types.ts"

/** What of a list is asked for. */
export interface ListPage {
  readonly searchWord: string
  readonly offset: number
  readonly limit: number
}

/** Checks the three fields of a list request. What is created or deleted meanwhile may move a row across pages. */
export function readListPage(fields: FieldReader, request: WireListRequest): ListPage {
  const { nameContains, pageToken } = request
  if (nameContains.length > LIMITS.searchWordLength.max) fields.refuse("parameterOutOfRange", "name_contains")
  const limit = countOrDefault(fields, { field: "page_size", value: request.pageSize }, LIMITS.listLimitCount)
  const offset = pageToken === "" ? LIMITS.listOffset.default : parseInteger(pageToken)
  if (offset === undefined) fields.refuse("parameterTypeError", "page_token")
  else fields.count({ field: "page_token", value: offset }, LIMITS.listOffset)
  return { searchWord: nameContains, offset: offset ?? 0, limit }
}

/** 0 = the limit's own default, or 1. */
export function countOrDefault(fields: FieldReader, given: Field, limit: LimitRow): number {
  return given.value === 0 ? (limit.default ?? 1) : fields.count(given, limit)
}

/** `total_count` and `next_page_token` of the answer. */
export function pageFacts(page: ListPage, totalCount: number, shownCount: number): object {
  const next = page.offset + shownCount
  const isMore = shownCount > 0 && next < totalCount
  return { totalCount, ...(isMore && { nextPageToken: String(next) }) }
}
