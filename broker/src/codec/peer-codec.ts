/**
 * What nodes say to each other: the payload of one peer frame (the frame itself, with length and checksum, is made by
 * adapters/peer). Private to one cluster; strangers use the faces.
 *
 * ```
 * frame      u8 kind | u8 version = 1 | u16 setId | body of that kind          all integers little-endian
 *
 * 01 raftMessages    f64 clockMs | u8 flags (1 disk low, 2 state hash) | [u64 hash index | u8 n, hash]
 *                    u16 count | count x message
 * 02 forwardRequest  u32 requestId | u32 timeoutMs | u8 n, use case | value (the rest)
 * 03 forwardReply    u32 requestId | value (the rest)
 * 04 forwardCancel   u32 requestId
 * 05 snapshotBegin   u32 transferId | message (installSnapshot)
 * 06 snapshotChunk   u32 transferId | u32 sequence | u8 content | u32 crc | bytes (the rest)
 * 07 snapshotAck     u32 transferId | u32 nextSequence | u8 state
 * 08 snapshotEnd     u32 transferId | u32 chunkCount | u32 crc
 * 09 repairRequest   u32 requestId | u64 firstIndex | u64 lastIndex | u32 maxBytes
 * 0a repairReply     u32 requestId | u32 count | count x entry
 * ```
 *
 * Messages, entries and records are in peer-message-codec.ts. Data of entries and values is passed on, not copied:
 * encoding takes it as parts, decoding gives views of the frame.
 */
import { Buffer } from "node:buffer"
import type { Entry, InstallSnapshot, LogIndex, Message } from "../core/raft/types.ts"
import { CodecError } from "./codec-error.ts"
import { PartReader } from "./part-reader.ts"
import { PartWriter } from "./part-writer.ts"
import { MESSAGE_BYTES_MIN, readEntries, readMessage, writeEntries, writeMessage } from "./peer-message-codec.ts"

/** Version of the payloads. A node refuses frames of any other. */
export const PEER_CODEC_VERSION = 1

/** Facts about the sender that ride along with its Raft messages. */
export interface SenderFacts {
  /** The leader's log clock in Unix milliseconds; what a follower sends here means nothing. */
  readonly clockMs: number
  /** The sender refuses ordinary writes, because its disk is nearly full. */
  readonly diskLow: boolean
  /** Hash of the machine's state as of that index, when the sender has one to compare (reliability.md D19). */
  readonly stateHash: { readonly index: LogIndex; readonly hash: string } | undefined
}

interface FrameOfSet {
  /** The set (Raft group) that it is about, 0 to 65535. */
  readonly setId: number
}

export interface RaftMessagesFrame extends FrameOfSet {
  readonly kind: "raftMessages"
  readonly facts: SenderFacts
  /** At most `MESSAGES_PER_FRAME_MAX`. */
  readonly messages: readonly Message[]
}

/** A use case that the receiver is asked to carry out as leader. */
export interface ForwardRequestFrame extends FrameOfSet {
  readonly kind: "forwardRequest"
  /** Chosen by the sender, unique among its requests under way at this peer. */
  readonly requestId: number
  /** What is left of the client's time. */
  readonly timeoutMs: number
  readonly useCase: string
  /** Encoded by value-codec.ts. */
  readonly value: Uint8Array
}

export interface ForwardReplyFrame extends FrameOfSet {
  readonly kind: "forwardReply"
  readonly requestId: number
  /** Encoded by value-codec.ts. */
  readonly value: Uint8Array
}

/** The client has gone: a long poll ends, and what was received for it is given back. */
export interface ForwardCancelFrame extends FrameOfSet {
  readonly kind: "forwardCancel"
  readonly requestId: number
}

/** A snapshot is about to come. The receiver answers with `snapshotAck`, which may resume an earlier transfer. */
export interface SnapshotBeginFrame extends FrameOfSet {
  readonly kind: "snapshotBegin"
  /** Names the snapshot and its stream: the same one in a resumed transfer. */
  readonly transferId: number
  /** To be stepped into the follower's core when all data is there. */
  readonly message: InstallSnapshot
}

export interface SnapshotChunkFrame extends FrameOfSet {
  readonly kind: "snapshotChunk"
  readonly transferId: number
  /** Number of the chunk, from 0. */
  readonly sequence: number
  /** `records`: of the checkpoint (`decodeRecords`); `entries`: of the log (`decodeEntries`). */
  readonly content: SnapshotContent
  /** CRC-32 of `bytes`, made where they were read from the disk and compared where they are written. Opaque here. */
  readonly crc: number
  readonly bytes: Uint8Array
}

export type SnapshotContent = "records" | "entries"

export interface SnapshotAckFrame extends FrameOfSet {
  readonly kind: "snapshotAck"
  readonly transferId: number
  /** Chunks below it are stored. */
  readonly nextSequence: number
  /** `installed` ends the transfer well, `refused` ends it: the receiver does not want it or cannot store it. */
  readonly state: SnapshotAckState
}

export type SnapshotAckState = "receiving" | "installed" | "refused"

export interface SnapshotEndFrame extends FrameOfSet {
  readonly kind: "snapshotEnd"
  readonly transferId: number
  readonly chunkCount: number
  /** CRC-32 over the `crc` fields (u32, little-endian) of all chunks in order, or 0 when the sender makes none. */
  readonly crc: number
}

/** Asks for entries that are rotten here. */
export interface RepairRequestFrame extends FrameOfSet {
  readonly kind: "repairRequest"
  readonly requestId: number
  readonly firstIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly maxBytes: number
}

/** Those of the asked entries that the sender has, ascending; an empty list when it has none. */
export interface RepairReplyFrame extends FrameOfSet {
  readonly kind: "repairReply"
  readonly requestId: number
  readonly entries: readonly Entry[]
}

/** A frame as it is received. */
export type PeerFrame =
  | RaftMessagesFrame
  | ForwardRequestFrame
  | ForwardReplyFrame
  | ForwardCancelFrame
  | SnapshotBeginFrame
  | SnapshotChunkFrame
  | SnapshotAckFrame
  | SnapshotEndFrame
  | RepairRequestFrame
  | RepairReplyFrame

/** A frame to be sent: long bytes may come in parts, as `encodeValue` and `encodeEntries` give them. */
export type OutgoingPeerFrame =
  | Exclude<PeerFrame, ForwardRequestFrame | ForwardReplyFrame | SnapshotChunkFrame>
  | InParts<ForwardRequestFrame, "value">
  | InParts<ForwardReplyFrame, "value">
  | InParts<SnapshotChunkFrame, "bytes">

type InParts<Frame, Field extends keyof Frame> = Omit<Frame, Field> & {
  readonly [F in Field]: Uint8Array | readonly Uint8Array[]
}

export const MESSAGES_PER_FRAME_MAX = 0xffff
/** Bytes of a state hash, as text. */
export const STATE_HASH_BYTES_MAX = 255

const FRAME_KINDS = [
  "raftMessages",
  "forwardRequest",
  "forwardReply",
  "forwardCancel",
  "snapshotBegin",
  "snapshotChunk",
  "snapshotAck",
  "snapshotEnd",
  "repairRequest",
  "repairReply",
] as const satisfies readonly PeerFrame["kind"][]
const SNAPSHOT_CONTENTS = ["records", "entries"] as const
const SNAPSHOT_ACK_STATES = ["receiving", "installed", "refused"] as const

const FLAG_DISK_LOW = 1
const FLAG_STATE_HASH = 2

/** The payload of one frame, for `PeerTransport.send`. Throws a RangeError when a number has no place in its field. */
export function encodePeerFrame(frame: OutgoingPeerFrame): Uint8Array[] {
  const writer = new PartWriter()
  writer.u8(FRAME_KINDS.indexOf(frame.kind) + 1)
  writer.u8(PEER_CODEC_VERSION)
  writer.u16(frame.setId)
  writeBody(writer, frame)
  return writer.finish()
}

function writeBody(writer: PartWriter, frame: OutgoingPeerFrame): void {
  switch (frame.kind) {
    case "raftMessages":
      return writeRaftMessages(writer, frame)
    case "forwardRequest":
      writer.u32(frame.requestId)
      writer.u32(frame.timeoutMs)
      writer.shortText(frame.useCase)
      return writeParts(writer, frame.value)
    case "forwardReply":
      writer.u32(frame.requestId)
      return writeParts(writer, frame.value)
    case "forwardCancel":
      return writer.u32(frame.requestId)
    case "snapshotBegin":
      writer.u32(frame.transferId)
      return writeMessage(writer, frame.message)
    case "snapshotChunk":
      writer.u32(frame.transferId)
      writer.u32(frame.sequence)
      writer.u8(SNAPSHOT_CONTENTS.indexOf(frame.content))
      writer.u32(frame.crc)
      return writeParts(writer, frame.bytes)
    case "snapshotAck":
      writer.u32(frame.transferId)
      writer.u32(frame.nextSequence)
      return writer.u8(SNAPSHOT_ACK_STATES.indexOf(frame.state))
    case "snapshotEnd":
      writer.u32(frame.transferId)
      writer.u32(frame.chunkCount)
      return writer.u32(frame.crc)
    case "repairRequest":
      writer.u32(frame.requestId)
      writer.u64(frame.firstIndex)
      writer.u64(frame.lastIndex)
      return writer.u32(frame.maxBytes)
    case "repairReply":
      writer.u32(frame.requestId)
      return writeEntries(writer, frame.entries)
  }
}

function writeRaftMessages(writer: PartWriter, frame: RaftMessagesFrame): void {
  const { clockMs, diskLow, stateHash } = frame.facts
  writer.f64(clockMs)
  writer.u8((diskLow ? FLAG_DISK_LOW : 0) | (stateHash === undefined ? 0 : FLAG_STATE_HASH))
  if (stateHash !== undefined) {
    writer.u64(stateHash.index)
    writer.shortText(stateHash.hash)
  }
  writer.u16(frame.messages.length)
  for (const message of frame.messages) writeMessage(writer, message)
}

function writeParts(writer: PartWriter, bytes: Uint8Array | readonly Uint8Array[]): void {
  if (bytes instanceof Uint8Array) return writer.bytes(bytes)
  for (const part of bytes) writer.bytes(part)
}

/**
 * The frame again; its byte arrays are views of `payload`.
 *
 * @throws CodecError for anything that is not exactly one frame of this version.
 */
export function decodePeerFrame(payload: Uint8Array): PeerFrame {
  const reader = new PartReader(payload)
  const kind = FRAME_KINDS[reader.u8() - 1]
  if (kind === undefined) throw new CodecError(`no peer frame is of kind ${String(payload[0])}`)
  const version = reader.u8()
  if (version !== PEER_CODEC_VERSION) throw new CodecError(`a peer frame of version ${String(version)}`)
  const frame = readBody(reader, { kind, setId: reader.u16() })
  reader.end()
  return frame
}

function readBody(reader: PartReader, head: { readonly kind: PeerFrame["kind"]; readonly setId: number }): PeerFrame {
  const { kind, setId } = head
  switch (kind) {
    case "raftMessages":
      return readRaftMessages(reader, setId)
    case "forwardRequest": {
      const requestId = reader.u32()
      const timeoutMs = reader.u32()
      return { kind, setId, requestId, timeoutMs, useCase: reader.shortText(), value: reader.rest() }
    }
    case "forwardReply":
      return { kind, setId, requestId: reader.u32(), value: reader.rest() }
    case "forwardCancel":
      return { kind, setId, requestId: reader.u32() }
    case "snapshotBegin": {
      const transferId = reader.u32()
      const message = readMessage(reader)
      if (message.kind !== "installSnapshot") throw new CodecError(`a snapshot that begins with ${message.kind}`)
      return { kind, setId, transferId, message }
    }
    case "snapshotChunk": {
      const transferId = reader.u32()
      const sequence = reader.u32()
      const content = named(SNAPSHOT_CONTENTS, reader.u8())
      return { kind, setId, transferId, sequence, content, crc: reader.u32(), bytes: reader.rest() }
    }
    case "snapshotAck": {
      const transferId = reader.u32()
      return { kind, setId, transferId, nextSequence: reader.u32(), state: named(SNAPSHOT_ACK_STATES, reader.u8()) }
    }
    case "snapshotEnd": {
      const transferId = reader.u32()
      return { kind, setId, transferId, chunkCount: reader.u32(), crc: reader.u32() }
    }
    case "repairRequest": {
      const requestId = reader.u32()
      const firstIndex = reader.u64()
      return { kind, setId, requestId, firstIndex, lastIndex: reader.u64(), maxBytes: reader.u32() }
    }
    case "repairReply":
      return { kind, setId, requestId: reader.u32(), entries: readEntries(reader) }
  }
}

function readRaftMessages(reader: PartReader, setId: number): RaftMessagesFrame {
  const clockMs = reader.f64()
  if (!Number.isFinite(clockMs)) throw new CodecError("a clock that shows no time")
  const flags = reader.u8()
  if (flags > (FLAG_DISK_LOW | FLAG_STATE_HASH)) throw new CodecError(`unknown flags 0x${flags.toString(16)}`)
  const stateHash = (flags & FLAG_STATE_HASH) === 0 ? undefined : { index: reader.u64(), hash: reader.shortText() }
  const facts = { clockMs, diskLow: (flags & FLAG_DISK_LOW) !== 0, stateHash }
  const count = reader.checkCount(reader.u16(), MESSAGE_BYTES_MIN)
  const messages: Message[] = []
  for (let i = 0; i < count; i += 1) messages.push(readMessage(reader))
  return { kind: "raftMessages", setId, facts, messages }
}

function named<Name extends string>(names: readonly Name[], number: number): Name {
  const name = names[number]
  if (name === undefined) throw new CodecError(`${String(number)} is none of ${names.join(", ")}`)
  return name
}

/** Entries as one run of bytes in parts, for a snapshot chunk. */
export function encodeEntries(entries: readonly Entry[]): Uint8Array[] {
  const writer = new PartWriter()
  writeEntries(writer, entries)
  return writer.finish()
}

/** @throws CodecError. The data of the entries are views of `bytes`. */
export function decodeEntries(bytes: Uint8Array): Entry[] {
  const reader = new PartReader(bytes)
  const entries = readEntries(reader)
  reader.end()
  return entries
}

/** A record of the checkpoint on its way to another node. */
export interface SnapshotRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** Records as one run of bytes in parts, for a snapshot chunk: u32 count, then u32 length, key, u32 length, value. */
export function encodeRecords(records: readonly SnapshotRecord[]): Uint8Array[] {
  const writer = new PartWriter()
  writer.u32(records.length)
  for (const { key, value } of records) {
    writer.u32(key.length)
    writer.bytes(key)
    writer.u32(value.length)
    writer.bytes(value)
  }
  return writer.finish()
}

/** @throws CodecError. Keys and values are views of `bytes`. */
export function decodeRecords(bytes: Uint8Array): SnapshotRecord[] {
  const reader = new PartReader(bytes)
  const count = reader.checkCount(reader.u32(), 8)
  const records: SnapshotRecord[] = []
  for (let i = 0; i < count; i += 1) {
    const key = reader.bytes(reader.u32())
    records.push({ key, value: reader.bytes(reader.u32()) })
  }
  reader.end()
  return records
}

/** One array of all parts, for tests and for small things. Copies. */
export function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
