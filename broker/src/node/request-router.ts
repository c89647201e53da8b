/**
 * Takes the requests of the faces to where they can be carried out: here when this node leads and is ready, otherwise
 * to the leader over the peer connection; while no leader is known they wait, up to their deadline.
 *
 * What it promises: every request is answered exactly once; a request is sent again only when its first attempt
 * certainly had no effect, or when doing it twice does no harm; otherwise the answer is `unknownOutcome`.
 */
import { errorRow } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import type { NodeId } from "../core/raft/types.ts"
import type { Clock, Timers } from "../ports.ts"
import type { AccessControl } from "./access-control.ts"
import { OPERATOR } from "./caller.ts"
import type { Caller } from "./caller.ts"
import { DeadlineList } from "./deadline-list.ts"
import type { LeaderService, LeaderUseCase } from "./leader-service.ts"
import { RETRY } from "./set-access.ts"
import type { LeaderCall } from "./set-access.ts"
import type { ClusterStatus, Reply, RequestContext, RequestOf, ValueOf } from "./service-types.ts"

export interface ForwardedCall {
  readonly callId: number
  readonly timeoutMs: number
  readonly name: LeaderUseCase
  readonly request: unknown
  /** Undefined = the other node wrote something that is none. */
  readonly caller: Caller | undefined
}

export interface RouterParts {
  readonly nodeId: NodeId
  readonly clock: Clock
  readonly timers: Timers
  readonly leader: LeaderService
  readonly leaderReady: () => boolean
  readonly leaderId: () => NodeId
  readonly clusterStatus: () => ClusterStatus
  /** For what this node answers by itself. */
  readonly control: AccessControl
  /** False when the frame could not be sent. */
  readonly sendCall: (peer: NodeId, call: ForwardedCall) => boolean
  readonly sendCancel: (peer: NodeId, callId: number) => void
  /** Requests waiting or under way at once; more are refused with `overloaded`. */
  readonly maxRequests: number
}

type AnyReply = Reply<unknown>

interface RoutedRequest {
  readonly callId: number
  readonly name: LeaderUseCase
  readonly request: RequestOf<LeaderUseCase>
  readonly context: RequestContext
  readonly done: (reply: AnyReply) => boolean | undefined
  readonly deadlineMs: number
  place: "waiting" | "here" | "away"
  awayTo: NodeId
  /** An attempt was lost on its way: it may have been applied, whatever later attempts are told. */
  mayBeApplied: boolean
  /** The leader's own call while `place` is "here". */
  local: LeaderCall<unknown> | undefined
  finished: boolean
}

type CarriedContext = Pick<RequestContext, "requestId" | "cancelled" | "onCancel">

interface CarriedCall {
  readonly context: CarriedContext
  /** The connection it came over is gone. */
  isLost: boolean
}

/** Longest time beyond its polling wait that a forwarded call is given to bring its answer home. */
const HOMEWARD_MS = 500

/** Doing these twice does no harm: they change nothing, or the second time changes nothing more. */
const REPEATABLE: ReadonlySet<LeaderUseCase> = new Set<LeaderUseCase>([
  "getQueueAttributes",
  "listQueues",
  "listDeadLetterSources",
  "peekMessages",
  "searchMessages",
  "traceMessage",
  "previewRewind",
  "previewRedrive",
  "describeRedrive",
  "listQueriedHalves",
  "receiveMessages",
  "setQueueAttributes",
  "clearQueue",
  "unbindDeadLetterQueue",
  "getTopicAttributes",
  "listTopics",
  "getSubscriptionAttributes",
  "listSubscriptions",
  "listKeys",
  "setTopicAttributes",
  "setSubscriptionAttributes",
])

const READ_ONLY: ReadonlySet<LeaderUseCase> = new Set<LeaderUseCase>([
  "getQueueAttributes",
  "listQueues",
  "listDeadLetterSources",
  "peekMessages",
  "searchMessages",
  "traceMessage",
  "previewRewind",
  "previewRedrive",
  "describeRedrive",
  "listQueriedHalves",
  "getTopicAttributes",
  "listTopics",
  "getSubscriptionAttributes",
  "listSubscriptions",
  "listKeys",
])

export class RequestRouter {
  readonly #parts: RouterParts
  readonly #requests = new Map<number, RoutedRequest>()
  readonly #waiting = new Set<RoutedRequest>()
  readonly #deadlines = new DeadlineList<RoutedRequest>()
  /** Calls that this node carries out for other nodes, by node and their call id. */
  readonly #carriedFor = new Map<string, CarriedCall>()
  #lastCallId = 0
  #stopping = false

  constructor(parts: RouterParts) {
    this.#parts = parts
  }

  /** Requests of this node's clients, and those carried out here for other nodes. */
  get inFlightCount(): number {
    return this.#requests.size + this.#carriedFor.size
  }

  /** @param name - not of those that `KeyMint` takes first. */
  execute<K extends LeaderUseCase | "clusterStatus">(
    name: K,
    request: RequestOf<K>,
    call: { readonly context: RequestContext; readonly done: (reply: Reply<ValueOf<K>>) => boolean | undefined },
  ): void {
    const done = call.done as (reply: AnyReply) => boolean | undefined
    if (name === "clusterStatus") {
      this.#later(() => done(this.#ownStatus(call.context.caller)))
      return
    }
    const refusal = this.#entryRefusal()
    if (refusal !== undefined) {
      this.#later(() => done(refused(refusal)))
      return
    }
    const leaderName: LeaderUseCase = name
    const routed: RoutedRequest = {
      callId: ++this.#lastCallId,
      name: leaderName,
      request: request as RequestOf<LeaderUseCase>,
      context: call.context,
      done,
      deadlineMs: this.#parts.clock.monotonicMs() + call.context.timeoutMs + pollingWaitOf(request),
      place: "waiting",
      awayTo: 0,
      mayBeApplied: false,
      local: undefined,
      finished: false,
    }
    this.#requests.set(routed.callId, routed)
    this.#deadlines.add(routed.deadlineMs, routed)
    call.context.onCancel = () => {
      this.#cancel(routed)
    }
    this.#dispatch(routed)
  }

  #ownStatus(caller: Caller): AnyReply {
    const admission = this.#parts.control.admit({ name: "clusterStatus", request: {}, caller })
    return admission.isAllowed ? { ok: true, value: this.#parts.clusterStatus() } : refused(admission.error)
  }

  /** Role, leader or a connection changed: what waits may have somewhere to go. */
  dispatchWaiting(): void {
    for (const routed of [...this.#waiting]) this.#dispatch(routed)
  }

  /** Called at each tick. */
  tick(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    for (;;) {
      const routed = this.#deadlines.takeDue(nowMs)
      if (routed === undefined) break
      this.#deadlineCame(routed)
    }
    if (this.#waiting.size > 0) this.dispatchWaiting()
  }

  /** The connection to a peer is gone: answers to what was sent there will not come. */
  peerLost(peer: NodeId): void {
    for (const routed of this.#requests.values()) {
      if (routed.place === "away" && routed.awayTo === peer) this.#attemptLost(routed)
    }
    for (const [key, carried] of [...this.#carriedFor]) {
      if (!key.startsWith(`${String(peer)}/`)) continue
      // Its call ids are used again when that node comes back as a new process: the answer must not reach it then.
      this.#carriedFor.delete(key)
      carried.isLost = true
      cancelContext(carried.context)
    }
  }

  /** No new requests; long polls are answered by the leader service. */
  beginStop(): void {
    this.#stopping = true
  }

  /** Answers everything that is left, honestly. */
  finishStop(): void {
    for (const routed of [...this.#requests.values()]) this.#deadlineCame(routed)
  }

  // ------------------------------------------------------------------------------------------ between nodes

  /** Another node asks this one to carry out a call. `answer` gets undefined when this node cannot (not the leader). */
  carryOut(peer: NodeId, call: ForwardedCall, answer: (reply: AnyReply | undefined) => void): void {
    if (!this.#parts.leaderReady() || this.#stopping) {
      this.#later(() => {
        answer(undefined)
      })
      return
    }
    const key = `${String(peer)}/${String(call.callId)}`
    const { caller, timeoutMs } = call
    const context: CarriedContext = { requestId: key, cancelled: false, onCancel: undefined }
    const carried: CarriedCall = { context, isLost: false }
    this.#carriedFor.set(key, carried)
    const local: LeaderCall<unknown> = {
      caller,
      deadlineMs: this.#parts.clock.monotonicMs() + timeoutMs,
      cancel: undefined,
      done: (result) => {
        if (carried.isLost) {
          if (result !== RETRY)
            this.#giveBackMessages({ requestId: key, name: call.name, request: call.request }, result)
          return
        }
        this.#carriedFor.delete(key)
        answer(result === RETRY ? undefined : result)
      },
    }
    context.onCancel = () => local.cancel?.()
    this.#executeHere(call.name, call.request as RequestOf<LeaderUseCase>, local)
  }

  cancelCarried(peer: NodeId, callId: number): void {
    const carried = this.#carriedFor.get(`${String(peer)}/${String(callId)}`)
    if (carried !== undefined) cancelContext(carried.context)
  }

  /** The answer to a call that was sent away; undefined = that node is not the leader (any more). */
  answerCame(callId: number, reply: AnyReply | undefined): void {
    const routed = this.#requests.get(callId)
    if (routed?.place !== "away") return
    if (reply === undefined) this.#wait(routed)
    else this.#finish(routed, reply)
  }

  // ------------------------------------------------------------------------------------------ one request

  #entryRefusal(): ErrorName | undefined {
    if (this.#stopping) return "shuttingDown"
    return this.#requests.size >= this.#parts.maxRequests ? "overloaded" : undefined
  }

  #dispatch(routed: RoutedRequest): void {
    if (routed.finished) return
    this.#waiting.delete(routed)
    if (this.#parts.leaderReady()) {
      this.#dispatchHere(routed)
      return
    }
    const leaderId = this.#parts.leaderId()
    if (leaderId === 0 || leaderId === this.#parts.nodeId || !this.#sendAway(routed, leaderId)) this.#wait(routed)
  }

  #dispatchHere(routed: RoutedRequest): void {
    routed.place = "here"
    let isReturned = false
    const local: LeaderCall<unknown> = {
      caller: routed.context.caller,
      deadlineMs: routed.deadlineMs,
      cancel: undefined,
      done: (result) => {
        // The leader may know at once; the caller is never told before its call has returned.
        if (!isReturned) {
          this.#later(() => {
            local.done(result)
          })
          return
        }
        if (routed.finished || routed.local !== local) {
          this.#lateAnswer(routed, result)
          return
        }
        routed.local = undefined
        if (result === RETRY) this.#wait(routed)
        else this.#finish(routed, result)
      },
    }
    routed.local = local
    this.#executeHere(routed.name, routed.request, local)
    isReturned = true
  }

  #executeHere(name: LeaderUseCase, request: RequestOf<LeaderUseCase>, local: LeaderCall<unknown>): void {
    this.#parts.leader.execute(name, request, local)
  }

  #sendAway(routed: RoutedRequest, leaderId: NodeId): boolean {
    const timeoutMs = routed.deadlineMs - this.#parts.clock.monotonicMs()
    const { callId, name, request, context } = routed
    const call = { callId, timeoutMs, name, request, caller: context.caller }
    if (!this.#parts.sendCall(leaderId, call)) return false
    routed.place = "away"
    routed.awayTo = leaderId
    return true
  }

  /** Nothing has happened to it yet, or only what may happen again. */
  #wait(routed: RoutedRequest): void {
    routed.place = "waiting"
    routed.local = undefined
    this.#waiting.add(routed)
  }

  /** The attempt under way will not be answered, and it may have been applied. */
  #attemptLost(routed: RoutedRequest): void {
    routed.mayBeApplied = !READ_ONLY.has(routed.name)
    if (isRepeatable(routed)) this.#wait(routed)
    else this.#finish(routed, refused("unknownOutcome"))
  }

  #deadlineCame(routed: RoutedRequest): void {
    if (routed.finished) return
    const applied = routed.place === "waiting" || READ_ONLY.has(routed.name)
    this.#finish(routed, refused(applied ? "unavailable" : "unknownOutcome"))
  }

  #finish(routed: RoutedRequest, reply: AnyReply): void {
    if (routed.finished) return
    routed.finished = true
    this.#waiting.delete(routed)
    this.#deadlines.remove(routed)
    this.#requests.delete(routed.callId)
    routed.context.onCancel = undefined
    const taken = routed.done(honest(routed, reply))
    if (taken === false || routed.context.cancelled) this.#giveBack(routed, reply)
  }

  /** An answer that came after the request was given up: messages in it must not stay invisible for nothing. */
  #lateAnswer(routed: RoutedRequest, result: AnyReply | typeof RETRY): void {
    if (result !== RETRY) this.#giveBack(routed, result)
  }

  #giveBack(routed: RoutedRequest, reply: AnyReply): void {
    const { name, request, context } = routed
    this.#giveBackMessages({ requestId: context.requestId, name, request }, reply)
  }

  #giveBackMessages(
    call: { readonly requestId: string; readonly name: LeaderUseCase; readonly request: unknown },
    reply: AnyReply,
  ): void {
    if (call.name !== "receiveMessages" || !reply.ok || this.#stopping) return
    const { messages } = reply.value as ValueOf<"receiveMessages">
    const { queueName } = call.request as RequestOf<"receiveMessages">
    const handles = messages.map((message) => message.deliveryHandle)
    this.execute(
      "changeVisibility",
      { queueName, handles, visibilityTimeoutMs: 0 },
      {
        context: {
          requestId: `${call.requestId}/give-back`,
          caller: OPERATOR,
          timeoutMs: 5000,
          cancelled: false,
          onCancel: undefined,
        },
        done: () => undefined,
      },
    )
  }

  /** The client has gone. */
  #cancel(routed: RoutedRequest): void {
    if (routed.finished) return
    if (routed.place === "away") {
      this.#parts.sendCancel(routed.awayTo, routed.callId)
    } else if (routed.place === "here") {
      routed.local?.cancel?.()
    } else {
      this.#finish(routed, refused("unavailable"))
    }
  }

  #later(run: () => void): void {
    this.#parts.timers.soon(run)
  }
}

/**
 * "Not applied" is never said of a request whose earlier attempt may have been. An empty receive stays one: what the
 * lost attempt took comes back by itself.
 */
function honest(routed: RoutedRequest, reply: AnyReply): AnyReply {
  if (!routed.mayBeApplied || reply.ok || reply.error === "noMessage") return reply
  return errorRow(reply.error).outcome === "notApplied" ? refused("unknownOutcome") : reply
}

function isRepeatable(routed: RoutedRequest): boolean {
  if (REPEATABLE.has(routed.name)) return true
  if (routed.name !== "sendMessages" && routed.name !== "prepareMessages") return false
  const { messages } = routed.request as RequestOf<"sendMessages">
  return messages.every((message) => message.clientMessageId !== "")
}

function pollingWaitOf(request: unknown): number {
  const waitMs = (request as Partial<RequestOf<"receiveMessages">>).pollingWaitMs
  const isReceive = (request as Partial<RequestOf<"receiveMessages">>).maxCount !== undefined
  return isReceive ? (waitMs ?? MAX_POLLING_WAIT_MS) + HOMEWARD_MS : 0
}

/** A receive that leaves the wait to the queue's attribute may wait this long. */
const MAX_POLLING_WAIT_MS = 30_000

function cancelContext(context: CarriedContext): void {
  context.cancelled = true
  context.onCancel?.()
}

function refused(error: ErrorName): AnyReply {
  return { ok: false, error, args: [] }
}
