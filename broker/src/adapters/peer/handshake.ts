/**
 * The first words on a peer connection. Both sides prove that they know the cluster's secret before either takes a
 * frame of the other, and say who they are and whom they expect (reliability.md O5). No sockets here: each side is
 * given what was received and says what to send.
 *
 * ```
 * dialer   -> hello     magic | u16 version | u8 1 | cluster id | u32 node id | u32 expected node id | config hash
 *                       | 16 bytes incarnation | 16 bytes nonce
 * acceptor -> welcome   magic | u16 version | u8 2 | cluster id | u32 node id | config hash | incarnation | nonce | proof
 * dialer   -> proof     magic | u16 version | u8 3 | proof
 * acceptor -> ready     magic | u16 version | u8 4
 * either   -> refusal   magic | u16 version | u8 5 | reason | text
 *
 * proof = HMAC-SHA256(secret, side | hello | welcome without its proof), 32 bytes; texts are u8 length, UTF-8
 * ```
 *
 * It protects against a stranger and against a mistake in a configuration, not against somebody who can change
 * packets on the way: frames after the handshake carry no signature.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import type { NodeId } from "../../ports.ts"
import { CodecError } from "../../codec/codec-error.ts"
import { PartReader } from "../../codec/part-reader.ts"
import { PartWriter } from "../../codec/part-writer.ts"

export const PEER_PROTOCOL_VERSION = 1
/** Longest frame of a handshake: what a stranger can make us keep. */
export const HANDSHAKE_BYTES_MAX = 2_048

const MAGIC = 0x504d_434f
const ID_BYTES = 16
const PROOF_BYTES = 32
/** Of the text of a refusal. */
const REFUSAL_BYTES_MAX = 200
const HELLO = 1
const WELCOME = 2
const PROOF = 3
const READY = 4
const REFUSAL = 5

/** Who we are, the same for all connections of a process. */
export interface Identity {
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly configHash: string
  /** Random, new for each process: tells a node that redials from another one with the same id. */
  readonly incarnation: Uint8Array
  /** Without one, any process that knows the cluster id is believed. */
  readonly secret: string | undefined
}

/** The other side, once it is believed. */
export interface Counterpart {
  readonly nodeId: NodeId
  readonly configHash: string
  /** As hex. */
  readonly incarnation: string
}

export type RefusalReason =
  | "notOpenCmq"
  | "version"
  | "wrongCluster"
  | "wrongNode"
  | "unknownNode"
  | "duplicateNode"
  | "wrongSecret"
  | "malformed"

export type HandshakeStep =
  | { readonly kind: "continue"; readonly send: Uint8Array }
  | { readonly kind: "done"; readonly send: Uint8Array | undefined; readonly peer: Counterpart }
  /** We refuse; `send` tells the other side why. */
  | { readonly kind: "refuse"; readonly send: Uint8Array; readonly reason: RefusalReason; readonly text: string }
  /** The other side refused. */
  | { readonly kind: "refused"; readonly reason: string; readonly text: string }

export function newIncarnation(): Uint8Array {
  return randomBytes(ID_BYTES)
}

class Refused extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, text: string) {
    super(text)
    this.reason = reason
  }
}

/** Runs one step; what is refused or malformed becomes a step as well. */
function guarded(step: () => HandshakeStep): HandshakeStep {
  try {
    return step()
  } catch (error) {
    if (error instanceof Refused) return refuse(error.reason, error.message)
    if (error instanceof CodecError) return refuse("malformed", error.message)
    throw error
  }
}

/** Refusing the other side for a reason that the handshake itself does not know. */
export function refuse(reason: RefusalReason, text: string): HandshakeStep {
  const writer = begin(REFUSAL)
  writer.shortText(reason)
  writer.shortText(shortened(text))
  return { kind: "refuse", send: joined(writer), reason, text }
}

/** As much as fits a text of the handshake: the other side's cluster id may be in it, in letters of four bytes. */
function shortened(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= REFUSAL_BYTES_MAX) return text
  let end = REFUSAL_BYTES_MAX
  // Not in the middle of a letter.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString("utf8", 0, end)
}

/** The side that connected. */
export class DialHandshake {
  readonly #identity: Identity
  readonly #expected: NodeId
  readonly #hello: Uint8Array
  #peer: Counterpart | undefined

  constructor(identity: Identity, expected: NodeId) {
    this.#identity = identity
    this.#expected = expected
    const writer = begin(HELLO)
    writer.shortText(identity.clusterId)
    writer.u32(identity.nodeId)
    writer.u32(expected)
    writer.shortText(identity.configHash)
    writer.bytes(identity.incarnation)
    writer.bytes(randomBytes(ID_BYTES))
    this.#hello = joined(writer)
  }

  /** The first frame. */
  get hello(): Uint8Array {
    return this.#hello
  }

  receive(payload: Uint8Array): HandshakeStep {
    return guarded(() => this.#receive(payload))
  }

  #receive(payload: Uint8Array): HandshakeStep {
    const { type, reader } = open(payload)
    if (type === REFUSAL) return { kind: "refused", reason: reader.shortText(), text: reader.shortText() }
    if (this.#peer !== undefined) {
      if (type !== READY) throw new CodecError("the handshake was not confirmed")
      return { kind: "done", send: undefined, peer: this.#peer }
    }
    if (type !== WELCOME) throw new CodecError("the handshake was not answered")
    const clusterId = reader.shortText()
    const nodeId = reader.u32()
    const configHash = reader.shortText()
    const incarnation = Buffer.from(reader.bytes(ID_BYTES)).toString("hex")
    reader.bytes(ID_BYTES)
    const proof = reader.bytes(PROOF_BYTES)
    reader.end()
    const { identity, welcome } = { identity: this.#identity, welcome: payload.subarray(0, -PROOF_BYTES) }
    checkCluster(identity, clusterId)
    if (nodeId !== this.#expected) {
      throw new Refused(
        "wrongNode",
        `node ${String(this.#expected)} is expected there, node ${String(nodeId)} answered`,
      )
    }
    const { secret } = identity
    checkProof(proof, proofOf("accept", { secret, hello: this.#hello, welcome }))
    this.#peer = { nodeId, configHash, incarnation }
    const writer = begin(PROOF)
    writer.bytes(proofOf("dial", { secret, hello: this.#hello, welcome }))
    return { kind: "continue", send: joined(writer) }
  }
}

/** The side that was connected to. */
export class AcceptHandshake {
  readonly #identity: Identity
  readonly #isKnown: (nodeId: NodeId) => boolean
  #pending: { readonly peer: Counterpart; readonly proof: Uint8Array } | undefined

  constructor(identity: Identity, isKnown: (nodeId: NodeId) => boolean) {
    this.#identity = identity
    this.#isKnown = isKnown
  }

  receive(payload: Uint8Array): HandshakeStep {
    return guarded(() => this.#receive(payload))
  }

  #receive(payload: Uint8Array): HandshakeStep {
    const { type, reader } = open(payload)
    if (type === REFUSAL) return { kind: "refused", reason: reader.shortText(), text: reader.shortText() }
    if (this.#pending === undefined) return this.#answerHello(payload)
    if (type !== PROOF) throw new CodecError("a proof was expected")
    checkProof(reader.bytes(PROOF_BYTES), this.#pending.proof)
    reader.end()
    return { kind: "done", send: joined(begin(READY)), peer: this.#pending.peer }
  }

  #answerHello(payload: Uint8Array): HandshakeStep {
    const { type, reader } = open(payload)
    if (type !== HELLO) throw new CodecError("a hello was expected")
    const identity = this.#identity
    checkCluster(identity, reader.shortText())
    const nodeId = reader.u32()
    const expected = reader.u32()
    const configHash = reader.shortText()
    const incarnation = Buffer.from(reader.bytes(ID_BYTES)).toString("hex")
    reader.bytes(ID_BYTES)
    reader.end()
    if (expected !== identity.nodeId) {
      throw new Refused("wrongNode", `this is node ${String(identity.nodeId)}, node ${String(expected)} was expected`)
    }
    if (nodeId === identity.nodeId) throw new Refused("duplicateNode", `node ${String(nodeId)} is this node's own id`)
    if (!this.#isKnown(nodeId)) throw new Refused("unknownNode", `node ${String(nodeId)} is no peer of this node`)
    const writer = begin(WELCOME)
    writer.shortText(identity.clusterId)
    writer.u32(identity.nodeId)
    writer.shortText(identity.configHash)
    writer.bytes(identity.incarnation)
    writer.bytes(randomBytes(ID_BYTES))
    const welcome = joined(writer)
    const transcript = { secret: identity.secret, hello: payload, welcome }
    this.#pending = { peer: { nodeId, configHash, incarnation }, proof: proofOf("dial", transcript) }
    return { kind: "continue", send: Buffer.concat([welcome, proofOf("accept", transcript)]) }
  }
}

function begin(type: number): PartWriter {
  const writer = new PartWriter()
  writer.u32(MAGIC)
  writer.u16(PEER_PROTOCOL_VERSION)
  writer.u8(type)
  return writer
}

function joined(writer: PartWriter): Uint8Array {
  return Buffer.concat(writer.finish())
}

function open(payload: Uint8Array): { readonly type: number; readonly reader: PartReader } {
  const reader = new PartReader(payload)
  if (reader.u32() !== MAGIC) throw new Refused("notOpenCmq", "what was received is no OpenCMQ handshake")
  const version = reader.u16()
  const type = reader.u8()
  // A refusal is understood whatever the version: it is how a newer node says no.
  if (version !== PEER_PROTOCOL_VERSION && type !== REFUSAL) {
    throw new Refused("version", `protocol version ${String(PEER_PROTOCOL_VERSION)} here, ${String(version)} there`)
  }
  return { type, reader }
}

function checkCluster(identity: Identity, clusterId: string): void {
  if (clusterId === identity.clusterId) return
  throw new Refused("wrongCluster", `one side is of cluster "${identity.clusterId}", the other of "${clusterId}"`)
}

function checkProof(given: Uint8Array, expected: Uint8Array): void {
  if (!timingSafeEqual(given, expected)) throw new Refused("wrongSecret", "the two nodes have different peer secrets")
}

function proofOf(
  side: "accept" | "dial",
  transcript: { readonly secret: string | undefined; readonly hello: Uint8Array; readonly welcome: Uint8Array },
): Uint8Array {
  const { secret, hello, welcome } = transcript
  return createHmac("sha256", secret ?? "")
    .update(side)
    .update(hello)
    .update(welcome)
    .digest()
}
