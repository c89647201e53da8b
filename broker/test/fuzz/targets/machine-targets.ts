/** What the log and the checkpoint hold: commands, message records, configurations, records of the machine and the node. */
import { readFileSync } from "node:fs"
import { CodecError, EntryBuilder, EntryReader } from "../../../src/codec/command-codec.ts"
import { crc32 } from "../../../src/codec/crc.ts"
import {
  RECORD_HEADER_BYTES,
  measureRecord,
  readAttributes,
  readBody,
  readClientMessageId,
  readDelayMs,
  readOrdinal,
  readRoutingKey,
  readTags,
  verifyRecord,
  writeMessageRecord,
} from "../../../src/codec/message-record.ts"
import { decodeRecords, encodeRecords, joinParts } from "../../../src/codec/peer-codec.ts"
import { AssertionFailed } from "../../../src/core/assert.ts"
import { defaultMachineLimits } from "../../../src/core/queue/machine-limits.ts"
import { QueueMachine } from "../../../src/core/queue/queue-machine.ts"
import { decodeConfiguration, encodeConfiguration } from "../../../src/core/raft/configuration-codec.ts"
import { decodeNodeRecord, encodeNodeRecord } from "../../../src/node/node-record.ts"
import { demand, refusesWith } from "../fuzz-target.ts"
import type { FuzzTarget } from "../fuzz-target.ts"

function goldenBytes(name: string): Buffer {
  const text = readFileSync(new URL(`../../golden/commands/${name}`, import.meta.url), "utf8")
  return Buffer.from(text.replaceAll(/\s/g, ""), "hex")
}

function smallEntry(): Uint8Array {
  const builder = new EntryBuilder()
  builder.begin({ setId: 1 })
  builder.addReceive({ queueId: 1, maxCount: 16, visibilityTimeoutMs: -1 })
  builder.addDelete({ queueId: 1, handles: [{ slot: 5, deliveryNumber: 2 ** 33 }] })
  builder.addChangeVisibility({ queueId: 1, handles: [{ slot: 5, deliveryNumber: 1 }], visibilityTimeoutMs: 9 })
  builder.addReportPush({ subscriptionId: 3, deliveredThrough: 7, failedSequence: 0 })
  builder.addSend({
    queueId: 1,
    messages: [{ body: Buffer.from("b"), delayMs: 0, clientMessageId: "c", attributes: [] }],
  })
  return builder.finish(1_700_000_000_000)
}

const reader = new EntryReader()
const command: FuzzTarget = {
  name: "command",
  inputsInTest: 15_000,
  seeds: [smallEntry(), goldenBytes("entry-v1.hex"), goldenBytes("topics-v1.hex")],
  allocationBytesMax: 0,
  run: (input) =>
    refusesWith(CodecError, () => {
      const { commandCount } = reader.open(input)
      let count = 0
      while (reader.next() !== undefined) count++
      demand(count === commandCount, "as many commands as announced")
    }),
}

function recordSeed(): Uint8Array {
  const message = {
    body: Buffer.from("hello"),
    delayMs: 5_000,
    clientMessageId: "client",
    attributes: [
      { name: "trace", type: "string", value: Buffer.from("00") },
      { name: "raw", type: "binary", value: Uint8Array.of(1, 2) },
    ],
    tags: ["red", "blue"],
    routingKey: "a.b",
  } as const
  const size = measureRecord(message)
  const buffer = Buffer.alloc(size.totalBytes)
  writeMessageRecord({ buffer, at: 0, ordinal: 3 }, message, size)
  return buffer
}

const record: FuzzTarget = {
  name: "message-record",
  inputsInTest: 25_000,
  seeds: [recordSeed()],
  seal: (input) => {
    if (input.length >= RECORD_HEADER_BYTES) input.writeUInt32LE(crc32(input.subarray(4)), 0)
  },
  allocationBytesMax: 0,
  run: (input) => {
    const isWhole = verifyRecord(input)
    const verdict = refusesWith(CodecError, () => {
      readOrdinal(input)
      readDelayMs(input)
      readClientMessageId(input)
      readAttributes(input)
      readTags(input)
      readRoutingKey(input)
      demand(readBody(input).length <= input.length, "a body lies in its record")
    })
    return isWhole ? verdict : "refused"
  },
}

const CONFIGURATION = { voters: [1, 2, 3], votersOutgoing: [1, 2, 4], learners: [7], learnersNext: [4] }

/** Protected by checksums, so nonsense is a bug by the house rules: an assertion, and nothing else. */
const configuration: FuzzTarget = {
  name: "configuration",
  inputsInTest: 60_000,
  seeds: [
    encodeConfiguration(CONFIGURATION),
    encodeConfiguration({ ...CONFIGURATION, votersOutgoing: [], learnersNext: [] }),
  ],
  allocationBytesMax: 0,
  run: (input) =>
    refusesWith(AssertionFailed, () => {
      decodeConfiguration(input)
    }),
}

const nodeRecord: FuzzTarget = {
  name: "node-record",
  inputsInTest: 25_000,
  seeds: [
    encodeNodeRecord({
      setId: 0,
      appliedIndex: 1_000,
      appliedTerm: 3,
      configurations: [
        { index: 0, configuration: { voters: [1], votersOutgoing: [], learners: [], learnersNext: [] } },
        { index: 9, configuration: CONFIGURATION },
      ],
      installing: true,
    }),
  ],
  allocationBytesMax: 0,
  run: (input) =>
    refusesWith([CodecError, AssertionFailed], () => {
      decodeNodeRecord(input)
    }),
}

/** The lines of a golden state: key and value. */
function stateSeed(name: string): Uint8Array {
  const lines = readFileSync(new URL(`../../golden/commands/${name}`, import.meta.url), "utf8")
    .trim()
    .split("\n")
  const records = lines.slice(1).map((line) => {
    const [key = "", value = ""] = line.split(" ")
    return { key: Buffer.from(key, "hex"), value: Buffer.from(value, "hex") }
  })
  return joinParts(encodeRecords(records))
}

/** Columns of chunks and pages have their full length from the beginning, however few of their places are used. */
const RESTORED_BYTES_MAX = 4 * 1024 * 1024

class CorruptCheckpoint extends Error {}

/** A RangeError is thrown by the engine, too: those of the machine say what they are about. */
function isCorruptCheckpoint(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes("checkpoint")
}

/** A whole checkpoint, as it comes from the disk or with a snapshot. */
const checkpoint: FuzzTarget = {
  name: "checkpoint",
  inputsInTest: 2_000,
  seeds: [stateSeed("state-v1.txt"), stateSeed("topics-state-v1.txt")],
  allocationBytesMax: RESTORED_BYTES_MAX,
  run: (input) => {
    let records: ReturnType<typeof decodeRecords> = []
    const outer = refusesWith(CodecError, () => {
      records = decodeRecords(input)
    })
    if (outer === "refused" || records.length === 0) return "refused"
    return refusesWith(CorruptCheckpoint, () => {
      const machine = new QueueMachine(defaultMachineLimits)
      try {
        for (const { key, value } of records) machine.restore(key, value)
        machine.finishRestore()
      } catch (error) {
        throw isCorruptCheckpoint(error) ? new CorruptCheckpoint() : error
      }
      demand(Number.isSafeInteger(machine.stateHash()), "what was restored can be written down again")
    })
  },
}

export const MACHINE_TARGETS: readonly FuzzTarget[] = [command, record, configuration, nodeRecord, checkpoint]
