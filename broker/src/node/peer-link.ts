/** Frames to and from the other nodes: encodes, groups by peer, and hands each kind to whoever deals with it. */
import type { InstallSnapshot, LogIndex, Message, NodeId } from "../core/raft/types.ts"
import { decodePeerFrame, encodePeerFrame } from "../codec/peer-codec.ts"
import type {
  OutgoingPeerFrame,
  PeerFrame,
  RepairRequestFrame,
  SenderFacts,
  SnapshotAckFrame,
  SnapshotChunkFrame,
} from "../codec/peer-codec.ts"
import { decodeValue, encodeValue } from "../codec/value-codec.ts"
import type { Logger, PeerTransport } from "../ports.ts"
import type { Entry } from "../core/raft/types.ts"
import { MemberLevels, OWN_LEVEL } from "./member-levels.ts"
import { readCaller } from "./caller.ts"
import type { LeaderUseCase } from "./leader-service.ts"
import type { ForwardedCall } from "./request-router.ts"
import type { Reply } from "./service-types.ts"

export interface PeerLinkUser {
  facts(): SenderFacts
  factsReceived(peer: NodeId, facts: SenderFacts): void
  raftMessage(message: Message): void
  /** The core announces a snapshot: it has to be streamed. */
  snapshotWanted(message: InstallSnapshot): void
  helloReceived(peer: NodeId, hello: Hello): void
  callReceived(peer: NodeId, call: ForwardedCall): void
  answerReceived(callId: number, reply: Reply<unknown> | undefined): void
  cancelReceived(peer: NodeId, callId: number): void
  snapshotBegin(peer: NodeId, transferId: number, message: InstallSnapshot): void
  snapshotChunk(peer: NodeId, frame: SnapshotChunkFrame): void
  snapshotEnd(peer: NodeId, transferId: number, chunkCount: number): void
  snapshotAck(peer: NodeId, ack: SnapshotAckFrame): void
  repairRequested(peer: NodeId, request: RepairRequestFrame): void
  repairReplied(peer: NodeId, requestId: number, entries: readonly Entry[]): void
}

/** What a node tells another when they meet. */
export interface Hello {
  readonly httpAddress: string
  /** Last entry this node has; lower than what the other knew of it = it lost part of its disk. */
  readonly lastIndex: LogIndex
  readonly commitIndex: LogIndex
}

const HELLO = "hello"

export class PeerLink {
  readonly #setId: number
  readonly #user: PeerLinkUser
  readonly #logger: Logger
  readonly #transport: () => PeerTransport
  /** What the others can read. */
  readonly levels = new MemberLevels()

  constructor(parts: { setId: number; user: PeerLinkUser; logger: Logger; transport: () => PeerTransport }) {
    this.#setId = parts.setId
    this.#user = parts.user
    this.#logger = parts.logger
    this.#transport = parts.transport
  }

  /** Losses are Raft's business: it sends again. */
  sendMessages(messages: readonly Message[]): void {
    const byPeer = new Map<NodeId, Message[]>()
    for (const message of messages) {
      if (message.kind === "installSnapshot") {
        this.#user.snapshotWanted(message)
        continue
      }
      const list = byPeer.get(message.to)
      if (list === undefined) byPeer.set(message.to, [message])
      else list.push(message)
    }
    const facts = this.#user.facts()
    for (const [peer, list] of byPeer)
      this.send(peer, { kind: "raftMessages", setId: this.#setId, facts, messages: list })
  }

  send(peer: NodeId, frame: OutgoingPeerFrame): boolean {
    return this.#transport().send(peer, encodePeerFrame(frame))
  }

  sendHello(peer: NodeId, hello: Hello): void {
    const value = encodeValue({ ...hello, level: OWN_LEVEL })
    this.send(peer, { kind: "forwardRequest", setId: this.#setId, requestId: 0, timeoutMs: 0, useCase: HELLO, value })
  }

  sendCall(peer: NodeId, call: ForwardedCall): boolean {
    const timeoutMs = Math.max(1, Math.min(U32_MAX, Math.ceil(call.timeoutMs)))
    const value = encodeValue({ caller: call.caller, request: call.request })
    return this.send(peer, {
      kind: "forwardRequest",
      setId: this.#setId,
      requestId: call.callId,
      timeoutMs,
      useCase: call.name,
      value,
    })
  }

  sendCancel(peer: NodeId, callId: number): void {
    this.send(peer, { kind: "forwardCancel", setId: this.#setId, requestId: callId })
  }

  sendAnswer(peer: NodeId, callId: number, reply: Reply<unknown> | undefined): void {
    const value = encodeValue(reply)
    this.send(peer, { kind: "forwardReply", setId: this.#setId, requestId: callId, value })
  }

  /** One frame came in. A frame that cannot be read is dropped and told: its connection was checksummed, so it is a bug. */
  receive(peer: NodeId, bytes: Uint8Array): void {
    const frame = this.#decode(peer, bytes)
    if (frame?.setId === this.#setId) this.#handleFrame(peer, frame)
  }

  #decode(peer: NodeId, bytes: Uint8Array): PeerFrame | undefined {
    try {
      return decodePeerFrame(bytes)
    } catch (error) {
      this.#logger.error({ peer, error: String(error) }, "a peer frame could not be read")
      return undefined
    }
  }

  #handleFrame(peer: NodeId, frame: PeerFrame): void {
    const user = this.#user
    switch (frame.kind) {
      case "raftMessages":
        user.factsReceived(peer, frame.facts)
        for (const message of frame.messages) user.raftMessage(message)
        return
      case "forwardRequest":
        this.#requestReceived(peer, frame)
        return
      case "forwardReply":
        user.answerReceived(frame.requestId, decodeValue(frame.value) as Reply<unknown> | undefined)
        return
      case "forwardCancel":
        user.cancelReceived(peer, frame.requestId)
        return
      case "snapshotBegin":
        user.snapshotBegin(peer, frame.transferId, frame.message)
        return
      case "snapshotChunk":
        user.snapshotChunk(peer, frame)
        return
      case "snapshotEnd":
        user.snapshotEnd(peer, frame.transferId, frame.chunkCount)
        return
      case "snapshotAck":
        user.snapshotAck(peer, frame)
        return
      case "repairRequest":
        user.repairRequested(peer, frame)
        return
      case "repairReply":
        user.repairReplied(peer, frame.requestId, frame.entries)
        return
    }
  }

  #requestReceived(peer: NodeId, frame: Extract<PeerFrame, { kind: "forwardRequest" }>): void {
    const value = decodeValue(frame.value)
    if (frame.useCase === HELLO) {
      const hello = value as Hello & { readonly level?: unknown }
      this.levels.said(peer, hello.level)
      this.#user.helloReceived(peer, hello)
      return
    }
    const { caller, request } = (value ?? {}) as Readonly<Record<"caller" | "request", unknown>>
    const name = frame.useCase as LeaderUseCase
    this.#user.callReceived(peer, {
      callId: frame.requestId,
      timeoutMs: frame.timeoutMs,
      name,
      request,
      caller: readCaller(caller),
    })
  }
}

const U32_MAX = 0xffff_ffff
