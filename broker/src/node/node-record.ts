/**
 * The node's own record in the checkpoint: as of which log entry the machine's records are, and which configurations
 * led there. It lies in the same atomic batch as they do, so the two can never disagree.
 */
import { Buffer } from "node:buffer"
import type { LogIndex, SnapshotMeta, Term } from "../core/raft/types.ts"
import { decodeConfiguration, encodeConfiguration } from "../core/raft/configuration-codec.ts"
import { CodecError } from "../codec/codec-error.ts"
import { PartReader } from "../codec/part-reader.ts"
import { PartWriter } from "../codec/part-writer.ts"
import type { ConfigurationAt } from "../core/raft/configuration-history.ts"

/** Sorts behind every key of the machine. */
export const NODE_RECORD_KEY = Uint8Array.from(Buffer.from("\xffnode", "latin1"))

const NODE_RECORD_VERSION = 1

export interface NodeRecord {
  readonly setId: number
  readonly appliedIndex: LogIndex
  readonly appliedTerm: Term
  /** Ascending by index, all at or below `appliedIndex`; the last one is in force there. Index 0 = the first ever. */
  readonly configurations: readonly ConfigurationAt[]
  /** A snapshot whose records are these, while the log has not been put behind it yet (crash between the two). */
  readonly installing: boolean
}

export function isNodeRecordKey(key: Uint8Array): boolean {
  return Buffer.compare(key, NODE_RECORD_KEY) === 0
}

export function encodeNodeRecord(record: NodeRecord): Uint8Array {
  const writer = new PartWriter()
  writer.u8(NODE_RECORD_VERSION)
  writer.u8(record.installing ? 1 : 0)
  writer.u16(record.setId)
  writer.u64(record.appliedIndex)
  writer.u64(record.appliedTerm)
  writer.u16(record.configurations.length)
  for (const { index, configuration } of record.configurations) {
    const bytes = encodeConfiguration(configuration)
    writer.u64(index)
    writer.u32(bytes.length)
    writer.bytes(bytes)
  }
  return Buffer.concat(writer.finish())
}

/**
 * Reads what `encodeNodeRecord` wrote.
 *
 * @throws CodecError for anything else; a configuration inside that cannot be read is a failed assertion, as everywhere.
 */
export function decodeNodeRecord(bytes: Uint8Array): NodeRecord {
  const reader = new PartReader(bytes)
  const version = reader.u8()
  if (version !== NODE_RECORD_VERSION) throw new CodecError(`a checkpoint of version ${String(version)}`)
  const installing = reader.u8() === 1
  const setId = reader.u16()
  const appliedIndex = reader.u64()
  const appliedTerm = reader.u64()
  const count = reader.checkCount(reader.u16(), 12)
  const configurations: ConfigurationAt[] = []
  for (let i = 0; i < count; i++) {
    const index = reader.u64()
    configurations.push({ index, configuration: decodeConfiguration(reader.bytes(reader.u32())) })
  }
  reader.end()
  return { setId, appliedIndex, appliedTerm, configurations, installing }
}

/** The snapshot that a checkpoint stands for. */
export function snapshotMetaOf(record: NodeRecord): SnapshotMeta {
  const configuration = record.configurations.at(-1)?.configuration
  if (configuration === undefined) throw new CodecError("a checkpoint without a configuration")
  return { lastIncludedIndex: record.appliedIndex, lastIncludedTerm: record.appliedTerm, configuration }
}
