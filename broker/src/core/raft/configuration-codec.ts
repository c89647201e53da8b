/**
 * The bytes of a configuration entry. Format 1:
 *
 *     +---------+------------------+------------------------+--------------+------------------+
 *     | 1 (u8)  | voters           | votersOutgoing         | learners     | learnersNext     |
 *     +---------+------------------+------------------------+--------------+------------------+
 *     each list: count (u8), then each node id as u16, big end first, ascending
 *
 * An entry holds the whole configuration, not a change: whoever has the entry needs nothing before it.
 */
import { assert } from "../assert.ts"
import { allMembers, checkConfiguration, MAX_MEMBERS } from "./configuration.ts"
import type { Configuration, NodeId } from "./types.ts"

const FORMAT_VERSION = 1
const NODE_ID_BYTES = 2

/** Encodes a configuration that satisfies `checkConfiguration` (asserted). */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  checkConfiguration(configuration)
  assert(allMembers(configuration).length <= MAX_MEMBERS, "a configuration has a bounded number of members")
  const lists = [configuration.voters, configuration.votersOutgoing, configuration.learners, configuration.learnersNext]
  const bytes: number[] = [FORMAT_VERSION]
  for (const list of lists) {
    bytes.push(list.length)
    for (const nodeId of list) bytes.push(nodeId >>> 8, nodeId & 0xff)
  }
  return Uint8Array.from(bytes)
}

/**
 * Reads what `encodeConfiguration` wrote. Entries are protected by the log's and the peers' checksums, so bytes that cannot be
 * read are a bug (asserted), not an input error.
 */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  assert(bytes[0] === FORMAT_VERSION, "the format of a configuration entry is known")
  let position = 1
  const nextList = (): NodeId[] => {
    const count = bytes[position++]
    assert(count !== undefined && position + count * NODE_ID_BYTES <= bytes.length, "a configuration entry is whole")
    const list: NodeId[] = []
    for (let place = 0; place < count; place++, position += NODE_ID_BYTES) {
      list.push(((bytes[position] ?? 0) << 8) | (bytes[position + 1] ?? 0))
    }
    return list
  }
  const voters = nextList()
  const votersOutgoing = nextList()
  const learners = nextList()
  const learnersNext = nextList()
  assert(position === bytes.length, "nothing follows a configuration")
  const configuration: Configuration = { voters, votersOutgoing, learners, learnersNext }
  checkConfiguration(configuration)
  return configuration
}
