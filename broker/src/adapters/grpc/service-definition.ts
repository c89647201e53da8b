/**
 * The services of `proto/opencmq/v1` as grpc-js registers them: the bytes of every message pass through untouched, so that
 * a request can be authenticated before it is decoded, and the streams need not decode at all. What turns bytes into
 * values and back is here, too, for the unary calls.
 */
import { fileURLToPath } from "node:url"
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js"
import { load } from "@grpc/proto-loader"
import type { PackageDefinition } from "@grpc/proto-loader"
import { PROTO_FILES, PROTO_ROOT } from "@opencmq/proto"
import { loadReflectedFiles } from "./reflected-files.ts"

/** Names of the services, in the order of the documents. */
export const SERVICE_NAMES = [
  "opencmq.v1.QueueService",
  "opencmq.v1.MessageService",
  "opencmq.v1.TopicService",
  "opencmq.v1.ClusterService",
] as const

/** One method. */
export interface MethodCodec {
  /** `/opencmq.v1.MessageService/Send` */
  readonly path: string
  /** `Send` */
  readonly name: string
  readonly isStream: boolean
  /** @throws Error when the bytes are no such message. */
  decode(bytes: Buffer): unknown
  encode(value: object): Buffer
}

/** One service: how grpc-js registers it, and its methods. */
export interface ServiceCodec {
  readonly definition: ServiceDefinition
  readonly methods: readonly MethodCodec[]
}

/** All of it. */
export interface ApiDefinition {
  readonly services: readonly ServiceCodec[]
  /** For reflection. */
  readonly reflectedFiles: PackageDefinition
}

/** Reads the `.proto` files. Rejects when one is not there or cannot be read. */
export async function loadApi(): Promise<ApiDefinition> {
  const includeDirs = [fileURLToPath(PROTO_ROOT)]
  const packageDefinition = await load([...PROTO_FILES], {
    includeDirs,
    longs: Number,
    enums: Number,
    defaults: true,
    oneofs: true,
  })
  const services = SERVICE_NAMES.map((name) => serviceCodec(packageDefinition[name] as ServiceDefinition))
  return { services, reflectedFiles: await loadReflectedFiles(includeDirs) }
}

function serviceCodec(service: ServiceDefinition): ServiceCodec {
  const names = Object.keys(service)
  return {
    definition: Object.fromEntries(names.map((name) => [name, rawMethod(methodOf(service, name))])),
    methods: names.map((name) => methodCodec(name, methodOf(service, name))),
  }
}

type Method = MethodDefinition<object, object>

function methodOf(service: ServiceDefinition, name: string): Method {
  return service[name] as Method
}

/** The same method, with bytes for messages. */
function rawMethod(method: Method): MethodDefinition<Buffer, Buffer> {
  const { path, requestStream, responseStream } = method
  const pass = (bytes: Buffer): Buffer => bytes
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: pass,
    requestDeserialize: pass,
    responseSerialize: pass,
    responseDeserialize: pass,
  }
}

function methodCodec(name: string, method: Method): MethodCodec {
  const { path, requestStream, responseStream } = method
  return {
    path,
    name,
    isStream: requestStream || responseStream,
    decode: (bytes) => method.requestDeserialize(bytes),
    encode: (value) => method.responseSerialize(value),
  }
}
