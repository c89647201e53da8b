/**
 * CMQProto from bytes and to bytes, by protobufjs and `proto/cmq/cmq.proto`: the only file that knows either.
 *
 * A request is read by a description that has the fields of requests alone, so that what a reply would have (a million
 * message ids) is skipped and never built.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { LIMITS } from "@opencmq/proto"
import protobuf from "protobufjs"
import { frameHeader } from "./frame-reader.ts"
import type { WideInteger } from "./wide-integer.ts"

export interface AuthBody {
  readonly secretId?: string
  readonly signature?: string
  readonly clientId?: string
  readonly signatureMethod?: string
}

export interface SendBody {
  readonly queueName?: string
  readonly msgBody?: Uint8Array
  readonly delaySeconds?: number
  readonly isTransaction?: number
  readonly firstQueryInterval?: number
}

export interface BatchSendBody extends Omit<SendBody, "msgBody"> {
  readonly msgBody?: readonly Uint8Array[]
}

export interface PullBody {
  readonly queueName?: string
  readonly pollWaitSeconds?: number
  readonly visibleTimeout?: number
}

export interface BatchPullBody extends PullBody {
  readonly numMsg?: number
}

export interface DeleteBody {
  readonly queueName?: string
  readonly receiptHandle?: WideInteger
}

export interface BatchDeleteBody {
  readonly queueName?: string
  readonly receiptHandle?: readonly WideInteger[]
}

export interface PublishBody {
  readonly topicName?: string
  readonly msgBody?: Uint8Array
  readonly msgTags?: readonly string[]
  readonly routingKey?: string
}

export interface BatchPublishBody extends Omit<PublishBody, "msgBody"> {
  readonly msgBody?: readonly Uint8Array[]
}

export interface TransactionItem {
  readonly msgId?: WideInteger
  readonly state?: number
  readonly errCode?: number
  readonly errMsg?: string
}

export interface ConfirmBody {
  readonly queueName?: string
  readonly item?: readonly TransactionItem[]
}

/** A request; absent fields were not sent. */
export interface CmqRequest {
  readonly seqno: WideInteger
  readonly cmd: number
  readonly tcpAuth?: AuthBody
  readonly tcpSendMsg?: SendBody
  readonly tcpBatchSendMsg?: BatchSendBody
  readonly tcpPullMsg?: PullBody
  readonly tcpBatchPullMsg?: BatchPullBody
  readonly tcpDeleteMsg?: DeleteBody
  readonly tcpBatchDeleteMsg?: BatchDeleteBody
  readonly transactionConfirm?: ConfirmBody
  readonly tcpPublishMsg?: PublishBody
  readonly tcpBatchPublishMsg?: BatchPublishBody
}

/** Times in Unix seconds. */
export interface PulledMessage {
  readonly msgId: WideInteger
  readonly receiptHandle: WideInteger
  readonly msgBody: Uint8Array
  readonly enqueueTime: number
  readonly nextVisibleTime: number
  readonly firstDequeueTime: number
  readonly dequeueCount: number
  readonly originalQueueId?: string
  readonly originalPubTm?: number
  readonly originalDequeueCnt?: number
}

export interface DeleteFailure {
  readonly receiptHandle: WideInteger
  readonly errCode: number
  readonly errMsg: string
}

/** What a reply holds beside its head. */
export interface ReplyBody {
  readonly msgids?: readonly WideInteger[]
  readonly pullRsp?: PulledMessage
  readonly batchPullRsp?: { readonly msgList: readonly PulledMessage[] }
  readonly delResult?: readonly DeleteFailure[]
  readonly transactionConfirmReply?: { readonly item: readonly TransactionItem[] }
}

/** What the server says by itself. */
export interface CmqQuery {
  readonly seqno: number
  readonly cmd: number
  readonly transactionQuery: { readonly queueName: string; readonly msgId: WideInteger }
}

export interface CmqReply extends ReplyBody {
  readonly seqno: WideInteger
  readonly cmd: number
  readonly result: number
  readonly error?: string
  /** Below 2^53. */
  readonly requestId: number
}

/** Of `CMQProto`, those that belong to a request. */
const REQUEST_FIELDS = [
  "seqno",
  "cmd",
  "tcpAuth",
  "tcpSendMsg",
  "tcpBatchSendMsg",
  "tcpPullMsg",
  "tcpBatchPullMsg",
  "tcpDeleteMsg",
  "tcpBatchDeleteMsg",
  "transactionConfirm",
  "tcpPublishMsg",
  "tcpBatchPublishMsg",
] as const satisfies readonly (keyof CmqRequest)[]

const { requestType, replyType } = loadTypes()

function loadTypes(): { readonly requestType: protobuf.Type; readonly replyType: protobuf.Type } {
  // Without it protobufjs would read 64-bit numbers as doubles.
  if (typeof protobuf.util.Long !== "function") throw new Error("protobufjs found no package for 64-bit numbers")
  const path = createRequire(import.meta.url).resolve("@opencmq/proto/cmq/cmq.proto")
  const root = protobuf.parse(readFileSync(path, "utf8"), { keepCase: false }).root
  const whole = root.lookupType("cmq.CMQProto")
  const request = new protobuf.Type("Request")
  for (const name of REQUEST_FIELDS) {
    const field = whole.fields[name]
    if (field === undefined) throw new Error(`cmq.proto has no field ${name}`)
    request.add(new protobuf.Field(name, field.id, field.type))
  }
  // Among the messages of the file, where the types of its fields are found.
  whole.parent?.add(request)
  root.resolveAll()
  return { requestType: request, replyType: whole }
}

/** Stops at the frame that holds too many values, before they are made. */
class BoundedReader extends protobuf.BufferReader {
  #left = LIMITS.tcpValuesPerFrameCount.max

  override bytes(): Uint8Array {
    this.#count()
    return super.bytes()
  }

  override string(): string {
    this.#count()
    return super.string()
  }

  override uint64(): protobuf.Long {
    this.#count()
    return super.uint64()
  }

  #count(): void {
    this.#left--
    if (this.#left < 0) throw new RangeError("too many values in a frame")
  }
}

/**
 * Reads a request. Bodies are views of the payload.
 *
 * @returns undefined when these bytes are no request: broken, without `seqno` or `cmd`, or with too many values.
 */
export function decodeRequest(payload: Buffer): CmqRequest | undefined {
  try {
    // Without options it holds what was sent, and nothing else.
    const request = requestType.toObject(requestType.decode(new BoundedReader(payload))) as Partial<CmqRequest>
    return isAnswerable(request) ? request : undefined
  } catch {
    // Whatever protobufjs says of bytes that a stranger chose, it says the same thing.
    return undefined
  }
}

function isAnswerable(request: Partial<CmqRequest>): request is CmqRequest {
  return request.seqno !== undefined && request.cmd !== undefined
}

/** A reply, or a question, as a frame in two pieces. */
export function encodeReply(reply: CmqReply | CmqQuery): readonly [header: Uint8Array, payload: Uint8Array] {
  const payload = replyType.encode(reply).finish()
  return [frameHeader(payload.length), payload]
}
