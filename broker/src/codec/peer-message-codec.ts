/**
 * Raft messages and log entries as they stand inside peer frames (peer-codec.ts), little-endian:
 *
 * ```
 * message        u8 kind | u32 from | u32 to | u64 term | what the kind needs
 *  01 requestVote         u8 flags (1 pre-vote, 2 leadership transfer) | u64 lastLogIndex | u64 lastLogTerm
 *  02 requestVoteReply    u8 flags (1 pre-vote, 2 granted)
 *  03 appendEntries       u64 prevLogIndex | u64 prevLogTerm | u64 leaderCommit | entries
 *  04 appendEntriesReply  u8 success | u64 index | u64 hintIndex | u64 hintTerm
 *  05 heartbeat           u64 leaderCommit | u64 readRound
 *  06 heartbeatReply      u64 readRound
 *  07 installSnapshot     u64 lastIncludedIndex | u64 lastIncludedTerm | configuration
 *  08 timeoutNow          -
 *
 * entries        u32 count | count x entry
 * entry          u64 index | u64 term | u8 kind (0 commands, 1 configuration) | u32 length | data
 * configuration  voters, votersOutgoing, learners, learnersNext: each u8 count | count x u32 node id
 * ```
 */
import type { Configuration, Entry, EntryKind, Message, NodeId } from "../core/raft/types.ts"
import { CodecError } from "./codec-error.ts"
import type { PartReader } from "./part-reader.ts"
import type { PartWriter } from "./part-writer.ts"

/** The shortest message. */
export const MESSAGE_BYTES_MIN = 17
const ENTRY_BYTES_MIN = 21

const MESSAGE_KINDS = [
  "requestVote",
  "requestVoteReply",
  "appendEntries",
  "appendEntriesReply",
  "heartbeat",
  "heartbeatReply",
  "installSnapshot",
  "timeoutNow",
] as const satisfies readonly Message["kind"][]
const ENTRY_KINDS = ["commands", "configuration"] as const satisfies readonly EntryKind[]

const FLAG_PRE_VOTE = 1
const FLAG_TRANSFER = 2
const FLAG_GRANTED = 2
const TWO_FLAGS_MAX = 3

export function writeMessage(writer: PartWriter, message: Message): void {
  writer.u8(MESSAGE_KINDS.indexOf(message.kind) + 1)
  writer.u32(message.from)
  writer.u32(message.to)
  writer.u64(message.term)
  switch (message.kind) {
    case "requestVote":
      writer.u8((message.preVote ? FLAG_PRE_VOTE : 0) | (message.leadershipTransfer ? FLAG_TRANSFER : 0))
      writer.u64(message.lastLogIndex)
      return writer.u64(message.lastLogTerm)
    case "requestVoteReply":
      return writer.u8((message.preVote ? FLAG_PRE_VOTE : 0) | (message.voteGranted ? FLAG_GRANTED : 0))
    case "appendEntries":
      writer.u64(message.prevLogIndex)
      writer.u64(message.prevLogTerm)
      writer.u64(message.leaderCommit)
      return writeEntries(writer, message.entries)
    case "appendEntriesReply":
      writer.u8(message.success ? 1 : 0)
      writer.u64(message.index)
      writer.u64(message.hintIndex)
      return writer.u64(message.hintTerm)
    case "heartbeat":
      writer.u64(message.leaderCommit)
      return writer.u64(message.readRound)
    case "heartbeatReply":
      return writer.u64(message.readRound)
    case "installSnapshot":
      writer.u64(message.snapshot.lastIncludedIndex)
      writer.u64(message.snapshot.lastIncludedTerm)
      return writeConfiguration(writer, message.snapshot.configuration)
    case "timeoutNow":
      return
  }
}

/** @throws CodecError. Entries' data are views of the frame. */
export function readMessage(reader: PartReader): Message {
  const kindNumber = reader.u8()
  const kind = MESSAGE_KINDS[kindNumber - 1]
  if (kind === undefined) throw new CodecError(`no Raft message is of kind ${String(kindNumber)}`)
  const from = reader.u32()
  const to = reader.u32()
  const term = reader.u64()
  switch (kind) {
    case "requestVote": {
      const flags = readUpTo(reader, TWO_FLAGS_MAX)
      const preVote = (flags & FLAG_PRE_VOTE) !== 0
      const leadershipTransfer = (flags & FLAG_TRANSFER) !== 0
      const lastLogIndex = reader.u64()
      return { kind, from, to, term, preVote, leadershipTransfer, lastLogIndex, lastLogTerm: reader.u64() }
    }
    case "requestVoteReply": {
      const flags = readUpTo(reader, TWO_FLAGS_MAX)
      return {
        kind,
        from,
        to,
        term,
        preVote: (flags & FLAG_PRE_VOTE) !== 0,
        voteGranted: (flags & FLAG_GRANTED) !== 0,
      }
    }
    case "appendEntries": {
      const prevLogIndex = reader.u64()
      const prevLogTerm = reader.u64()
      const leaderCommit = reader.u64()
      return { kind, from, to, term, prevLogIndex, prevLogTerm, leaderCommit, entries: readEntries(reader) }
    }
    case "appendEntriesReply": {
      const success = readUpTo(reader, 1) === 1
      const index = reader.u64()
      const hintIndex = reader.u64()
      return { kind, from, to, term, success, index, hintIndex, hintTerm: reader.u64() }
    }
    case "heartbeat": {
      const leaderCommit = reader.u64()
      return { kind, from, to, term, leaderCommit, readRound: reader.u64() }
    }
    case "heartbeatReply":
      return { kind, from, to, term, readRound: reader.u64() }
    case "installSnapshot": {
      const lastIncludedIndex = reader.u64()
      const lastIncludedTerm = reader.u64()
      const configuration = readConfiguration(reader)
      return { kind, from, to, term, snapshot: { lastIncludedIndex, lastIncludedTerm, configuration } }
    }
    case "timeoutNow":
      return { kind, from, to, term }
  }
}

export function writeEntries(writer: PartWriter, entries: readonly Entry[]): void {
  writer.u32(entries.length)
  for (const entry of entries) {
    writer.u64(entry.index)
    writer.u64(entry.term)
    writer.u8(entry.kind === "commands" ? 0 : 1)
    writer.u32(entry.data.length)
    writer.bytes(entry.data)
  }
}

/** @throws CodecError. */
export function readEntries(reader: PartReader): Entry[] {
  const count = reader.checkCount(reader.u32(), ENTRY_BYTES_MIN)
  const entries: Entry[] = []
  for (let i = 0; i < count; i += 1) {
    const index = reader.u64()
    const term = reader.u64()
    const kind = ENTRY_KINDS[readUpTo(reader, 1)] ?? "commands"
    entries.push({ index, term, kind, data: reader.bytes(reader.u32()) })
  }
  return entries
}

function writeConfiguration(writer: PartWriter, configuration: Configuration): void {
  for (const ids of listsOf(configuration)) {
    writer.u8(ids.length)
    for (const id of ids) writer.u32(id)
  }
}

function listsOf(configuration: Configuration): readonly (readonly NodeId[])[] {
  const { voters, votersOutgoing, learners, learnersNext } = configuration
  return [voters, votersOutgoing, learners, learnersNext]
}

function readConfiguration(reader: PartReader): Configuration {
  const voters = readNodeIds(reader)
  const votersOutgoing = readNodeIds(reader)
  const learners = readNodeIds(reader)
  return { voters, votersOutgoing, learners, learnersNext: readNodeIds(reader) }
}

function readNodeIds(reader: PartReader): NodeId[] {
  const count = reader.checkCount(reader.u8(), 4)
  const ids: NodeId[] = []
  for (let i = 0; i < count; i += 1) ids.push(reader.u32())
  return ids
}

function readUpTo(reader: PartReader, max: number): number {
  const value = reader.u8()
  if (value > max) throw new CodecError(`${String(value)} where at most ${String(max)} has a meaning`)
  return value
}
