/**
 * Server reflection as grpcurl uses it: the bytes of its requests, and what it does with the answers (it links the files,
 * finds the method, and writes requests from JSON by the names in them). v1 is asked first, v1alpha of older servers.
 */
import { readFileSync } from "node:fs"
import * as grpc from "@grpc/grpc-js"
import protobuf from "protobufjs"
import descriptor from "protobufjs/ext/descriptor/index.js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { openGrpcFace } from "./kit/grpc-face.ts"
import type { TestGrpcFace } from "./kit/grpc-face.ts"
import { fieldsOf, message, numbersIn, piecesIn } from "./kit/protobuf-wire.ts"

let face: TestGrpcFace
beforeAll(async () => {
  face = await openGrpcFace()
})
afterAll(() => face.close())

/** One stream for all questions of a run of grpcurl: asks, and waits for the answer before it asks again. */
class Grpcurl {
  readonly ended: Promise<grpc.status>
  readonly #client: grpc.Client
  readonly #stream: grpc.ClientDuplexStream<Buffer, Buffer>

  constructor(version: string) {
    const pass = (bytes: Buffer): Buffer => bytes
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`
    this.#client = new grpc.Client(`127.0.0.1:${String(face.port)}`, grpc.credentials.createInsecure())
    this.#stream = this.#client.makeBidiStreamRequest(path, pass, pass)
    this.ended = new Promise((resolve) => {
      this.#stream.on("status", ({ code }) => {
        resolve(code)
      })
    })
  }

  /** @param bytes - of a ServerReflectionRequest. @returns the ServerReflectionResponse, its fields by number. */
  ask(bytes: Buffer): Promise<ReturnType<typeof fieldsOf>> {
    return new Promise((resolve, reject) => {
      this.#stream.once("error", reject)
      this.#stream.once("data", (answer: Buffer) => {
        this.#stream.off("error", reject)
        resolve(fieldsOf(answer))
      })
      this.#stream.write(bytes)
    })
  }

  /** The files that declare a symbol, with all that they import. */
  async filesOf(symbol: string): Promise<ReadonlyMap<string, Buffer>> {
    const files = new Map<string, Buffer>()
    const missing: Buffer[] = [message([4, symbol])]
    for (let request = missing.pop(); request !== undefined; request = missing.pop()) {
      const [response] = piecesIn(await this.ask(request), 4)
      if (response === undefined) throw new Error(`no files: ${request.toString()}`)
      for (const file of piecesIn(fieldsOf(response), 1)) files.set(nameOf(file), file)
      for (const file of files.values()) {
        const imports = piecesIn(fieldsOf(file), 3).map(String)
        missing.push(...imports.filter((name) => !files.has(name)).map((name) => message([3, name])))
      }
    }
    return files
  }

  async close(): Promise<grpc.status> {
    this.#stream.end()
    const status = await this.ended
    this.#client.close()
    return status
  }
}

function nameOf(bytes: Buffer): string {
  return String(piecesIn(fieldsOf(bytes), 1)[0])
}

/** What `protobufjs/ext/descriptor` adds to protobufjs; its types do not say so. */
const { fromDescriptor } = protobuf.Root as unknown as { fromDescriptor: (set: protobuf.Message) => protobuf.Root }

/** As Go's protodesc links them: whatever a file names must be there. */
function linked(files: ReadonlyMap<string, Buffer>): protobuf.Root {
  const file = [...files.values()].map((bytes) => descriptor.FileDescriptorProto.decode(bytes))
  const root = fromDescriptor(descriptor.FileDescriptorSet.create({ file }))
  root.resolveAll()
  return root
}

/** Types as the `.proto` files say them. */
function written(): protobuf.Root {
  const folder = new URL("../../../proto/", import.meta.url)
  const root = new protobuf.Root()
  for (const name of ["refusals", "queues", "messages", "topics", "cluster"]) {
    protobuf.parse(readFileSync(new URL(`opencmq/v1/${name}.proto`, folder), "utf8"), root, { keepCase: true })
  }
  root.resolveAll()
  return root
}

type Facts = Readonly<Record<string, unknown>>

/** Everything of a package that is on the wire or in JSON, by full name. */
function factsOf(root: protobuf.Root): Facts {
  const facts: Record<string, unknown> = {}
  const visit = (each: protobuf.ReflectionObject): void => {
    if (each instanceof protobuf.Enum) facts[each.fullName] = each.values
    if (each instanceof protobuf.Type) {
      facts[each.fullName] = each.fieldsArray.map((field) => ({
        name: field.name,
        number: field.id,
        type: field.resolvedType?.fullName ?? field.type,
        isRepeated: field.repeated,
        oneof: field.partOf?.name,
      }))
    }
    if (each instanceof protobuf.Service) {
      facts[each.fullName] = each.methodsArray.map((method) => ({
        name: method.name,
        types: [method.resolvedRequestType?.fullName, method.resolvedResponseType?.fullName],
        streams: [method.requestStream === true, method.responseStream === true],
      }))
    }
    if (each instanceof protobuf.Namespace) each.nestedArray.forEach(visit)
  }
  visit(root.lookup("opencmq.v1") ?? expect.unreachable())
  return facts
}

describe.each(["v1", "v1alpha"])("grpcurl over %s", (version) => {
  test("list: the services", async () => {
    const grpcurl = new Grpcurl(version)
    // ServerReflectionRequest { list_services: "*" }
    const answer = await grpcurl.ask(Buffer.from("3a012a", "hex"))
    const [response] = piecesIn(answer, 6)
    const names = piecesIn(fieldsOf(response ?? expect.unreachable()), 1).map(nameOf)
    expect(names.toSorted()).toEqual([
      "opencmq.v1.ClusterService",
      "opencmq.v1.MessageService",
      "opencmq.v1.QueueService",
      "opencmq.v1.TopicService",
    ])
    expect(await grpcurl.close()).toBe(grpc.status.OK)
  })

  test("describe a method, a service, a message: the files say what the .proto files say", async () => {
    const grpcurl = new Grpcurl(version)
    const expected = factsOf(written())
    expect(Object.keys(expected).length).toBeGreaterThan(50)
    for (const symbol of [
      "opencmq.v1.MessageService.Send",
      "opencmq.v1.TopicService",
      "opencmq.v1.ReceivedMessage",
      "opencmq.v1.MessageState",
    ]) {
      const root = linked(await grpcurl.filesOf(symbol))
      expect(
        root.lookup(symbol)?.fullName ?? root.lookupService("opencmq.v1.MessageService").methods["Send"],
      ).toBeTruthy()
      expect(factsOf(root), symbol).toEqual(expected)
    }
    expect(await grpcurl.close()).toBe(grpc.status.OK)
  })

  test("describe a request: what may be absent is marked so, as protoc marks it", async () => {
    const grpcurl = new Grpcurl(version)
    const files = [...(await grpcurl.filesOf("opencmq.v1.QueueAttributes")).values()]
    const types = files.flatMap((file) => piecesIn(fieldsOf(file), 4))
    const optional = types.flatMap((type) =>
      piecesIn(fieldsOf(type), 2)
        .filter((field) => numbersIn(fieldsOf(field), 17)[0] === 1n)
        .map((field) => `${nameOf(type)}.${nameOf(field)}`),
    )
    const expected = [...typesOf(written())].flatMap((type) =>
      type.fieldsArray
        .filter(({ options }) => options?.["proto3_optional"] === true)
        .map((f) => `${type.name}.${f.name}`),
    )
    expect(expected).toContain("QueueAttributes.rewind_ms")
    expect(optional.toSorted()).toEqual(expected.toSorted())
    await grpcurl.close()
  })

  test("a symbol that is not there is NOT_FOUND, and the stream goes on", async () => {
    const grpcurl = new Grpcurl(version)
    const [error] = piecesIn(await grpcurl.ask(message([4, "opencmq.v1.Nothing"])), 7)
    expect(numbersIn(fieldsOf(error ?? expect.unreachable()), 1)).toEqual([BigInt(grpc.status.NOT_FOUND)])
    expect((await grpcurl.filesOf("opencmq.v1.ClusterService")).size).toBe(1)
    await grpcurl.close()
  })

  test("call: a request written from the page's JSON by the names of the answer does what it says", async () => {
    const grpcurl = new Grpcurl(version)
    const root = linked(await grpcurl.filesOf("opencmq.v1.QueueService"))
    const json = { queue_name: `reflected-${version}`, attributes: { visibility_timeout_ms: 5_000 } }
    const type = root.lookupType("opencmq.v1.CreateQueueRequest")
    const client = face.client()
    await client.call(
      "QueueService/CreateQueue",
      {},
      { bytes: Buffer.from(type.encode(type.fromObject(json)).finish()) },
    )
    expect(await client.call("QueueService/GetQueue", { queueName: json.queue_name })).toMatchObject({
      attributes: { visibilityTimeoutMs: "5000" },
    })
    await grpcurl.close()
  })
})

function* typesOf(root: protobuf.NamespaceBase): Iterable<protobuf.Type> {
  for (const each of root.nestedArray) {
    if (each instanceof protobuf.Type) yield each
    if (each instanceof protobuf.Namespace) yield* typesOf(each)
  }
}
