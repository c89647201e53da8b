/**
 * The use cases that look for messages, carried out on the leader: a search of a queue, and the places of one message.
 *
 * A search reads bodies out of the log, so it goes in pieces: some positions, their records, then the event loop is given
 * back. What a request may look at is bounded in messages and in bytes; its answer says where the next one goes on.
 */
import { Buffer } from "node:buffer"
import { decodeMessageId } from "@opencmq/proto"
import type { MessageIdParts } from "@opencmq/proto"
import type { QueueId } from "../core/queue/command.ts"
import { PEEK_COUNT_MAX } from "../core/queue/queue-reads.ts"
import type { PeekedMessages } from "../core/queue/queue-reads.ts"
import { readAttributes, readBody, readClientMessageId, readOrdinal } from "../codec/message-record.ts"
import { peekedMessage, shownProvenance } from "./message-views.ts"
import type { MessagePlace, PeekedMessage, RequestOf, ValueOf } from "./service-types.ts"
import { readQueue, refused, type LeaderCall, type SetAccess } from "./set-access.ts"
import type { Handlers } from "./topic-service.ts"

type SearchUseCase = "searchMessages" | "traceMessage"

/** What of a set this service needs. */
export type SearchAccess = Pick<SetAccess, "setId" | "machine" | "read" | "readRecords" | "termAt" | "soon">

/** Records read at once, unless one alone is longer; all records that one request reads; requests under way. */
const PIECE_COUNT_MAX = 256
const PIECE_BYTES_MAX = 1_048_576
const REQUEST_BYTES_MAX = 64 * 1_048_576
const SEARCHES_MAX = 8

type Positions = Pick<PeekedMessages, "entryIndexes" | "offsets" | "lengths">

interface Search {
  readonly queueId: QueueId
  readonly request: RequestOf<"searchMessages">
  readonly call: LeaderCall<ValueOf<"searchMessages">>
  readonly matches: (record: Uint8Array) => boolean
  readonly found: PeekedMessage[]
  scannedCount: number
  bytes: number
  isCancelled: boolean
}

export class SearchService {
  readonly #access: SearchAccess
  #searchCount = 0
  readonly handlers: Handlers<SearchUseCase> = {
    searchMessages: (request, call) => {
      this.#search(request, call)
    },
    traceMessage: (request, call) => {
      this.#trace(request, call)
    },
  }

  constructor(access: SearchAccess) {
    this.#access = access
  }

  #search(request: RequestOf<"searchMessages">, call: LeaderCall<ValueOf<"searchMessages">>): void {
    if (this.#searchCount >= SEARCHES_MAX) {
      call.done(refused("overloaded"))
      return
    }
    readQueue(this.#access, { queueName: request.queueName, call }, (queueId) => {
      this.#searchCount++
      const start = { scannedCount: 0, bytes: 0, isCancelled: false }
      const search: Search = { queueId, request, call, matches: matcherOf(request), found: [], ...start }
      call.cancel = () => {
        search.isCancelled = true
      }
      if (request.msgId === "") this.#scan(search, request.fromSequence)
      else this.#findById(search)
    })
  }

  /** One piece. */
  #scan(search: Search, fromSequence: number): void {
    const { request, queueId } = search
    const maxCount = Math.min(PIECE_COUNT_MAX, PEEK_COUNT_MAX, request.scanCount - search.scannedCount)
    const facts = this.#access.machine.peek({ queueId, fromSequence, maxCount })
    if (facts === undefined || facts.count === 0) {
      this.#end(search, 0)
      return
    }
    const count = countWithin(facts.lengths)
    this.#access.readRecords(firstOf(facts, count), (error, records) => {
      let at = 0
      while (at < count && search.found.length < request.maxCount) {
        this.#look(search, facts, { i: at, record: error === undefined ? records[at] : undefined })
        at++
      }
      const next = facts.sequences[at] ?? facts.nextSequence ?? 0
      const isOver = next === 0 || search.isCancelled || search.found.length >= request.maxCount
      if (isOver || search.scannedCount >= request.scanCount || search.bytes >= REQUEST_BYTES_MAX) {
        this.#end(search, next)
        return
      }
      this.#access.soon(() => {
        this.#scan(search, next)
      })
    })
  }

  /** A record that cannot be read matches nothing. */
  #look(
    search: Search,
    facts: PeekedMessages,
    { i, record }: { readonly i: number; readonly record: Uint8Array | undefined },
  ): void {
    search.scannedCount++
    search.bytes += facts.lengths[i] ?? 0
    if (record !== undefined && search.matches(record))
      search.found.push(peekedMessage(this.#access, facts, { i, record }))
  }

  #end({ call, found, scannedCount }: Search, nextSequence: number): void {
    this.#searchCount--
    call.cancel = undefined
    call.done({ ok: true, value: { messages: found, scannedCount, nextSequence } })
  }

  #findById(search: Search): void {
    const { queueId, request } = search
    this.#findRecord({ msgId: request.msgId, queueId }, (found) => {
      if (found !== undefined) {
        const { record, ...place } = found
        const facts = this.#access.machine.locateRecord({ ...place, queueId })
        for (let i = 0; i < facts.count; i++) this.#look(search, { ...facts, nextSequence: undefined }, { i, record })
      }
      this.#end(search, 0)
    })
  }

  #trace({ msgId }: RequestOf<"traceMessage">, call: LeaderCall<ValueOf<"traceMessage">>): void {
    this.#access.read(call, () => {
      this.#findRecord({ msgId, queueId: 0 }, (found) => {
        const places = found === undefined ? [] : this.#placesOf(found)
        if (found === undefined || places.length === 0) {
          call.done(refused("messageNotFound"))
          return
        }
        const { entryIndex, record } = found
        const facts = { bodyBytes: readBody(record).length, clientMessageId: readClientMessageId(record) }
        const value = { msgId, entryIndex, term: this.#access.termAt(entryIndex) ?? 0, ...facts, places }
        call.done({ ok: true, value })
      })
    })
  }

  #placesOf({ entryIndex, recordOffset }: FoundRecord): readonly MessagePlace[] {
    const { machine } = this.#access
    const facts = machine.locateRecord({ entryIndex, recordOffset, queueId: 0 })
    return facts.queueIds.map((queueId, i) => {
      const subscription = machine.subscriptionStatus(queueId)
      return {
        queueName: machine.queueName(queueId) ?? "",
        topicName: subscription?.topicName ?? "",
        subscriptionName: subscription?.subscriptionName ?? "",
        sequence: facts.sequences[i] ?? 0,
        state: facts.states[i] ?? "active",
        dueAtMs: facts.dueAtMs[i] ?? 0,
        enqueuedAtMs: facts.enqueuedAtMs[i] ?? 0,
        firstDequeuedAtMs: facts.firstDequeuedAtMs[i] ?? 0,
        dequeueCount: facts.dequeueCounts[i] ?? 0,
        provenance: shownProvenance(this.#access, facts.provenances[i]),
      }
    })
  }

  /** The record of a message id, if anything still points to it. */
  #findRecord(
    { msgId, queueId }: { readonly msgId: string; readonly queueId: QueueId },
    done: (found: FoundRecord | undefined) => void,
  ): void {
    const parts = decodeMessageId(msgId)
    if (parts?.setId !== this.#access.setId) {
      done(undefined)
      return
    }
    const { offsets, lengths } = this.#access.machine.recordsOfEntry({ entryIndex: parts.entryIndex, queueId })
    this.#bisect({ parts, offsets, lengths }, { low: 0, high: offsets.length }, done)
  }

  /** Records lie in an entry in the order of their ordinals: sixteen reads find one among 65,536. */
  #bisect(
    records: {
      readonly parts: MessageIdParts
      readonly offsets: readonly number[]
      readonly lengths: readonly number[]
    },
    { low, high }: { readonly low: number; readonly high: number },
    done: (found: FoundRecord | undefined) => void,
  ): void {
    const middle = (low + high) >>> 1
    const [recordOffset, length] = [records.offsets[middle], records.lengths[middle]]
    if (low >= high || recordOffset === undefined || length === undefined) {
      done(undefined)
      return
    }
    const { entryIndex, ordinal } = records.parts
    const positions = { count: 1, entryIndexes: [entryIndex], offsets: [recordOffset], lengths: [length] }
    this.#access.readRecords(positions, (error, [record] = []) => {
      if (error !== undefined || record === undefined) done(undefined)
      else if (readOrdinal(record) === ordinal) done({ entryIndex, recordOffset, record })
      else if (readOrdinal(record) < ordinal) this.#bisect(records, { low: middle + 1, high }, done)
      else this.#bisect(records, { low, high: middle }, done)
    })
  }
}

interface FoundRecord {
  readonly entryIndex: number
  readonly recordOffset: number
  readonly record: Uint8Array
}

/** How many of these may be read at once; at least one. */
function countWithin(lengths: readonly number[]): number {
  let bytes = lengths[0] ?? 0
  let count = 1
  while (count < lengths.length && bytes + (lengths[count] ?? 0) <= PIECE_BYTES_MAX) bytes += lengths[count++] ?? 0
  return count
}

function firstOf({ entryIndexes, offsets, lengths }: Positions, count: number): Positions & { readonly count: number } {
  return {
    count,
    entryIndexes: entryIndexes.slice(0, count),
    offsets: offsets.slice(0, count),
    lengths: lengths.slice(0, count),
  }
}

/** Whatever is asked for must be so; bytes are compared as they are. */
function matcherOf({ text, attributeName, attributeValue }: RequestOf<"searchMessages">): Search["matches"] {
  const wanted = Buffer.from(text, "utf8")
  const wantedValue = attributeValue === undefined ? undefined : Buffer.from(attributeValue, "utf8")
  return (record) => {
    if (text !== "" && !bytesOf(readBody(record)).includes(wanted)) return false
    if (attributeName === "") return true
    return readAttributes(record).some(
      ({ name, value }) => name === attributeName && (wantedValue === undefined || wantedValue.equals(value)),
    )
  }
}

function bytesOf(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
