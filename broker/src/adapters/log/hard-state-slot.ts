/**
 * One copy of the hard state, byte by byte: 512 bytes with a checksum. Which of two copies counts, and what happens when
 * both are unreadable, is decided in `hard-state-file.ts`.
 */
import { ByteReader, DecodeError } from "../../codec/byte-reader.ts"
import { ByteWriter } from "../../codec/byte-writer.ts"
import { crc32 } from "../../codec/crc.ts"
import { LOG_FORMAT_VERSION } from "../../codec/log-record.ts"
import type { LogIndex, NodeId, Term } from "../../core/raft/types.ts"
import type { LogIdentity } from "./log-options.ts"

export const SLOT_BYTES = 512
const SLOT_MAGIC = 0x484d434f
/** Stands for "every entry", in `floorIndex`. */
export const FLOOR_ALL = Number.MAX_SAFE_INTEGER

/** Everything in a copy except its number. */
export interface StoredState {
  currentTerm: Term
  votedFor: NodeId
  /** A hint; the batches of the log usually know a higher one. */
  commitIndex: LogIndex
  /** The entry before the first one that consensus needs. */
  baseIndex: LogIndex
  baseTerm: Term
  /** Set by snapshot install: entries up to `floorIndex` in segments before `floorSequence` are void. */
  floorIndex: LogIndex
  floorSequence: number
  /** Segments that came with a snapshot and have a lower number than this are void. */
  stagedSequence: number
  /** A snapshot install was decided and may not be finished: opening finishes it. */
  isInstalling: boolean
  /** The newest segment that was ever begun; a log that ends before it has lost a file. */
  activeSequence: number
}

export function emptyState(): StoredState {
  return {
    currentTerm: 0,
    votedFor: 0,
    commitIndex: 0,
    baseIndex: 0,
    baseTerm: 0,
    floorIndex: 0,
    floorSequence: 0,
    stagedSequence: 0,
    isInstalling: false,
    activeSequence: 0,
  }
}

/** A copy, read or to be written. */
export interface Slot {
  readonly generation: number
  readonly identity: LogIdentity
  readonly state: StoredState
}

export function encodeSlot(slot: Slot): Buffer {
  const { identity, state } = slot
  const writer = new ByteWriter(SLOT_BYTES)
  writer.uint32(SLOT_MAGIC)
  writer.uint8(LOG_FORMAT_VERSION)
  writer.zeros(3)
  writer.uint32(0)
  writer.uint64(slot.generation)
  writer.uint32(identity.nodeId)
  writer.uint32(identity.setId)
  writer.uint64(identity.incarnation)
  writer.uint64(state.currentTerm)
  writer.uint32(state.votedFor)
  writer.uint64(state.commitIndex)
  writer.uint64(state.baseIndex)
  writer.uint64(state.baseTerm)
  writer.uint64(state.floorIndex)
  writer.uint64(state.floorSequence)
  writer.uint64(state.stagedSequence)
  writer.uint64(state.activeSequence)
  writer.boolean(state.isInstalling)
  writer.string(identity.clusterId)
  writer.zeros(SLOT_BYTES - writer.length)
  writer.patchUint32(8, crc32(writer.finish()))
  return writer.finish()
}

/** The copy again; undefined when it is unreadable, whatever the reason. Never throws. */
export function decodeSlot(bytes: Buffer): Slot | "newer" | undefined {
  if (bytes.length !== SLOT_BYTES || bytes.readUInt32LE(0) !== SLOT_MAGIC) return undefined
  const plain = Buffer.from(bytes)
  plain.writeUInt32LE(0, 8)
  if (crc32(plain) !== bytes.readUInt32LE(8)) return undefined
  if (bytes.readUInt8(4) > LOG_FORMAT_VERSION) return "newer"
  try {
    return readFields(bytes)
  } catch (error) {
    // The checksum is right and the content is not: whoever wrote it, it says nothing that could be believed.
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

function readFields(bytes: Buffer): Slot {
  const reader = new ByteReader(bytes)
  reader.skip(12)
  const generation = reader.uint64()
  const nodeId = reader.uint32()
  const setId = reader.uint32()
  const incarnation = reader.uint64()
  const state: StoredState = {
    currentTerm: reader.uint64(),
    votedFor: reader.uint32(),
    commitIndex: reader.uint64(),
    baseIndex: reader.uint64(),
    baseTerm: reader.uint64(),
    floorIndex: reader.uint64(),
    floorSequence: reader.uint64(),
    stagedSequence: reader.uint64(),
    activeSequence: reader.uint64(),
    isInstalling: reader.boolean(),
  }
  return { generation, identity: { clusterId: reader.string(), nodeId, setId, incarnation }, state }
}
