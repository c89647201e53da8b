import fc from "fast-check"
import { readFileSync, writeFileSync } from "node:fs"
import { expect, test } from "vitest"
import type { Configuration, Entry, Message } from "../core/raft/types.ts"
import { CodecError } from "./codec-error.ts"
import {
  decodeEntries,
  decodePeerFrame,
  decodeRecords,
  encodeEntries,
  encodePeerFrame,
  encodeRecords,
  joinParts,
} from "./peer-codec.ts"
import type { PeerFrame } from "./peer-codec.ts"

const u32 = fc.nat(0xffff_ffff)
const whole = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 1400 })
const hash = fc.string({ maxLength: 64 })

const entry: fc.Arbitrary<Entry> = fc.record({
  index: whole,
  term: whole,
  kind: fc.constantFrom("commands", "configuration"),
  data: bytes,
})
const entries = fc.array(entry, { maxLength: 8 })
const nodeIds = fc.array(u32, { maxLength: 7 })
const configuration: fc.Arbitrary<Configuration> = fc.record({
  voters: nodeIds,
  votersOutgoing: nodeIds,
  learners: nodeIds,
  learnersNext: nodeIds,
})

function messageOf<Kind extends Message["kind"]>(
  kind: Kind,
  fields: { [Field in Exclude<keyof Extract<Message, { kind: Kind }>, "kind" | "from" | "to" | "term">]: unknown },
): fc.Arbitrary<Message> {
  const model = { kind: fc.constant(kind), from: u32, to: u32, term: whole, ...fields }
  return fc.record(model as never) as fc.Arbitrary<Message>
}

const installSnapshot = messageOf("installSnapshot", {
  snapshot: fc.record({ lastIncludedIndex: whole, lastIncludedTerm: whole, configuration }),
})
const message: fc.Arbitrary<Message> = fc.oneof(
  messageOf("requestVote", {
    preVote: fc.boolean(),
    leadershipTransfer: fc.boolean(),
    lastLogIndex: whole,
    lastLogTerm: whole,
  }),
  messageOf("requestVoteReply", { preVote: fc.boolean(), voteGranted: fc.boolean() }),
  messageOf("appendEntries", { prevLogIndex: whole, prevLogTerm: whole, entries, leaderCommit: whole }),
  messageOf("appendEntriesReply", { success: fc.boolean(), index: whole, hintIndex: whole, hintTerm: whole }),
  messageOf("heartbeat", { leaderCommit: whole, readRound: whole }),
  messageOf("heartbeatReply", { readRound: whole }),
  installSnapshot,
  messageOf("timeoutNow", {}),
)

const facts = fc.record({
  clockMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
  diskLow: fc.boolean(),
  stateHash: fc.option(fc.record({ index: whole, hash }), { nil: undefined }),
})

function frameOf<Kind extends PeerFrame["kind"]>(
  kind: Kind,
  fields: { [Field in Exclude<keyof Extract<PeerFrame, { kind: Kind }>, "kind" | "setId">]: unknown },
): fc.Arbitrary<PeerFrame> {
  const model = { kind: fc.constant(kind), setId: fc.nat(0xffff), ...fields }
  return fc.record(model as never) as fc.Arbitrary<PeerFrame>
}

const frame: fc.Arbitrary<PeerFrame> = fc.oneof(
  { weight: 5, arbitrary: frameOf("raftMessages", { facts, messages: fc.array(message, { maxLength: 6 }) }) },
  frameOf("forwardRequest", { requestId: u32, timeoutMs: u32, useCase: hash, value: bytes }),
  frameOf("forwardReply", { requestId: u32, value: bytes }),
  frameOf("forwardCancel", { requestId: u32 }),
  frameOf("snapshotBegin", { transferId: u32, message: installSnapshot }),
  frameOf("snapshotChunk", {
    transferId: u32,
    sequence: u32,
    content: fc.constantFrom("records", "entries"),
    crc: u32,
    bytes,
  }),
  frameOf("snapshotAck", {
    transferId: u32,
    nextSequence: u32,
    state: fc.constantFrom("receiving", "installed", "refused"),
  }),
  frameOf("snapshotEnd", { transferId: u32, chunkCount: u32, crc: u32 }),
  frameOf("repairRequest", { requestId: u32, firstIndex: whole, lastIndex: whole, maxBytes: u32 }),
  frameOf("repairReply", { requestId: u32, entries }),
)

function encoded(value: PeerFrame): Uint8Array {
  return joinParts(encodePeerFrame(value))
}

test("every frame comes back as it was", () => {
  fc.assert(
    fc.property(frame, (value) => {
      expect(decodePeerFrame(encoded(value))).toEqual(value)
    }),
    { numRuns: 2000 },
  )
})

test("entries and values given in parts come back whole", () => {
  const value = [new Uint8Array(900).fill(1), new Uint8Array(3).fill(2), new Uint8Array(900).fill(3)]
  const parts = encodePeerFrame({ kind: "forwardReply", setId: 0, requestId: 1, value })
  expect(decodePeerFrame(joinParts(parts))).toEqual({
    kind: "forwardReply",
    setId: 0,
    requestId: 1,
    value: joinParts(value),
  })
})

test("the data of an entry is passed on, not copied, and comes back as a view", () => {
  const data = new Uint8Array(70_000).fill(9)
  const entries: Entry[] = [{ index: 5, term: 2, kind: "commands", data }]
  const parts = encodePeerFrame({ kind: "repairReply", setId: 1, requestId: 1, entries })
  expect(parts.some((part) => part === data)).toBe(true)
  const payload = joinParts(parts)
  const back = decodePeerFrame(payload)
  expect(back.kind === "repairReply" && back.entries[0]?.data.buffer).toBe(payload.buffer)
})

test("two frames written one after the other do not touch each other's bytes", () => {
  const first = encodePeerFrame({ kind: "forwardCancel", setId: 1, requestId: 1 })
  const second = encodePeerFrame({ kind: "forwardCancel", setId: 2, requestId: 2 })
  expect(decodePeerFrame(joinParts(first))).toEqual({ kind: "forwardCancel", setId: 1, requestId: 1 })
  expect(decodePeerFrame(joinParts(second))).toEqual({ kind: "forwardCancel", setId: 2, requestId: 2 })
})

test("chunks of entries and of records come back", () => {
  fc.assert(
    fc.property(entries, fc.array(fc.record({ key: bytes, value: bytes })), (someEntries, records) => {
      expect(decodeEntries(joinParts(encodeEntries(someEntries)))).toEqual(someEntries)
      expect(decodeRecords(joinParts(encodeRecords(records)))).toEqual(records)
    }),
    { numRuns: 300 },
  )
})

test("a number that has no place in its field is refused when it is written", () => {
  expect(() => encodePeerFrame({ kind: "forwardCancel", setId: 70_000, requestId: 1 })).toThrow(RangeError)
  expect(() => encodePeerFrame({ kind: "forwardCancel", setId: 0, requestId: -1 })).toThrow(RangeError)
})

test("an unknown kind, another version, bytes too few or too many are refused", () => {
  const good = Buffer.from(encoded({ kind: "forwardCancel", setId: 0, requestId: 7 }))
  const broken = {
    kind: Buffer.concat([Buffer.of(0x7f), good.subarray(1)]),
    version: Buffer.concat([good.subarray(0, 1), Buffer.of(2), good.subarray(2)]),
    short: good.subarray(0, -1),
    long: Buffer.concat([good, Buffer.of(0)]),
    empty: Buffer.alloc(0),
    count: Buffer.from("0a01000001000000ffffffff", "hex"),
    length: Buffer.from(`0a0100000100000001000000${"00".repeat(17)}ffffffff`, "hex"),
  }
  for (const [what, payload] of Object.entries(broken)) {
    expect(() => decodePeerFrame(payload), what).toThrow(CodecError)
  }
})

const mutated = fc
  .tuple(frame, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat())
  .map(([value, changes, cut]) => {
    const payload = encoded(value)
    for (const [at, byte] of changes) payload[at % payload.length] = byte
    return cut % 3 === 0 ? payload.subarray(0, cut % payload.length) : payload
  })

test("any bytes give a frame or a CodecError", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), mutated), (payload) => {
      for (const decode of [decodePeerFrame, decodeEntries, decodeRecords]) {
        try {
          decode(payload)
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError)
        }
      }
    }),
    { numRuns: 5000 },
  )
})

const base = { from: 1, to: 2, term: 3 }
const fewEntries: Entry[] = [
  { index: 8, term: 3, kind: "commands", data: Uint8Array.of(1, 2, 3) },
  { index: 2 ** 40 - 1, term: 2 ** 53 - 1, kind: "configuration", data: new Uint8Array(0) },
]
const meta = {
  lastIncludedIndex: 6,
  lastIncludedTerm: 2,
  configuration: { voters: [1, 2, 3], votersOutgoing: [1, 2], learners: [4], learnersNext: [] },
}
const releasedFrames: Record<string, PeerFrame> = {
  "raft-messages": {
    kind: "raftMessages",
    setId: 0x0102,
    facts: { clockMs: 1_763_834_881_123, diskLow: true, stateHash: { index: 7, hash: "c0ffee" } },
    messages: [
      { kind: "requestVote", ...base, preVote: true, leadershipTransfer: false, lastLogIndex: 9, lastLogTerm: 2 },
      { kind: "requestVoteReply", ...base, preVote: false, voteGranted: true },
      { kind: "appendEntries", ...base, prevLogIndex: 7, prevLogTerm: 3, entries: fewEntries, leaderCommit: 6 },
      { kind: "appendEntriesReply", ...base, success: false, index: 7, hintIndex: 5, hintTerm: 2 },
      { kind: "heartbeat", ...base, leaderCommit: 6, readRound: 11 },
      { kind: "heartbeatReply", ...base, readRound: 11 },
      { kind: "installSnapshot", ...base, snapshot: meta },
      { kind: "timeoutNow", ...base },
    ],
  },
  "forward-request": {
    kind: "forwardRequest",
    setId: 0,
    requestId: 1,
    timeoutMs: 5000,
    useCase: "deleteQueue",
    value: Uint8Array.of(1),
  },
  "forward-reply": { kind: "forwardReply", setId: 0, requestId: 1, value: Uint8Array.of(2) },
  "forward-cancel": { kind: "forwardCancel", setId: 0, requestId: 1 },
  "snapshot-begin": {
    kind: "snapshotBegin",
    setId: 0,
    transferId: 5,
    message: { kind: "installSnapshot", ...base, snapshot: meta },
  },
  "snapshot-chunk": {
    kind: "snapshotChunk",
    setId: 0,
    transferId: 5,
    sequence: 1,
    content: "entries",
    crc: 0xdead_beef,
    bytes: Uint8Array.of(1, 2),
  },
  "snapshot-ack": { kind: "snapshotAck", setId: 0, transferId: 5, nextSequence: 2, state: "installed" },
  "snapshot-end": { kind: "snapshotEnd", setId: 0, transferId: 5, chunkCount: 2, crc: 1 },
  "repair-request": { kind: "repairRequest", setId: 0, requestId: 9, firstIndex: 8, lastIndex: 9, maxBytes: 4096 },
  "repair-reply": { kind: "repairReply", setId: 0, requestId: 9, entries: fewEntries },
}

// Golden bytes: a new version of the codec gets new files and still reads these. UPDATE=1 writes missing ones anew.
const golden = new URL("../../test/golden/peer/v1.json", import.meta.url)

test("frames of version 1 are written and read as they were when it was released", () => {
  const hex = Object.fromEntries(
    Object.entries(releasedFrames).map(([name, value]) => [name, Buffer.from(encoded(value)).toString("hex")]),
  )
  if (process.env["UPDATE"] === "1") writeFileSync(golden, `${JSON.stringify(hex, undefined, 2)}\n`)
  const released = JSON.parse(readFileSync(golden, "utf8")) as Record<string, string>
  expect(hex).toEqual(released)
  for (const [name, text] of Object.entries(released)) {
    expect(decodePeerFrame(new Uint8Array(Buffer.from(text, "hex")))).toEqual(releasedFrames[name])
  }
})
