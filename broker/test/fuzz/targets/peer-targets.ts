/** What one node takes from another: the stream of frames, the handshake, frames, and the values inside them. */
import { readFileSync } from "node:fs"
import { FrameReader, writeFrame } from "../../../src/adapters/peer/frame-reader.ts"
import { AcceptHandshake, DialHandshake } from "../../../src/adapters/peer/handshake.ts"
import type { Identity } from "../../../src/adapters/peer/handshake.ts"
import { CodecError } from "../../../src/codec/codec-error.ts"
import { crc32 } from "../../../src/codec/crc.ts"
import { PartWriter } from "../../../src/codec/part-writer.ts"
import {
  decodeEntries,
  decodePeerFrame,
  decodeRecords,
  encodeEntries,
  encodeRecords,
  joinParts,
} from "../../../src/codec/peer-codec.ts"
import { decodeValue, encodeValue } from "../../../src/codec/value-codec.ts"
import { demand, refusesWith } from "../fuzz-target.ts"
import type { FuzzTarget } from "../fuzz-target.ts"

const FRAME_BYTES_MAX = 65_536
/** Payloads come out of slabs of this size (codec/byte-slab.ts). */
const SLAB_BYTES = 1_048_576
const CHECK_SEED = 0x51_4d_43_4f

const goldenPath = new URL("../../golden/peer/v1.json", import.meta.url)
const FRAMES = Object.values(JSON.parse(readFileSync(goldenPath, "utf8")) as Record<string, string>).map((hex) =>
  Buffer.from(hex, "hex"),
)

function framed(...payloads: readonly Uint8Array[]): Uint8Array {
  const writer = new PartWriter()
  for (const payload of payloads) writeFrame(writer, [payload])
  return Buffer.concat(writer.finish())
}

/** Makes the first header right: its checksums, not its length. */
function sealFrame(input: Buffer): void {
  if (input.length < 12) return
  const length = input.readUInt32LE(0)
  const crc = crc32(input.subarray(12, Math.min(input.length, 12 + length)))
  input.writeUInt32LE(crc, 4)
  input.writeUInt32LE((length ^ crc ^ CHECK_SEED) >>> 0, 8)
}

const frames: FuzzTarget = {
  name: "peer-frames",
  inputsInTest: 3_000,
  seeds: [framed(FRAMES[1] as Buffer, FRAMES[3] as Buffer), framed(new Uint8Array(0), Buffer.alloc(300, 1))],
  seal: sealFrame,
  allocationBytesMax: SLAB_BYTES + FRAME_BYTES_MAX,
  run: (input) => {
    const reader = new FrameReader(FRAME_BYTES_MAX)
    let payloadBytes = 0
    const visit = (payload: Uint8Array): boolean => {
      payloadBytes += payload.length
      return true
    }
    const cut = (input[0] ?? 0) + (input.at(-1) ?? 0)
    const fault = reader.read(input.subarray(0, cut), visit) ?? reader.read(input.subarray(cut), visit)
    demand(payloadBytes <= input.length, "payloads are bytes that came")
    return fault === undefined ? "valid" : "refused"
  },
}

const frame: FuzzTarget = {
  name: "peer-frame",
  inputsInTest: 25_000,
  seeds: FRAMES,
  allocationBytesMax: 0,
  run: (input) =>
    refusesWith(CodecError, () => {
      decodePeerFrame(input)
    }),
}

const VALUES = [
  { queueName: "orders", maxCount: 16, ok: true, pollingWaitMs: undefined, attributes: { rewindMs: -5, half: 0.5 } },
  {
    queueName: "q",
    messages: [
      { body: Uint8Array.of(1, 2, 3), delayMs: 0 },
      { body: new Uint8Array(70), delayMs: 9 },
    ],
  },
  ["x".repeat(80), null, false, [[[[1]]]], Number.NaN, -0, 2 ** 40],
]

const value: FuzzTarget = {
  name: "peer-value",
  inputsInTest: 25_000,
  seeds: VALUES.map((each) => joinParts(encodeValue(each))),
  allocationBytesMax: 0,
  run: (input) =>
    refusesWith(CodecError, () => {
      decodeValue(input)
    }),
}

const snapshotParts: FuzzTarget = {
  name: "snapshot-chunk",
  inputsInTest: 25_000,
  seeds: [
    joinParts(
      encodeRecords([
        { key: Uint8Array.of(1, 2), value: Buffer.alloc(40, 3) },
        { key: Uint8Array.of(9), value: Uint8Array.of(0) },
      ]),
    ),
    joinParts(
      encodeEntries([
        { index: 5, term: 2, kind: "commands", data: Buffer.alloc(30, 1) },
        { index: 6, term: 2, kind: "configuration", data: Uint8Array.of(1) },
      ]),
    ),
  ],
  allocationBytesMax: 0,
  run: (input) => {
    const records = refusesWith(CodecError, () => {
      decodeRecords(input)
    })
    const entries = refusesWith(CodecError, () => {
      decodeEntries(input)
    })
    return records === "valid" ? records : entries
  },
}

function identity(nodeId: number, clusterId: string): Identity {
  return { clusterId, nodeId, configHash: "c0ffee", incarnation: Buffer.alloc(16, nodeId), secret: "secret" }
}

/** As long as a text of the handshake can be, in letters of three bytes each. */
const LONG_CLUSTER_ID = "队".repeat(85)

function handshakeSeeds(): readonly Uint8Array[] {
  const seeds: Uint8Array[] = []
  for (const clusterId of ["test", LONG_CLUSTER_ID]) {
    const dial = new DialHandshake(identity(1, clusterId), 2)
    const accept = new AcceptHandshake(identity(2, clusterId), () => true)
    const welcome = accept.receive(dial.hello)
    demand(welcome.kind === "continue", "a hello is answered")
    const proof = dial.receive(welcome.send)
    demand(proof.kind === "continue", "a welcome is answered")
    const ready = accept.receive(proof.send)
    demand(ready.kind === "done" && ready.send !== undefined, "a proof is confirmed")
    const refused = accept.receive(Buffer.from("no handshake"))
    demand(refused.kind === "refuse", "a stranger is refused")
    seeds.push(dial.hello, welcome.send, proof.send, ready.send, refused.send)
  }
  return seeds
}

/** Both sides, in any state: what comes first, and what comes after a frame in good order. */
const handshake: FuzzTarget = {
  name: "handshake",
  inputsInTest: 3_000,
  seeds: handshakeSeeds(),
  allocationBytesMax: 65_536,
  run: (input) => {
    const dial = new DialHandshake(identity(1, "test"), 2)
    const accept = new AcceptHandshake(identity(2, "test"), (nodeId) => nodeId === 1)
    const steps = [dial.receive(input), accept.receive(input), accept.receive(dial.hello), accept.receive(input)]
    for (const step of steps) demand(step.kind !== "done", "without the proof of now nobody is believed")
    return steps.slice(0, 2).some((step) => step.kind === "continue") ? "valid" : "refused"
  },
}

export const PEER_TARGETS: readonly FuzzTarget[] = [frames, frame, value, snapshotParts, handshake]
