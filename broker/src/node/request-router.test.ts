import { expect, test } from "vitest"
import type { ErrorName } from "@opencmq/proto"
import { AccessControl } from "./access-control.ts"
import { OPERATOR } from "./caller.ts"
import { CLOSED_VAULT } from "./key-mint.ts"
import { RequestRouter } from "./request-router.ts"
import type { ForwardedCall, RouterParts } from "./request-router.ts"
import type { LeaderService } from "./leader-service.ts"
import type { LeaderCall } from "./set-access.ts"
import type { Reply, RequestContext, RequestOf, ValueOf } from "./service-types.ts"

const LEADER = 2

/** A follower whose leader is a list of calls; turns and time are taken by the test. */
class Follower {
  readonly sent: ForwardedCall[] = []
  leaderId = LEADER
  isLeader = false
  readonly local: LeaderCall<unknown>[] = []
  nowMs = 0
  #turn: (() => void)[] = []

  readonly router = new RequestRouter({
    nodeId: 1,
    clock: { monotonicMs: () => this.nowMs, wallMs: () => this.nowMs },
    timers: { soon: (run) => this.#turn.push(run), after: () => () => undefined, every: () => () => undefined },
    leader: {
      execute: (_name: string, _request: unknown, call: LeaderCall<unknown>) => this.local.push(call),
    } as unknown as LeaderService,
    leaderReady: () => this.isLeader,
    leaderId: () => this.leaderId,
    clusterStatus: () => {
      throw new Error("not asked here")
    },
    control: new AccessControl({ findKey: () => undefined, vault: CLOSED_VAULT }),
    sendCall: (_peer, call) => {
      this.sent.push(call)
      return true
    },
    sendCancel: () => undefined,
    maxRequests: 10,
  } satisfies RouterParts)

  send(clientMessageId: string): Waiting<"sendMessages"> {
    const message = { body: new Uint8Array(1), delayMs: 0, clientMessageId, attributes: [] }
    return this.#ask("sendMessages", { queueName: "q", messages: [message] })
  }

  receive(): Waiting<"receiveMessages"> {
    const request = { queueName: "q", maxCount: 1, pollingWaitMs: 0, visibilityTimeoutMs: undefined }
    return this.#ask("receiveMessages", request)
  }

  /** The leader's connection breaks, nobody leads, and time goes by. */
  loseLeader(afterMs: number): void {
    this.leaderId = 0
    this.router.peerLost(LEADER)
    this.nowMs += afterMs
    this.router.tick()
  }

  endTurn(): void {
    const turn = this.#turn
    this.#turn = []
    for (const run of turn) run()
  }

  #ask<K extends "sendMessages" | "receiveMessages">(name: K, request: RequestOf<K>): Waiting<K> {
    const waiting: Waiting<K> = { reply: undefined }
    const caller = OPERATOR
    const context: RequestContext = { requestId: "r", caller, timeoutMs: 1_000, cancelled: false, onCancel: undefined }
    this.router.execute(name, request, {
      context,
      done: (reply) => {
        waiting.reply = reply
        return true
      },
    })
    return waiting
  }
}

type Waiting<K extends "sendMessages" | "receiveMessages"> = { reply: Reply<ValueOf<K>> | undefined }

function refusal(waiting: { readonly reply: Reply<unknown> | undefined }): ErrorName | undefined {
  return waiting.reply?.ok === false ? waiting.reply.error : undefined
}

test("a send that nobody took until its deadline was not applied", () => {
  const follower = new Follower()
  follower.leaderId = 0
  const waiting = follower.send("id")
  follower.loseLeader(2_000)
  expect(refusal(waiting)).toBe("unavailable")
})

test("a send whose first attempt was lost is unknown at its deadline, though it waited for another attempt", () => {
  const follower = new Follower()
  const waiting = follower.send("id")
  expect(follower.sent).toHaveLength(1)
  follower.loseLeader(0)
  expect(waiting.reply).toBeUndefined()
  follower.loseLeader(2_000)
  expect(refusal(waiting)).toBe("unknownOutcome")
})

test("a refusal of a later attempt does not make the lost one undone", () => {
  const follower = new Follower()
  const waiting = follower.send("id")
  follower.loseLeader(0)
  follower.leaderId = LEADER
  follower.router.dispatchWaiting()
  expect(follower.sent).toHaveLength(2)
  follower.router.answerCame(follower.sent[1]?.callId ?? 0, { ok: false, error: "diskFull", args: [] })
  expect(refusal(waiting)).toBe("unknownOutcome")
})

test("a send that cannot be repeated is unknown as soon as its attempt is lost", () => {
  const follower = new Follower()
  const waiting = follower.send("")
  follower.loseLeader(0)
  expect(refusal(waiting)).toBe("unknownOutcome")
})

test("a receive whose first attempt was lost may be told that there is nothing, but not that nothing was done", () => {
  const follower = new Follower()
  const [empty, late] = [follower.receive(), follower.receive()]
  follower.loseLeader(0)
  follower.leaderId = LEADER
  follower.router.dispatchWaiting()
  follower.router.answerCame(follower.sent[2]?.callId ?? 0, { ok: false, error: "noMessage", args: [] })
  expect(refusal(empty)).toBe("noMessage")
  follower.loseLeader(0)
  follower.loseLeader(2_000)
  expect(refusal(late)).toBe("unknownOutcome")
})

test("what is carried out for other nodes counts as under way", () => {
  const follower = new Follower()
  follower.isLeader = true
  const answers: unknown[] = []
  const call: ForwardedCall = { callId: 7, timeoutMs: 1_000, name: "receiveMessages", request: {}, caller: OPERATOR }
  follower.router.carryOut(3, call, (reply) => answers.push(reply))
  expect(follower.router.inFlightCount).toBe(1)
  follower.local[0]?.done({ ok: false, error: "noMessage", args: [] })
  expect(answers).toHaveLength(1)
  expect(follower.router.inFlightCount).toBe(0)
})

test("a request says at the leader who asked for it, and without a caller it is carried out in nobody's name", () => {
  const follower = new Follower()
  follower.send("id")
  expect(follower.sent[0]?.caller).toBe(OPERATOR)
  follower.isLeader = true
  const call = { callId: 8, timeoutMs: 1_000, name: "deleteQueue", request: {}, caller: undefined } as const
  follower.router.carryOut(3, call, () => undefined)
  expect(follower.local.at(-1)?.caller).toBeUndefined()
})
