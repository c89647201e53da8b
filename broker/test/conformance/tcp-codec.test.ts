/** CMQProto by protobufjs and cmq.proto against the same by hand, and against bytes that nobody should send. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { decodeRequest, encodeReply } from "../../src/adapters/tcp/cmq-proto.ts"
import type { CmqReply } from "../../src/adapters/tcp/cmq-proto.ts"
import { wideInteger, wideText } from "../../src/adapters/tcp/wide-integer.ts"
import { fieldsOf, message, numbersIn, piecesIn, varint } from "./kit/protobuf-wire.ts"

const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const wide = (value: bigint): ReturnType<typeof wideInteger> => wideInteger(String(BigInt.asUintN(64, value)))

test("64-bit numbers survive as text, whatever their size", () => {
  fc.assert(
    fc.property(uint64, (value) => {
      expect(wideText(wideInteger(String(value)))).toBe(String(value))
    }),
  )
})

test("a request is read as it was sent, 64-bit numbers to the last bit", () => {
  fc.assert(
    fc.property(
      uint64,
      fc.array(uint64, { maxLength: 16 }),
      fc.uint8Array({ maxLength: 300 }),
      (seqno, handles, body) => {
        const request = decodeRequest(
          message(
            [1, seqno],
            [2, 1026n],
            [200, message([1, "orders"], [2, body], [3, 7n], [5, 5_000n], [6, 1n])],
            [207, message([1, "orders"], ...handles.map((each) => [2, each] as const))],
          ),
        )
        if (request === undefined) throw new Error("not read")
        expect(wideText(request.seqno)).toBe(String(seqno))
        expect(request.cmd).toBe(1026)
        expect(request.tcpBatchDeleteMsg?.receiptHandle?.map(wideText) ?? []).toEqual(handles.map(String))
        expect(request.tcpSendMsg).toEqual({
          queueName: "orders",
          msgBody: Buffer.from(body),
          delaySeconds: 7,
          firstQueryInterval: 5_000,
        })
      },
    ),
  )
})

test("packed handles are read, too", () => {
  const packed = Buffer.concat([varint(1n), varint(2n ** 64n - 1n)])
  const request = decodeRequest(message([1, 1n], [2, 1026n], [207, message([1, "q"], [2, packed])]))
  expect(request?.tcpBatchDeleteMsg?.receiptHandle?.map(wideText)).toEqual(["1", String(2n ** 64n - 1n)])
})

test("a negative sequence number comes back in the reply", () => {
  const request = decodeRequest(message([1, -5n], [2, 1021n]))
  if (request === undefined) throw new Error("not read")
  const [header, payload] = encodeReply({ ...request, result: 0, requestId: 1 })
  expect(Buffer.from(header).readUInt32LE(2)).toBe(6 + payload.length)
  expect(numbersIn(fieldsOf(Buffer.from(payload)), 1)).toEqual([BigInt.asUintN(64, -5n)])
})

test("a reply has every field under its number", () => {
  const reply: CmqReply = {
    seqno: wide(3n),
    cmd: 1024,
    result: 6010,
    error: "(10150)…",
    requestId: 2 ** 52 + 1,
    msgids: [wide(2n ** 64n - 1n), wide(2n ** 53n + 1n)],
    delResult: [{ receiptHandle: wide(2n ** 63n), errCode: 4430, errMsg: "no" }],
    batchPullRsp: {
      msgList: [
        {
          msgId: wide(2n ** 63n + 1n),
          receiptHandle: wide(2n ** 64n - 2n),
          msgBody: Buffer.from([0, 255]),
          enqueueTime: 1_700_000_000,
          nextVisibleTime: 1_700_000_030,
          firstDequeueTime: 1_700_000_001,
          dequeueCount: 2,
          originalQueueId: "source",
          originalPubTm: 1_600_000_000,
          originalDequeueCnt: 3,
        },
      ],
    },
  }
  const fields = fieldsOf(Buffer.from(encodeReply(reply)[1]))
  expect(fields.filter(({ value }) => typeof value === "bigint").map(({ number, value }) => [number, value])).toEqual([
    [1, 3n],
    [2, 1024n],
    [3, 6010n],
    [10, 2n ** 52n + 1n],
    [29, 2n ** 64n - 1n],
    [29, 2n ** 53n + 1n],
  ])
  expect(piecesIn(fields, 4).map(String)).toEqual(["(10150)…"])
  expect(piecesIn(fields, 28)).toEqual([message([1, 2n ** 63n], [2, 4430n], [3, "no"])])
  expect(piecesIn(fields, 27)).toEqual([
    message([
      1,
      message(
        [1, 2n ** 63n + 1n],
        [3, 2n ** 64n - 2n],
        [4, Buffer.from([0, 255])],
        [5, 1_700_000_000n],
        [6, 1_700_000_030n],
        [7, 1_700_000_001n],
        [8, 2n],
        [9, "source"],
        [10, 1_600_000_000n],
        [11, 3n],
      ),
    ]),
  ])
})

test("what is no request is none: without number or command, cut off, with too many values", () => {
  const whole = message([1, 1n], [2, 1026n], [207, message([1, "q"], [2, 5n])])
  expect(decodeRequest(whole)).toBeDefined()
  for (const bytes of [
    Buffer.alloc(0),
    message([1, 1n]),
    message([2, 1021n]),
    whole.subarray(0, -1),
    message([1, 1n], [2, 1026n], [207, Buffer.from([0xff, 0xff])]),
    // Groups in groups without end.
    Buffer.concat([message([1, 1n], [2, 1021n]), Buffer.alloc(60_000, 0x2b)]),
  ])
    expect(decodeRequest(bytes)).toBeUndefined()
  const many = (count: number): Buffer =>
    message([1, 1n], [2, 1026n], [207, message(...Array.from({ length: count }, () => [2, 5n] as const))])
  expect(decodeRequest(many(256))?.tcpBatchDeleteMsg?.receiptHandle).toHaveLength(256)
  expect(decodeRequest(many(257))).toBeUndefined()
  expect(decodeRequest(message([1, 1n], [2, 1026n], [207, message([2, Buffer.alloc(1_000_000, 1)])]))).toBeUndefined()
})

test("fields of replies and fields that nobody knows are skipped, however many", () => {
  const ids = Buffer.alloc(1_000_000, 1)
  const request = decodeRequest(message([1, 1n], [2, 1021n], [29, ids], [28, Buffer.from([255])], [145, "rocket"]))
  expect(Object.keys(request ?? {})).toEqual(["seqno", "cmd"])
})

test("no bytes make it throw", () => {
  const valid = message([1, 1n], [2, 1022n], [201, message([1, "q"], [2, "a"], [2, "b"])], [199, message([1, "id"])])
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255))), fc.uint8Array(), (changes, tail) => {
      const bytes = Buffer.concat([valid, tail])
      for (const [at, byte] of changes) bytes[at] = byte
      decodeRequest(bytes)
    }),
    { numRuns: 2_000 },
  )
})
