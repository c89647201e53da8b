/**
 * The data of a log entry: a batch of commands for the queue machine, version 1. Little-endian:
 *
 * ```
 *  0 u8  version        1
 *  1 u8  flags          0
 *  2 u16 setId
 *  4 f64 stampMs        the leader's time, Unix ms; the machine takes max(last, stamp)
 * 12 u32 commandCount
 * 16 commands: count x {u32 byteLength (behind this field), u8 kind, fields}
 *
 * kind  1 createQueue  2 setQueueAttributes  3 deleteQueue  4 clearQueue  5 rewindQueue  6 unbindDeadLetterQueue
 *       7 expire           JSON text (admin-codec.ts)
 *       8 sendMessages     u8 0, u16 count, u32 queueId, count x {u32 recordLength, message record}
 *       9 receiveMessages  u8 0, u16 maxCount, u32 queueId, u32 visibilityTimeoutMs (2^32 - 1 = the queue's own)
 *      10 deleteMessages   u8 0, u16 count, u32 queueId, count x receipt handle
 *      11 changeVisibility u8 0, u16 count, u32 queueId, u32 visibilityTimeoutMs, count x receipt handle
 *      12 publishMessages  u8 0, u16 count, u32 topicId, count x {u32 recordLength, message record}
 *      13 reportPush       u8 0, u16 0, u32 subscriptionId, f64 deliveredThrough, f64 failedSequence
 *      14 createTopic  15 setTopicAttributes  16 deleteTopic  17 subscribe  18 setSubscriptionAttributes
 *      19 unsubscribe      JSON text (admin-codec.ts)
 *      20 prepareMessages  u8 0, u16 count, u32 queueId, u32 firstQueryIntervalMs, u16 maxQueryCount, messages as in 8
 *      21 confirmMessages  u8 0, u16 count, u32 queueId, count x {u48 entryIndex, u16 ordinal, u8 1 commit or 2 roll back}
 *      24 startRedrive  25 cancelRedrive      JSON text (admin-codec.ts)
 *      28 createKey  29 rotateKey  30 revokeKey   JSON text (admin-codec.ts)
 *
 * receipt handle: u32 low word of the delivery number, u8 its upper byte, u24 slot
 * ```
 *
 * Message records lie in the entry as they are read later, so a position in the entry is all the machine keeps.
 */
import { Buffer } from "node:buffer"
import type {
  ChangeVisibility,
  Command,
  ConfirmMessages,
  DeleteMessages,
  PrepareMessages,
  PublishMessages,
  ReceiveMessages,
  ReportPush,
  SendMessages,
} from "../core/queue/command.ts"
import type { QueryPolicy } from "../core/queue/half-messages.ts"
import { ByteSlab } from "./byte-slab.ts"
import { adminCommandText, ADMIN_TEXT_BYTES_MAX, parseAdminCommand, type AdminCommand } from "./admin-codec.ts"
import { CLIENT_ID_WORDS, readClientIdWords } from "./client-id.ts"
import { CodecError } from "./codec-error.ts"
import {
  emptyRecordHead,
  measureRecord,
  readRecordHead,
  readRoutingKey,
  readTags,
  RECORD_HEADER_BYTES,
  writeMessageRecord,
  type OutgoingRecord,
} from "./message-record.ts"

export { CodecError } from "./codec-error.ts"
export type { AdminCommand } from "./admin-codec.ts"

export const ENTRY_VERSION = 1
export const ENTRY_HEADER_BYTES = 16
/** Ordinals have 16 bits in the message id. */
export const MESSAGES_PER_ENTRY_MAX = 65_536

const AT_SET_ID = 2
const AT_STAMP = 4
const AT_COMMAND_COUNT = 12
/** Length and kind. */
const FRAME_HEAD_BYTES = 5
const HANDLE_BYTES = 8
/** A zero, the count and the queue. */
const LIST_HEAD_BYTES = 7
/** Interval and count of queries. */
const QUERY_POLICY_BYTES = 6
/** A message id without its set, and the decision. */
const DECISION_BYTES = 9
const OWN_VISIBILITY = 0xffff_ffff
const U16_MAX = 0xffff
const U48_MAX = 2 ** 48 - 1
const U32_RANGE = 0x1_0000_0000
const SLOT_MAX = 2 ** 24 - 1
const DELIVERY_NUMBER_MAX = 2 ** 40 - 1
const INITIAL_BYTES = 65_536
/** A buffer that one large batch blew up is not kept. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024

const adminKinds = {
  createQueue: 1,
  setQueueAttributes: 2,
  deleteQueue: 3,
  clearQueue: 4,
  rewindQueue: 5,
  unbindDeadLetterQueue: 6,
  expire: 7,
  createTopic: 14,
  setTopicAttributes: 15,
  deleteTopic: 16,
  subscribe: 17,
  setSubscriptionAttributes: 18,
  unsubscribe: 19,
  startRedrive: 24,
  cancelRedrive: 25,
  createKey: 28,
  rotateKey: 29,
  revokeKey: 30,
} as const satisfies Record<AdminCommand["kind"], number>

const SEND = 8
const RECEIVE = 9
const DELETE = 10
const CHANGE_VISIBILITY = 11
const PUBLISH = 12
const REPORT_PUSH = 13
const PREPARE = 20
const CONFIRM = 21

const COMMIT = 1
const ROLL_BACK = 2

/** What a producer decided about a half message. */
export interface Decision {
  readonly entryIndex: number
  readonly ordinal: number
  readonly isCommit: boolean
}

/** A request of half messages. */
export interface OutgoingHalves extends QueryPolicy {
  readonly queueId: number
  readonly messages: readonly OutgoingRecord[]
}

/** A receipt handle taken apart. */
export interface HandleParts {
  /** 24 bits. */
  readonly slot: number
  /** 40 bits. */
  readonly deliveryNumber: number
}

/** A request of messages, whatever they are for. */
interface OutgoingMessages {
  readonly targetId: number
  readonly messages: readonly OutgoingRecord[]
  readonly halves?: QueryPolicy
}

/**
 * Gathers commands into the data of one entry. One object for the life of a node: its buffer is used again.
 * Values outside their fields are bugs of the caller and throw a RangeError before anything is written.
 */
export class EntryBuilder {
  readonly #slab = new ByteSlab()
  #buffer: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #end = ENTRY_HEADER_BYTES
  #setId = 0
  #commandCount = 0
  #messageCount = 0

  /** Bytes so far, the head included. */
  get byteLength(): number {
    return this.#end
  }

  get commandCount(): number {
    return this.#commandCount
  }

  /** Messages so far; at most `MESSAGES_PER_ENTRY_MAX` have an ordinal. */
  get messageCount(): number {
    return this.#messageCount
  }

  begin({ setId }: { readonly setId: number }): void {
    this.#setId = checked("setId", setId, U16_MAX)
    this.#end = ENTRY_HEADER_BYTES
    this.#commandCount = 0
    this.#messageCount = 0
  }

  /** One request. Returns the ordinal of its first message; the others follow. */
  addSend({ queueId, messages }: { readonly queueId: number; readonly messages: readonly OutgoingRecord[] }): number {
    return this.#addMessages(SEND, { targetId: queueId, messages })
  }

  /** The same with half messages. */
  addPrepare({ queueId, messages, firstQueryIntervalMs, maxQueryCount }: OutgoingHalves): number {
    const halves = {
      firstQueryIntervalMs: checked("firstQueryIntervalMs", firstQueryIntervalMs, U32_RANGE - 1),
      maxQueryCount: checked("maxQueryCount", maxQueryCount, U16_MAX),
    }
    return this.#addMessages(PREPARE, { targetId: queueId, messages, halves })
  }

  addConfirm({ queueId, decisions }: { readonly queueId: number; readonly decisions: readonly Decision[] }): void {
    for (const { entryIndex, ordinal } of decisions) {
      checked("entryIndex", entryIndex, U48_MAX)
      checked("ordinal", ordinal, U16_MAX)
    }
    const start = this.#beginList({ kind: CONFIRM, count: decisions.length, queueId })
    this.#reserve(decisions.length * DECISION_BYTES)
    for (const { entryIndex, ordinal, isCommit } of decisions) {
      this.#end = this.#buffer.writeUIntLE(entryIndex, this.#end, 6)
      this.#end = this.#buffer.writeUInt16LE(ordinal, this.#end)
      this.#buffer[this.#end++] = isCommit ? COMMIT : ROLL_BACK
    }
    this.#endCommand(start)
  }

  /** The same to a topic. */
  addPublish({
    topicId,
    messages,
  }: {
    readonly topicId: number
    readonly messages: readonly OutgoingRecord[]
  }): number {
    return this.#addMessages(PUBLISH, { targetId: topicId, messages })
  }

  /** What became of pushing messages of a subscription; 0 = none. */
  addReportPush(report: Omit<ReportPush, "kind">): void {
    const start = this.#beginList({ kind: REPORT_PUSH, count: 0, queueId: report.subscriptionId })
    this.#reserve(16)
    this.#end = this.#buffer.writeDoubleLE(report.deliveredThrough, this.#end)
    this.#end = this.#buffer.writeDoubleLE(report.failedSequence, this.#end)
    this.#endCommand(start)
  }

  #addMessages(
    kind: typeof SEND | typeof PUBLISH | typeof PREPARE,
    { targetId, messages, halves }: OutgoingMessages,
  ): number {
    if (this.#messageCount + messages.length > MESSAGES_PER_ENTRY_MAX) throw new RangeError("an entry full of messages")
    const sizes = messages.map(measureRecord)
    const start = this.#beginList({ kind, count: messages.length, queueId: targetId })
    if (halves !== undefined) {
      this.#reserve(QUERY_POLICY_BYTES)
      this.#end = this.#buffer.writeUInt32LE(halves.firstQueryIntervalMs, this.#end)
      this.#end = this.#buffer.writeUInt16LE(halves.maxQueryCount, this.#end)
    }
    for (let index = 0; index < messages.length; index++) {
      const message = messages[index] as OutgoingRecord
      const size = sizes[index] as (typeof sizes)[number]
      this.#reserve(4 + size.totalBytes)
      this.#end = this.#buffer.writeUInt32LE(size.totalBytes, this.#end)
      const ordinal = this.#messageCount + index
      writeMessageRecord({ buffer: this.#buffer, at: this.#end, ordinal }, message, size)
      this.#end += size.totalBytes
    }
    this.#endCommand(start)
    this.#messageCount += messages.length
    return this.#messageCount - messages.length
  }

  /** `visibilityTimeoutMs` -1 = the queue's own. */
  addReceive(command: {
    readonly queueId: number
    readonly maxCount: number
    readonly visibilityTimeoutMs: number
  }): void {
    const { queueId, maxCount, visibilityTimeoutMs } = command
    const isOwn = visibilityTimeoutMs === -1
    const visibility = isOwn ? OWN_VISIBILITY : checkedVisibility(visibilityTimeoutMs)
    const start = this.#beginList({ kind: RECEIVE, count: maxCount, queueId })
    this.#reserve(4)
    this.#end = this.#buffer.writeUInt32LE(visibility, this.#end)
    this.#endCommand(start)
  }

  addDelete({ queueId, handles }: { readonly queueId: number; readonly handles: readonly HandleParts[] }): void {
    checkHandles(handles)
    const start = this.#beginList({ kind: DELETE, count: handles.length, queueId })
    this.#writeHandles(handles)
    this.#endCommand(start)
  }

  addChangeVisibility(command: {
    readonly queueId: number
    readonly handles: readonly HandleParts[]
    readonly visibilityTimeoutMs: number
  }): void {
    const { queueId, handles } = command
    const visibility = checkedVisibility(command.visibilityTimeoutMs)
    checkHandles(handles)
    const start = this.#beginList({ kind: CHANGE_VISIBILITY, count: handles.length, queueId })
    this.#reserve(4)
    this.#end = this.#buffer.writeUInt32LE(visibility, this.#end)
    this.#writeHandles(handles)
    this.#endCommand(start)
  }

  addAdmin(command: AdminCommand): void {
    const text = adminCommandText(command)
    const bytes = Buffer.byteLength(text)
    if (bytes > ADMIN_TEXT_BYTES_MAX) throw new RangeError("an administrative command that is too long")
    const start = this.#beginCommand(adminKinds[command.kind])
    this.#reserve(bytes)
    this.#end += this.#buffer.write(text, this.#end, "utf8")
    this.#endCommand(start)
  }

  /** Closes the entry. The bytes returned are the caller's; the builder needs `begin` before it is used again. */
  finish(stampMs: number): Uint8Array {
    const buffer = this.#buffer
    buffer[0] = ENTRY_VERSION
    buffer[1] = 0
    buffer.writeUInt16LE(this.#setId, AT_SET_ID)
    buffer.writeDoubleLE(stampMs, AT_STAMP)
    buffer.writeUInt32LE(this.#commandCount, AT_COMMAND_COUNT)
    const data = this.#slab.take(this.#end)
    buffer.copy(data, 0, 0, this.#end)
    if (buffer.length > KEPT_BYTES_MAX) this.#buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
    this.#end = ENTRY_HEADER_BYTES
    return data
  }

  #beginCommand(kind: number): number {
    const start = this.#end
    this.#reserve(FRAME_HEAD_BYTES)
    this.#end = start + 4
    this.#buffer[this.#end++] = kind
    return start
  }

  #beginList(head: { readonly kind: number; readonly count: number; readonly queueId: number }): number {
    const count = checked("count", head.count, U16_MAX)
    const queueId = checked("queueId", head.queueId, U32_RANGE - 1)
    const start = this.#beginCommand(head.kind)
    this.#reserve(LIST_HEAD_BYTES)
    this.#buffer[this.#end++] = 0
    this.#end = this.#buffer.writeUInt16LE(count, this.#end)
    this.#end = this.#buffer.writeUInt32LE(queueId, this.#end)
    return start
  }

  #endCommand(start: number): void {
    this.#buffer.writeUInt32LE(this.#end - start - 4, start)
    this.#commandCount++
  }

  #writeHandles(handles: readonly HandleParts[]): void {
    this.#reserve(handles.length * HANDLE_BYTES)
    for (const { slot, deliveryNumber } of handles) {
      this.#end = this.#buffer.writeUInt32LE(deliveryNumber % U32_RANGE, this.#end)
      this.#buffer[this.#end++] = Math.floor(deliveryNumber / U32_RANGE)
      this.#end = this.#buffer.writeUIntLE(slot, this.#end, 3)
    }
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#end + bytes))
    this.#buffer.copy(grown, 0, 0, this.#end)
    this.#buffer = grown
  }
}

/** The head of an entry. */
export interface EntryHead {
  readonly setId: number
  readonly stampMs: number
  readonly commandCount: number
}

/**
 * Reads the commands of an entry one after the other. One object for the life of a node: `next` fills and returns the
 * same command object of each hot kind again, so a command is used up before the next is asked for.
 *
 * Every length is compared with what is there before it is used; malformed bytes throw a `CodecError`.
 */
export class EntryReader {
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  #left = 0
  readonly #head = emptyRecordHead()
  readonly #send = emptySend()
  readonly #publish: PublishMessages = { kind: "publishMessages", messages: emptySend(), tags: [], routingKeys: [] }
  readonly #report: ReportPush = { kind: "reportPush", subscriptionId: 0, deliveredThrough: 0, failedSequence: 0 }
  readonly #prepare: PrepareMessages = {
    kind: "prepareMessages",
    messages: emptySend(),
    firstQueryIntervalMs: 0,
    maxQueryCount: 0,
  }
  readonly #confirm: ConfirmMessages = {
    kind: "confirmMessages",
    queueId: 0,
    count: 0,
    entryIndexes: [],
    ordinals: [],
    isCommit: [],
  }
  readonly #receive: ReceiveMessages = { kind: "receiveMessages", queueId: 0, maxCount: 0, visibilityTimeoutMs: -1 }
  readonly #delete: DeleteMessages = { kind: "deleteMessages", queueId: 0, count: 0, slots: [], deliveryNumbers: [] }
  readonly #change: ChangeVisibility = {
    kind: "changeVisibility",
    queueId: 0,
    count: 0,
    slots: [],
    deliveryNumbers: [],
    visibilityTimeoutMs: 0,
  }

  /** Starts on an entry's data. */
  open(data: Uint8Array): EntryHead {
    const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    this.#buffer = buffer
    this.#left = 0
    if (buffer.length < ENTRY_HEADER_BYTES) throw new CodecError("an entry cut short in its head")
    if (buffer[0] !== ENTRY_VERSION) throw new CodecError(`entry version ${String(buffer[0])} is unknown`)
    const commandCount = buffer.readUInt32LE(AT_COMMAND_COUNT)
    if (commandCount * FRAME_HEAD_BYTES > buffer.length - ENTRY_HEADER_BYTES) {
      throw new CodecError("an entry that announces more commands than it can hold")
    }
    this.#at = ENTRY_HEADER_BYTES
    this.#left = commandCount
    return { setId: buffer.readUInt16LE(AT_SET_ID), stampMs: buffer.readDoubleLE(AT_STAMP), commandCount }
  }

  /** The next command, or undefined behind the last. */
  next(): Command | undefined {
    if (this.#left === 0) {
      if (this.#at < this.#buffer.length) throw new CodecError("bytes left over behind the last command")
      return undefined
    }
    if (this.#buffer.length - this.#at < FRAME_HEAD_BYTES) throw new CodecError("a command cut short")
    const byteLength = this.#buffer.readUInt32LE(this.#at)
    const from = this.#at + 4
    if (byteLength < 1 || byteLength > this.#buffer.length - from) throw new CodecError("a command cut short")
    this.#left--
    this.#at = from + byteLength
    return this.#decode(from + 1, this.#at)
  }

  #decode(from: number, end: number): Command {
    const kind = this.#buffer[from - 1] as number
    switch (kind) {
      case SEND:
        return this.#decodeMessages(this.#send, { from, end })
      case PUBLISH:
        return this.#decodePublish(from, end)
      case REPORT_PUSH:
        return this.#decodeReportPush(from, end)
      case PREPARE:
        return this.#decodePrepare(from, end)
      case CONFIRM:
        return this.#decodeConfirm(from, end)
      case RECEIVE:
        return this.#decodeReceive(from, end)
      case DELETE:
        return this.#decodeDelete(from, end)
      case CHANGE_VISIBILITY:
        return this.#decodeChangeVisibility(from, end)
      default:
        return this.#decodeAdmin(kind, { from, end })
    }
  }

  #decodePublish(from: number, end: number): PublishMessages {
    const command = this.#publish
    const { recordOffsets, recordLengths, count } = this.#decodeMessages(command.messages, { from, end })
    for (let index = 0; index < count; index++) {
      const at = recordOffsets[index] as number
      const record = this.#buffer.subarray(at, at + (recordLengths[index] as number))
      command.tags[index] = readTags(record)
      command.routingKeys[index] = readRoutingKey(record)
    }
    return command
  }

  #decodeReportPush(from: number, end: number): ReportPush {
    if (end - from !== LIST_HEAD_BYTES + 16) throw new CodecError("a report of pushes of a wrong length")
    const command = this.#report
    command.subscriptionId = this.#buffer.readUInt32LE(from + 3)
    command.deliveredThrough = this.#buffer.readDoubleLE(from + LIST_HEAD_BYTES)
    command.failedSequence = this.#buffer.readDoubleLE(from + LIST_HEAD_BYTES + 8)
    return command
  }

  #decodePrepare(from: number, end: number): PrepareMessages {
    if (end - from < LIST_HEAD_BYTES + QUERY_POLICY_BYTES) throw new CodecError("a command cut short")
    const command = this.#prepare
    command.firstQueryIntervalMs = this.#buffer.readUInt32LE(from + LIST_HEAD_BYTES)
    command.maxQueryCount = this.#buffer.readUInt16LE(from + LIST_HEAD_BYTES + 4)
    this.#decodeMessages(command.messages, { from, end, firstAt: from + LIST_HEAD_BYTES + QUERY_POLICY_BYTES })
    return command
  }

  #decodeConfirm(from: number, end: number): ConfirmMessages {
    const command = this.#confirm
    command.count = this.#openList(from, end, DECISION_BYTES)
    command.queueId = this.#buffer.readUInt32LE(from + 3)
    let at = from + LIST_HEAD_BYTES
    if (end - at !== command.count * DECISION_BYTES) throw new CodecError("a list of decisions of a wrong length")
    for (let index = 0; index < command.count; index++) {
      const decision = this.#buffer[at + DECISION_BYTES - 1]
      if (decision !== COMMIT && decision !== ROLL_BACK) throw new CodecError("a decision that is none")
      command.entryIndexes[index] = this.#buffer.readUIntLE(at, 6)
      command.ordinals[index] = this.#buffer.readUInt16LE(at + 6)
      command.isCommit[index] = decision === COMMIT
      at += DECISION_BYTES
    }
    return command
  }

  #decodeMessages(
    command: SendMessages,
    {
      from,
      end,
      firstAt = from + LIST_HEAD_BYTES,
    }: { readonly from: number; readonly end: number; readonly firstAt?: number },
  ): SendMessages {
    const count = this.#openList(from, end, 4 + RECORD_HEADER_BYTES)
    command.queueId = this.#buffer.readUInt32LE(from + 3)
    command.count = count
    let at = firstAt
    for (let index = 0; index < count; index++) {
      if (end - at < 4) throw new CodecError("a message record cut short")
      const length = this.#buffer.readUInt32LE(at)
      at += 4
      if (length > end - at) throw new CodecError("a message record cut short")
      this.#decodeRecord(command, index, { at, length })
      at += length
    }
    if (at !== end) throw new CodecError("bytes left over behind the last message")
    return command
  }

  #decodeRecord(
    command: SendMessages,
    index: number,
    { at, length }: { readonly at: number; readonly length: number },
  ): void {
    const head = this.#head
    readRecordHead({ buffer: this.#buffer, at, length }, head)
    command.recordOffsets[index] = at
    command.recordLengths[index] = length
    command.bodyLengths[index] = head.bodyLength
    command.ordinals[index] = head.ordinal
    command.delaysMs[index] = head.delayMs
    const hasClientId = head.clientIdLength > 0
    command.hasClientId[index] = hasClientId
    const firstWord = index * CLIENT_ID_WORDS
    if (hasClientId) {
      const place = { bytes: this.#buffer, at: at + RECORD_HEADER_BYTES, length: head.clientIdLength }
      readClientIdWords(place, command.clientIdWords, firstWord)
    } else {
      for (let word = 0; word < CLIENT_ID_WORDS; word++) command.clientIdWords[firstWord + word] = 0
    }
  }

  #decodeReceive(from: number, end: number): ReceiveMessages {
    if (end - from !== LIST_HEAD_BYTES + 4) throw new CodecError("a receive of a wrong length")
    const command = this.#receive
    command.maxCount = this.#buffer.readUInt16LE(from + 1)
    command.queueId = this.#buffer.readUInt32LE(from + 3)
    const visibility = this.#buffer.readUInt32LE(from + 7)
    command.visibilityTimeoutMs = visibility === OWN_VISIBILITY ? -1 : visibility
    return command
  }

  #decodeDelete(from: number, end: number): DeleteMessages {
    const command = this.#delete
    command.count = this.#openList(from, end, HANDLE_BYTES)
    command.queueId = this.#buffer.readUInt32LE(from + 3)
    this.#decodeHandles(from + LIST_HEAD_BYTES, end, command)
    return command
  }

  #decodeChangeVisibility(from: number, end: number): ChangeVisibility {
    const command = this.#change
    const count = this.#openList(from, end, HANDLE_BYTES)
    if (end - from < LIST_HEAD_BYTES + 4) throw new CodecError("a change of visibility cut short")
    command.count = count
    command.queueId = this.#buffer.readUInt32LE(from + 3)
    command.visibilityTimeoutMs = this.#buffer.readUInt32LE(from + 7)
    this.#decodeHandles(from + LIST_HEAD_BYTES + 4, end, command)
    return command
  }

  #decodeHandles(from: number, end: number, command: DeleteMessages | ChangeVisibility): void {
    if (end - from !== command.count * HANDLE_BYTES) throw new CodecError("a list of handles of a wrong length")
    let at = from
    for (let index = 0; index < command.count; index++) {
      const low = this.#buffer.readUInt32LE(at)
      command.deliveryNumbers[index] = (this.#buffer[at + 4] as number) * U32_RANGE + low
      command.slots[index] = this.#buffer.readUIntLE(at + 5, 3)
      at += HANDLE_BYTES
    }
  }

  #decodeAdmin(kindNumber: number, { from, end }: { readonly from: number; readonly end: number }): AdminCommand {
    for (const [kind, known] of Object.entries(adminKinds)) {
      if (known !== kindNumber) continue
      if (end - from > ADMIN_TEXT_BYTES_MAX) throw new CodecError("an administrative command that is too long")
      return parseAdminCommand(kind as AdminCommand["kind"], this.#buffer.toString("utf8", from, end))
    }
    throw new CodecError(`command kind ${String(kindNumber)} is unknown`)
  }

  /** Checks that the announced items can be there, before anything is made of them. */
  #openList(from: number, end: number, itemBytes: number): number {
    if (end - from < LIST_HEAD_BYTES) throw new CodecError("a command cut short")
    const count = this.#buffer.readUInt16LE(from + 1)
    if (count * itemBytes > end - from) throw new CodecError("a command that announces more items than it can hold")
    return count
  }
}

function emptySend(): SendMessages {
  return {
    kind: "sendMessages",
    queueId: 0,
    count: 0,
    recordOffsets: [],
    recordLengths: [],
    bodyLengths: [],
    ordinals: [],
    delaysMs: [],
    clientIdWords: [],
    hasClientId: [],
  }
}

function checkHandles(handles: readonly HandleParts[]): void {
  for (const { slot, deliveryNumber } of handles) {
    checked("slot", slot, SLOT_MAX)
    checked("deliveryNumber", deliveryNumber, DELIVERY_NUMBER_MAX)
  }
}

function checkedVisibility(visibilityTimeoutMs: number): number {
  return checked("visibilityTimeoutMs", visibilityTimeoutMs, OWN_VISIBILITY - 1)
}

function checked(what: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${what}: ${String(value)} has no place in an entry (at most ${String(max)})`)
  }
  return value
}
