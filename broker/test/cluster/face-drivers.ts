/**
 * One way to say "send, receive, delete" to every face, so that the same table of scenarios runs over all of them. What a
 * face answers becomes a value, or the name of the row of the error table that it refused with.
 */
import type { ServiceError } from "@grpc/grpc-js"
import { Account, CmqError } from "@opencmq/client-sdk"
import type { LocalNode } from "@opencmq/bench/harness"
import { errorByReply } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import { CmqClient } from "../conformance/kit/client.ts"
import { GrpcClient, refusedOf } from "../conformance/kit/grpc-face.ts"
import type { Fields } from "../conformance/kit/grpc-face.ts"
import { numbersIn } from "../conformance/kit/protobuf-wire.ts"
import type { WireField } from "../conformance/kit/protobuf-wire.ts"
import { TcpClient } from "../conformance/kit/tcp-client.ts"
import type { TcpReply } from "../conformance/kit/tcp-client.ts"

export interface Received {
  readonly body: string
  readonly receiptHandle: string
  readonly dequeueCount: number
}

/** What was refused, by its name. `noMessage` is no refusal here: it is an empty list. */
export class Refused extends Error {
  readonly error: string

  constructor(error: string) {
    super(error)
    this.error = error
  }
}

export interface FaceDriver {
  readonly name: string
  /** @returns message ids. @throws Refused. */
  send(queueName: string, bodies: readonly string[], delaySeconds?: number): Promise<readonly string[]>
  /** @throws Refused. */
  receive(queueName: string, options: ReceiveSpec): Promise<readonly Received[]>
  /** @returns for each handle undefined, or why it was refused. @throws Refused. */
  remove(queueName: string, handles: readonly string[]): Promise<readonly (string | undefined)[]>
  /** @returns message ids. @throws Refused. */
  publish(topicName: string, bodies: readonly string[], labels: Labels): Promise<readonly string[]>
  close(): void
}

/** By what subscriptions choose messages. */
export interface Labels {
  readonly tags?: readonly string[]
  readonly routingKey?: string
}

export interface ReceiveSpec {
  readonly max: number
  readonly waitSeconds?: number
  readonly visibilitySeconds?: number
}

interface Keys {
  readonly secretId: string
  readonly secretKey: string
}

export async function openDrivers(node: LocalNode, tcpPort: number, keys: Keys): Promise<readonly FaceDriver[]> {
  return [
    new HttpDriver(portOf(node.http), keys),
    new TcpDriver(await TcpClient.open(tcpPort, keys)),
    new GrpcDriver(portOf(node.grpc), keys),
    new SdkDriver(new Account({ endpoints: [node.endpoint], ...keys })),
  ]
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1))
}

function nameOf(code: number, text: string): string {
  return errorByReply(code, text) ?? `${String(code)}: ${text}`
}

class HttpDriver implements FaceDriver {
  readonly name = "HTTP"
  readonly #client: CmqClient

  constructor(port: number, keys: Keys) {
    this.#client = new CmqClient(port, {}, keys)
  }

  async send(queueName: string, bodies: readonly string[], delaySeconds = 0): Promise<readonly string[]> {
    const [body = ""] = bodies
    const isSingle = bodies.length === 1
    const reply = isSingle
      ? await this.#call("SendMessage", { queueName, msgBody: body, delaySeconds })
      : await this.#call("BatchSendMessage", { queueName, msgBody: bodies, delaySeconds })
    const rows = isSingle ? [reply] : (reply["msgList"] as Fields[])
    return rows.map((row) => String(row["msgId"]))
  }

  async receive(queueName: string, spec: ReceiveSpec): Promise<readonly Received[]> {
    const isSingle = spec.max === 1
    const params = {
      queueName,
      ...(isSingle ? {} : { numOfMsg: spec.max }),
      ...(spec.waitSeconds !== undefined && { pollingWaitSeconds: spec.waitSeconds }),
      ...(spec.visibilitySeconds !== undefined && { visibilityTimeout: spec.visibilitySeconds }),
    }
    const reply = await emptyWithout(() => this.#call(isSingle ? "ReceiveMessage" : "BatchReceiveMessage", params))
    const rows = reply === undefined ? [] : isSingle ? [reply] : (reply["msgInfoList"] as Fields[])
    return rows.map((row) => ({
      body: String(row["msgBody"]),
      receiptHandle: String(row["receiptHandle"]),
      dequeueCount: Number(row["dequeueCount"]),
    }))
  }

  async remove(queueName: string, handles: readonly string[]): Promise<readonly (string | undefined)[]> {
    const answer = await this.#client.call("BatchDeleteMessage", { queueName, receiptHandle: handles })
    const failed = new Map<string, string>()
    if (answer.json["errorList"] === undefined) throwUnlessOk(answer.json)
    for (const row of (answer.json["errorList"] ?? []) as Fields[]) {
      failed.set(String(row["receiptHandle"]), nameOf(Number(row["code"]), String(row["message"])))
    }
    return handles.map((each) => failed.get(each))
  }

  async publish(
    topicName: string,
    bodies: readonly string[],
    { tags = [], routingKey = "" }: Labels,
  ): Promise<readonly string[]> {
    const [body = ""] = bodies
    const isSingle = bodies.length === 1
    const reply = await this.#call(isSingle ? "PublishMessage" : "BatchPublishMessage", {
      topicName,
      msgBody: isSingle ? body : bodies,
      msgTag: tags,
      routingKey,
    })
    const rows = isSingle ? [reply] : (reply["msgList"] as Fields[])
    return rows.map((row) => String(row["msgId"]))
  }

  close(): void {
    // Its connections are those of the process.
  }

  async #call(action: string, params: Parameters<CmqClient["call"]>[1]): Promise<Fields> {
    const { json } = await this.#client.call(action, params)
    throwUnlessOk(json)
    return json
  }
}

function throwUnlessOk(json: Fields): void {
  if (json["code"] !== 0) throw new Refused(nameOf(Number(json["code"]), String(json["message"])))
}

async function emptyWithout<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof Refused && error.error === "noMessage") return undefined
    throw error
  }
}

class TcpDriver implements FaceDriver {
  readonly name = "TCP"
  readonly #client: TcpClient

  constructor(client: TcpClient) {
    this.#client = client
  }

  async send(queueName: string, bodies: readonly string[], delaySeconds = 0): Promise<readonly string[]> {
    const reply = await this.#client.call(
      bodies.length === 1 ? "send" : "batchSend",
      [1, queueName],
      ...bodies.map((body) => [2, body] as const),
      [3, BigInt(delaySeconds)],
    )
    throwUnlessZero(reply)
    return reply.msgids.map(String)
  }

  async receive(queueName: string, { max, waitSeconds, visibilitySeconds }: ReceiveSpec): Promise<readonly Received[]> {
    const times = [waitSeconds, visibilitySeconds]
    const reply =
      max === 1
        ? await this.#client.call("pull", [1, queueName], ...numbersFrom(2, times))
        : await this.#client.call("batchPull", [1, queueName], ...numbersFrom(2, [max, ...times]))
    const done = await emptyWithout(() => Promise.resolve(throwUnlessZero(reply)))
    if (done === undefined) return []
    return reply.messages.map(({ body, receiptHandle, fields }) => ({
      body: String(body),
      receiptHandle: String(receiptHandle),
      dequeueCount: Number(numbersIn(fields, 8)[0]),
    }))
  }

  async remove(queueName: string, handles: readonly string[]): Promise<readonly (string | undefined)[]> {
    const numbers = handles.map(BigInt)
    const reply = await this.#client.call("batchDelete", [1, queueName], ...numbers.map((each) => [2, each] as const))
    if (reply.failures.length === 0) throwUnlessZero(reply)
    const failed = new Map(
      reply.failures.map(({ receiptHandle, errCode, errMsg }) => [receiptHandle, nameOf(Number(errCode), errMsg)]),
    )
    return numbers.map((each) => failed.get(each))
  }

  async publish(
    topicName: string,
    bodies: readonly string[],
    { tags = [], routingKey = "" }: Labels,
  ): Promise<readonly string[]> {
    const reply = await this.#client.call(
      bodies.length === 1 ? "publish" : "batchPublish",
      [1, topicName],
      ...bodies.map((body) => [2, body] as const),
      ...tags.map((tag) => [3, tag] as const),
      [4, routingKey],
    )
    throwUnlessZero(reply)
    return reply.msgids.map(String)
  }

  close(): void {
    this.#client.close()
  }
}

/** Fields with these numbers, from `first` on; those that are undefined are left out. */
function numbersFrom(first: number, values: readonly (number | undefined)[]): WireField[] {
  return values.flatMap((value, place) => (value === undefined ? [] : [[first + place, BigInt(value)] as const]))
}

function throwUnlessZero({ result, error }: TcpReply): true {
  if (result !== 0n) throw new Refused(nameOf(codeBehind(Number(result)), error))
  return true
}

/** The one result that is not the table's code: CMQ's TCP client compares it by itself. */
function codeBehind(result: number): number {
  return result === 10_200 ? 7000 : result
}

class GrpcDriver implements FaceDriver {
  readonly name = "gRPC"
  readonly #client: GrpcClient
  readonly #keys: Keys

  constructor(port: number, keys: Keys) {
    this.#client = new GrpcClient(port, {})
    this.#keys = keys
  }

  async send(queueName: string, bodies: readonly string[], delaySeconds = 0): Promise<readonly string[]> {
    const messages = bodies.map((body) => ({ body: Buffer.from(body), delayMs: delaySeconds * 1000 }))
    const reply = await this.#call("MessageService/Send", { queueName, messages })
    return ((reply["messages"] ?? []) as Fields[]).map((row) => String(row["msgId"]))
  }

  async receive(queueName: string, { max, waitSeconds, visibilitySeconds }: ReceiveSpec): Promise<readonly Received[]> {
    const reply = await this.#call("MessageService/Receive", {
      queueName,
      maxMessages: max,
      ...(waitSeconds !== undefined && { pollingWaitMs: waitSeconds * 1000 }),
      ...(visibilitySeconds !== undefined && { visibilityTimeoutMs: visibilitySeconds * 1000 }),
    })
    return ((reply["messages"] ?? []) as Fields[]).map((row) => ({
      body: String(row["body"]),
      receiptHandle: String(row["receiptHandle"]),
      dequeueCount: Number(row["dequeueCount"]),
    }))
  }

  async remove(queueName: string, handles: readonly string[]): Promise<readonly (string | undefined)[]> {
    const reply = await this.#call("MessageService/Delete", { queueName, receiptHandles: handles })
    const failures = (reply["failures"] ?? []) as (Fields & { refusal: Fields })[]
    const failed = new Map(failures.map((row) => [Number(row["index"] ?? 0), String(row.refusal["reason"])]))
    return handles.map((_, index) => failed.get(index))
  }

  async publish(topicName: string, bodies: readonly string[], labels: Labels): Promise<readonly string[]> {
    const messages = bodies.map((body) => ({ body: Buffer.from(body), ...labels }))
    const reply = await this.#call("TopicService/Publish", { topicName, messages })
    return ((reply["messages"] ?? []) as Fields[]).map((row) => String(row["msgId"]))
  }

  close(): void {
    this.#client.close()
  }

  async #call(name: string, request: Fields): Promise<Fields> {
    try {
      return await this.#client.call(name, request, this.#keys)
    } catch (error) {
      throw new Refused(refusedOf(error as ServiceError).info.reason)
    }
  }
}

const OF_A_HANDLE: ReadonlySet<string> = new Set<ErrorName>(["receiptHandleInvalid", "receiptHandleMalformed"])

class SdkDriver implements FaceDriver {
  readonly name = "SDK"
  readonly #account: Account

  constructor(account: Account) {
    this.#account = account
  }

  send(queueName: string, bodies: readonly string[], delaySeconds = 0): Promise<readonly string[]> {
    return this.#try(async () => {
      const queue = this.#account.queue(queueName)
      const [body = ""] = bodies
      const results =
        bodies.length === 1
          ? [await queue.send(body, { delaySeconds })]
          : await queue.sendBatch(bodies, { delaySeconds })
      return results.map(({ msgId }) => msgId)
    })
  }

  receive(queueName: string, { max, waitSeconds, visibilitySeconds }: ReceiveSpec): Promise<readonly Received[]> {
    return this.#try(async () => {
      const messages = await this.#account.queue(queueName).receiveBatch({
        max,
        ...(waitSeconds !== undefined && { waitSeconds }),
        ...(visibilitySeconds !== undefined && { visibilityTimeoutSeconds: visibilitySeconds }),
      })
      return messages.map(({ body, receiptHandle, dequeueCount }) => ({ body, receiptHandle, dequeueCount }))
    })
  }

  remove(queueName: string, handles: readonly string[]): Promise<readonly (string | undefined)[]> {
    return this.#try(async () => {
      const results = await this.#account.queue(queueName).deleteBatch(handles)
      const [first] = results
      // What is wrong with the whole request the SDK says of each handle.
      if (first?.ok === false && !OF_A_HANDLE.has(first.error.name)) throw first.error
      return results.map((result) => (result.ok ? undefined : result.error.name))
    })
  }

  publish(topicName: string, bodies: readonly string[], labels: Labels): Promise<readonly string[]> {
    return this.#try(async () => {
      const topic = this.#account.topic(topicName)
      const [body = ""] = bodies
      const results =
        bodies.length === 1 ? [await topic.publish(body, labels)] : await topic.publishBatch(bodies, labels)
      return results.map(({ msgId }) => msgId)
    })
  }

  close(): void {
    this.#account.close()
  }

  async #try<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      if (error instanceof CmqError) throw new Refused(error.name)
      throw error
    }
  }
}
