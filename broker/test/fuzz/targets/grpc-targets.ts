/** What strangers send by gRPC: unary requests through protobufjs and the method table, and the two streams by hand. */
import { LIMITS, errorRow } from "@opencmq/proto"
import type { ServerUnaryCall } from "@grpc/grpc-js"
import { FieldReader, readHandles } from "../../../src/adapters/grpc/field-reader.ts"
import { METHOD_TABLE } from "../../../src/adapters/grpc/method-table.ts"
import { loadApi } from "../../../src/adapters/grpc/service-definition.ts"
import { readConsumeRequest, readProduceRequest } from "../../../src/adapters/grpc/stream-codec.ts"
import { UnaryCall } from "../../../src/adapters/grpc/unary-call.ts"
import { WireError } from "../../../src/adapters/grpc/wire-reader.ts"
import type { BrokerService } from "../../../src/node/service-types.ts"
import { message } from "../../conformance/kit/protobuf-wire.ts"
import { demand, refusesWith } from "../fuzz-target.ts"
import type { FuzzTarget } from "../fuzz-target.ts"

const ATTRIBUTES = [message([1, "trace"], [2, "00-ab"]), message([1, "raw"], [3, Uint8Array.of(1, 2)])] as const
const OUTGOING = message([1, "body"], [2, 1_000n], [3, "client-id"], [4, ATTRIBUTES[0]], [4, ATTRIBUTES[1]])
const HANDLES = [
  [2, "1099511627777"],
  [2, "0"],
] as const

const produce: FuzzTarget = {
  name: "grpc-produce",
  inputsInTest: 30_000,
  seeds: [
    message([1, "orders"], [2, 7n], [3, OUTGOING], [3, message([1, "b"])]),
    message([2, 2n ** 64n - 1n], [9, "x"]),
  ],
  allocationBytesMax: 1_024,
  run: (input) =>
    refusesWith(WireError, () => {
      const request = readProduceRequest(input)
      const fields = new FieldReader()
      fields.queueName("queue_name", request.queueName)
      const messages = fields.messages(request.messages, LIMITS.streamBatchCount.max)
      demand(messages.length <= LIMITS.streamBatchCount.max || fields.refusal !== undefined, "a bounded batch")
      if (fields.refusal !== undefined) demandRow(fields.refusal.error)
    }),
}

const consume: FuzzTarget = {
  name: "grpc-consume",
  inputsInTest: 60_000,
  seeds: [
    message([1, "orders"], [2, 30_000n], [3, 256n]),
    message([4, 9n], [5, "1099511627777"], [5, "x"], [6, message([1, "1"], [2, 5_000n])]),
  ],
  allocationBytesMax: 1_024,
  run: (input) =>
    refusesWith(WireError, () => {
      const request = readConsumeRequest(input)
      const fields = new FieldReader()
      fields.queueName("queue_name", request.queueName)
      fields.optionalMs("visibility_timeout_ms", request.visibilityTimeoutMs, LIMITS.visibilityTimeoutSeconds)
      const list = readHandles(fields.handleTexts(request.deleteHandles, LIMITS.batchCount.max))
      demand(list.isReadable.length === request.deleteHandles.length, "a place for every handle")
      if (fields.refusal !== undefined) demandRow(fields.refusal.error)
    }),
}

function demandRow(error: Parameters<typeof errorRow>[0]): void {
  demand(typeof errorRow(error).code === "number", "a refusal is a row of the table")
}

const POLICY = message([1, "dead"], [2, 3n])
const QUEUE = message(
  [1, 100_000_000n],
  [2, 3_000n],
  [3, 30_000n],
  [4, 65_536n],
  [5, 345_600_000n],
  [6, 0n],
  [7, POLICY],
)

/** By method; the first byte of an input chooses one, in this order. */
const UNARY: Readonly<Record<string, Buffer>> = {
  CreateQueue: message([1, "orders"], [2, QUEUE]),
  UpdateQueue: message([1, "orders"], [2, message([3, 30_000n])]),
  ListQueues: message([1, "ord"], [2, 20n], [3, "40"]),
  RewindQueue: message([1, "orders"], [2, 1_700_000_000_000n]),
  ListDeadLetterSourceQueues: message([1, "dead"], [2, "o"], [3, 20n]),
  Send: message([1, "orders"], [2, OUTGOING], [2, message([1, "b"])]),
  Receive: message([1, "orders"], [2, 16n], [3, 3_000n], [4, 30_000n]),
  Delete: message([1, "orders"], ...HANDLES),
  ChangeVisibility: message([1, "orders"], ...HANDLES, [3, 10_000n]),
  Peek: message([1, "orders"], [2, 16n], [3, 5n]),
}

/** Answers nothing: a request that came so far was read. */
const silentService: BrokerService = {
  execute: () => undefined,
  leaderHint: () => undefined,
} as unknown as BrokerService

/** Every unary method that has fields, decoded as the face does it and checked by the method table. */
export async function unaryTarget(): Promise<FuzzTarget> {
  const { services } = await loadApi()
  const codecs = new Map(services.flatMap(({ methods }) => methods.map((method) => [method.name, method])))
  const names = Object.keys(UNARY)
  return {
    name: "grpc-unary",
    inputsInTest: 20_000,
    seeds: names.map((name, index) => Buffer.concat([Buffer.of(index), UNARY[name] as Buffer])),
    allocationBytesMax: 4_096,
    run: (input) => {
      const name = names[(input[0] ?? 0) % names.length] as string
      const codec = codecs.get(name)
      const row = METHOD_TABLE[name]
      demand(codec !== undefined && row !== undefined, "the method exists")
      let request: unknown
      try {
        request = codec.decode(input.subarray(1))
      } catch (error) {
        // The face refuses whatever protobufjs says about bytes that a stranger chose.
        if (error instanceof Error && error.name !== "AllocationTooLarge") return "refused"
        throw error
      }
      let isRefused = false
      const call = new UnaryCall(
        { service: silentService, finished: () => undefined },
        {
          operation: name,
          requestId: "1",
          timeoutMs: 1_000,
          startedAtMs: 0,
          leftMs: 1_000,
          call: { on: () => undefined } as unknown as ServerUnaryCall<Buffer, Buffer>,
          respond: (refusal) => {
            isRefused = refusal !== null
          },
          encode: (value) => codec.encode(value),
        },
      )
      row(call, request as never)
      return isRefused ? "refused" : "valid"
    },
  }
}

export const GRPC_TARGETS: readonly FuzzTarget[] = [produce, consume]
