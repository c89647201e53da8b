/** A client of CMQ's TCP protocol over a bare socket: what a stranger would write after reading docs/tcp-api.md. */
import { createHmac } from "node:crypto"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { SECRET_ID, SECRET_KEY } from "./face.ts"
import { fieldsOf, message, numbersIn, piecesIn } from "./protobuf-wire.ts"
import type { ReadField, WireField } from "./protobuf-wire.ts"
import { poll } from "./raw-socket.ts"

/** Commands and the fields that hold their bodies. */
export const COMMAND = {
  authenticate: [1020, 199],
  send: [1021, 200],
  batchSend: [1022, 201],
  pull: [1023, 202],
  batchPull: [1024, 204],
  delete: [1025, 206],
  batchDelete: [1026, 207],
  publish: [1027, 208],
  batchPublish: [1028, 209],
  heartbeat: [1040, 0],
  confirm: [1041, 221],
} as const

export type CommandName = keyof typeof COMMAND

export interface Pulled {
  readonly msgId: bigint
  readonly receiptHandle: bigint
  readonly body: Buffer
  readonly fields: readonly ReadField[]
}

export interface TcpReply {
  readonly seqno: bigint
  readonly cmd: bigint
  readonly result: bigint
  readonly error: string
  readonly requestId: bigint
  readonly msgids: readonly bigint[]
  /** Of either kind of pull. */
  readonly messages: readonly Pulled[]
  /** What the server asks by itself (1042). */
  readonly query: { readonly queueName: string; readonly msgId: bigint } | undefined
  readonly failures: readonly { readonly receiptHandle: bigint; readonly errCode: bigint; readonly errMsg: string }[]
}

export function frameOf(payload: Uint8Array): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt32LE(6 + payload.length, 2)
  return Buffer.concat([head, payload])
}

export function requestFrame(seqno: bigint, name: CommandName, body: readonly WireField[]): Buffer {
  const [cmd, field] = COMMAND[name]
  const head: WireField[] = [
    [1, seqno],
    [2, BigInt(cmd)],
  ]
  return frameOf(message(...head, ...(field === 0 ? [] : [[field, message(...body)] as const])))
}

/** Fields of 1020. */
export function authentication(
  hash: "sha1" | "sha256" = "sha1",
  clientId = "10.0.0.5@DEFAULT",
  { secretId, secretKey } = { secretId: SECRET_ID, secretKey: SECRET_KEY },
): WireField[] {
  const signature = createHmac(hash, secretKey)
    .update(clientId + secretId)
    .digest("base64")
  return [
    [1, secretId],
    [2, signature],
    [3, clientId],
    [4, hash === "sha1" ? "HmacSHA1" : "HmacSHA256"],
  ]
}

export class TcpClient {
  readonly socket: Socket
  /** Every reply, in order of arrival. */
  readonly replies: TcpReply[] = []
  isClosed = false
  #received = Buffer.alloc(0)
  #seqno = 0n

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#takeReplies()
    })
    socket.on("close", () => {
      this.isClosed = true
    })
    socket.on("error", () => {
      this.isClosed = true
    })
  }

  static connect(port: number): Promise<TcpClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true })
      socket.once("error", reject)
      socket.once("connect", () => {
        resolve(new TcpClient(socket))
      })
    })
  }

  static async open(port: number, keys?: { secretId: string; secretKey: string }): Promise<TcpClient> {
    const client = await TcpClient.connect(port)
    const { result, error } = await client.call("authenticate", ...authentication("sha1", undefined, keys))
    if (result !== 0n) throw new Error(`not authenticated: ${String(result)} ${error}`)
    return client
  }

  /** Sends a request. @returns its sequence number. */
  start(name: CommandName, ...body: readonly WireField[]): bigint {
    this.#seqno++
    this.socket.write(requestFrame(this.#seqno, name, body))
    return this.#seqno
  }

  async call(name: CommandName, ...body: readonly WireField[]): Promise<TcpReply> {
    return this.reply(this.start(name, ...body))
  }

  async reply(seqno: bigint): Promise<TcpReply> {
    const found = (): TcpReply | undefined =>
      this.replies.find((reply) => reply.query === undefined && reply.seqno === BigInt.asUintN(64, seqno))
    await poll(() => found() !== undefined || this.isClosed, 20_000)
    const reply = found()
    if (reply === undefined) throw new Error("the connection was closed")
    return reply
  }

  closed(timeoutMs = 5_000): Promise<void> {
    return poll(() => this.isClosed, timeoutMs)
  }

  close(): void {
    this.socket.destroy()
  }

  #takeReplies(): void {
    while (this.#received.length >= 6) {
      if (this.#received.readUInt16LE(0) !== 0) throw new Error("a reply is no frame")
      const length = this.#received.readUInt32LE(2)
      if (this.#received.length < length) return
      this.replies.push(replyOf(this.#received.subarray(6, length)))
      this.#received = this.#received.subarray(length)
    }
  }
}

function replyOf(payload: Buffer): TcpReply {
  const fields = fieldsOf(payload)
  const number = (id: number): bigint => numbersIn(fields, id)[0] ?? -1n
  const pulled = [...piecesIn(fields, 26), ...piecesIn(fields, 27).flatMap((list) => piecesIn(fieldsOf(list), 1))]
  return {
    seqno: number(1),
    cmd: number(2),
    result: number(3),
    error: String(piecesIn(fields, 4)[0] ?? ""),
    requestId: number(10),
    msgids: numbersIn(fields, 29),
    messages: pulled.map((bytes) => pulledOf(fieldsOf(bytes))),
    query: piecesIn(fields, 223).map((bytes) => {
      const parts = fieldsOf(bytes)
      return { queueName: String(piecesIn(parts, 1)[0]), msgId: numbersIn(parts, 2)[0] ?? -1n }
    })[0],
    failures: piecesIn(fields, 28).map((bytes) => {
      const parts = fieldsOf(bytes)
      const [receiptHandle = -1n, errCode = -1n] = [numbersIn(parts, 1)[0], numbersIn(parts, 2)[0]]
      return { receiptHandle, errCode, errMsg: String(piecesIn(parts, 3)[0]) }
    }),
  }
}

function pulledOf(fields: readonly ReadField[]): Pulled {
  return {
    msgId: numbersIn(fields, 1)[0] ?? -1n,
    receiptHandle: numbersIn(fields, 3)[0] ?? -1n,
    body: piecesIn(fields, 4)[0] ?? Buffer.alloc(0),
    fields,
  }
}
