/**
 * What server reflection shows of `proto/opencmq/v1`: names as the files have them, so that `grpcurl` takes the JSON that the
 * documents show. (The calls' own codec knows fields by the names that values have in JavaScript.)
 */
import { load } from "@grpc/proto-loader"
import type { AnyDefinition, MessageTypeDefinition, PackageDefinition } from "@grpc/proto-loader"
import descriptor from "protobufjs/ext/descriptor/index.js"
import { PROTO_FILES } from "@opencmq/proto"

// CommonJS without names that Node would find by itself.
const { FileDescriptorProto } = descriptor

interface FieldDescriptor {
  readonly name: string
  oneofIndex?: number
  proto3Optional?: boolean
}

interface MessageDescriptor {
  readonly field: readonly FieldDescriptor[]
  oneofDecl: { readonly name: string }[]
  readonly nestedType: readonly MessageDescriptor[]
}

interface FileDescriptor {
  readonly messageType: readonly MessageDescriptor[]
}

/** Reads the `.proto` files for `ReflectionService`, which looks at their descriptors and at nothing else. */
export async function loadReflectedFiles(includeDirs: string[]): Promise<PackageDefinition> {
  const types = await load([...PROTO_FILES], { includeDirs, keepCase: true })
  // Each type has the descriptors of all files.
  const type = Object.values(types).find(isMessageType)
  if (type === undefined) throw new Error("no message in the .proto files")
  return { files: { ...type, fileDescriptorProtos: type.fileDescriptorProtos.map(marked) } }
}

function isMessageType(type: AnyDefinition): type is MessageTypeDefinition<object, object> {
  return type["format"] === "Protocol Buffer 3 DescriptorProto"
}

/** A FileDescriptorProto with the mark of `optional` fields, which protobufjs leaves out. */
function marked(bytes: Buffer): Buffer {
  const file = FileDescriptorProto.decode(bytes)
  ;(file as unknown as FileDescriptor).messageType.forEach(markOptional)
  return Buffer.from(FileDescriptorProto.encode(file).finish())
}

function markOptional(message: MessageDescriptor): void {
  const { field: fields, oneofDecl: oneofs } = message
  const oneofOf = (field: FieldDescriptor) => (hasOneof(field) ? oneofs[field.oneofIndex] : undefined)
  // An optional field is alone in a oneof of its name.
  const optional = fields.filter((field) => oneofOf(field)?.name === `_${field.name}`)
  const synthetic = new Set(optional.map(oneofOf))
  // Those come last, as descriptor.proto asks for it.
  const sorted = [...oneofs.filter((each) => !synthetic.has(each)), ...oneofs.filter((each) => synthetic.has(each))]
  for (const field of optional) field.proto3Optional = true
  for (const field of fields) {
    const oneof = oneofOf(field)
    if (oneof !== undefined) field.oneofIndex = sorted.indexOf(oneof)
  }
  message.oneofDecl = sorted
  message.nestedType.forEach(markOptional)
}

/** A field in no oneof has the default, 0, only from its prototype. */
function hasOneof(field: FieldDescriptor): field is FieldDescriptor & { readonly oneofIndex: number } {
  return Object.hasOwn(field, "oneofIndex")
}
