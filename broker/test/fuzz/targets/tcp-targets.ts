/** What strangers send by CMQ's TCP protocol: the stream of frames, and the requests in them. */
import { decodeRequest } from "../../../src/adapters/tcp/cmq-proto.ts"
import { COMMANDS, unknownCommand } from "../../../src/adapters/tcp/command-table.ts"
import { FrameReader, frameHeader } from "../../../src/adapters/tcp/frame-reader.ts"
import { TcpCall } from "../../../src/adapters/tcp/tcp-call.ts"
import type { CallHost } from "../../../src/adapters/tcp/tcp-call.ts"
import { message } from "../../conformance/kit/protobuf-wire.ts"
import { demand } from "../fuzz-target.ts"
import type { FuzzTarget } from "../fuzz-target.ts"

const FRAME_BYTES_MAX = 4_096

const REQUESTS = [
  message([1, 1n], [2, 1020n], [199, message([1, "AKID"], [2, "c2ln"], [3, "ip@name"], [4, "HmacSHA1"])]),
  message([1, 2n], [2, 1021n], [200, message([1, "orders"], [2, "body"], [3, 5n], [4, 0n])]),
  message([1, 3n], [2, 1022n], [201, message([1, "orders"], [2, "one"], [2, "two"], [3, 5n])]),
  message([1, 4n], [2, 1023n], [202, message([1, "orders"], [2, 3n], [3, 30n])]),
  message([1, 5n], [2, 1024n], [204, message([1, "orders"], [2, 16n], [3, 3n])]),
  message([1, 6n], [2, 1025n], [206, message([1, "orders"], [2, 2n ** 64n - 1n])]),
  message([1, 7n], [2, 1026n], [207, message([1, "orders"], [2, 1n], [2, 2n])]),
  message([1, 8n], [2, 1040n]),
]

function frameOf(payload: Buffer): Buffer {
  return Buffer.concat([frameHeader(payload.length), payload])
}

const frames: FuzzTarget = {
  name: "tcp-frame",
  seeds: [
    Buffer.concat(REQUESTS.slice(0, 3).map(frameOf)),
    frameOf(Buffer.alloc(600, 7)),
    frameOf(REQUESTS[7] as Buffer),
  ],
  // What a payload that does not come in one piece is gathered in, twice as it grows.
  allocationBytesMax: 3 * FRAME_BYTES_MAX,
  run: (input) => {
    const reader = new FrameReader(FRAME_BYTES_MAX)
    let payloadBytes = 0
    const visit = (payload: Buffer): boolean => {
      payloadBytes += payload.length
      return true
    }
    const cut = (input[0] ?? 0) + (input.at(-1) ?? 0)
    const fault = reader.read(input.subarray(0, cut), visit) ?? reader.read(input.subarray(cut), visit)
    demand(payloadBytes <= input.length, "payloads are bytes that came")
    demand(reader.heldBytes <= FRAME_BYTES_MAX, "no more is kept than a frame")
    return fault === undefined ? "valid" : "refused"
  },
}

const host: CallHost = {
  service: { execute: () => undefined } as unknown as CallHost["service"],
  send: (reply) => {
    demand(reply.result !== 0 && typeof reply.error === "string", "what is answered at once is a refusal")
    return true
  },
  finished: () => undefined,
}

const request: FuzzTarget = {
  name: "tcp-request",
  inputsInTest: 30_000,
  seeds: REQUESTS,
  allocationBytesMax: 4_096,
  run: (input) => {
    const read = decodeRequest(input)
    if (read === undefined) return "refused"
    const command = COMMANDS.get(read.cmd) ?? unknownCommand(read.cmd)
    command.run(new TcpCall(host, { command, request: read, requestNumber: 1, timeoutMs: 1_000, startedAtMs: 0 }), read)
    return "valid"
  },
}

export const TCP_TARGETS: readonly FuzzTarget[] = [frames, request]
