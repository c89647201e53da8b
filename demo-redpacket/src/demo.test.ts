import { Account } from "@opencmq/client-sdk"
import { expect, test } from "vitest"
import { ScriptedServer } from "../../client-sdk/test-support/scripted-server.ts"
import type { Fault } from "../../client-sdk/test-support/scripted-server.ts"
import { AccountSide } from "./account-side.ts"
import { formatCredit, parseCredit } from "./credit-message.ts"
import { runDemo } from "./demo.ts"
import type { DemoOptions } from "./demo.ts"
import { TRANSIT } from "./domain/ledger.ts"
import { exitCodeOf, formatResult } from "./report.ts"

function story(server: ScriptedServer, options: Partial<DemoOptions> = {}) {
  const cmq = new Account({ ...server.accountOptions, random: () => 0 })
  const night = runDemo({
    cmq,
    packets: 300,
    sharesPerPacket: 2,
    refusePercent: 50,
    lostAnswerPercent: 10,
    seed: 1,
    timeoutMs: 15_000,
    onPacket: () => undefined,
    onError: () => undefined,
    ...options,
  })
  return night.finally(() => {
    cmq.close()
  })
}

test("every refused credit goes through the queue, and the sum of all money is what it was", async () => {
  await using server = await ScriptedServer.start()
  const result = await story(server)
  expect(result).toMatchObject({ packets: 300, shares: 600, lost: 0, leftInQueue: 0, isRight: true })
  expect(result.moneyAfterFen).toBe(result.moneyBeforeFen)
  expect(result.creditedDirectly + result.sentToQueue).toBe(600)
  // Those whose answer was lost were in the books already, and went through the queue all the same.
  expect(result.duplicatesPrevented).toBe(result.sentToQueue - result.creditedFromQueue)
  expect(result.duplicatesPrevented).toBeGreaterThan(0)
  expect(server.state.queues.size).toBe(0)
})

test("lost answers, repeated sends and second deliveries do not move any money twice", async () => {
  await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
  const faults: readonly Fault[] = [{ kind: "dropAfter" }, { kind: "dropBefore" }, { kind: "halfReply" }]
  for (let round = 0; round < 3; round++) {
    for (const action of ["BatchSendMessage", "BatchReceiveMessage", "BatchDeleteMessage"] as const) {
      server.script(action, faults)
    }
  }
  // What a dead poll took along comes back when its visibility timeout has ended.
  const clock = setInterval(() => {
    server.advance(10_000)
  }, 50)
  const result = await story(server)
  clearInterval(clock)
  expect(result).toMatchObject({ lost: 0, isRight: true })
  expect(server.unmetFaults).toBe(0)
})

test("the death of the leader in the middle of the night loses nothing", async () => {
  await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
  let deaths: Promise<unknown> = Promise.resolve()
  const clock = setInterval(() => {
    server.advance(10_000)
  }, 50)
  const result = await story(server, {
    packets: 2_000,
    onPacket: (opened) => {
      if (opened !== 500 && opened !== 1_500) return
      const dead = server.leader
      server.leader = (dead + 1) % 3
      deaths = deaths.then(() => server.killNode(dead))
    },
  })
  clearInterval(clock)
  await deaths
  expect(result).toMatchObject({ packets: 2_000, lost: 0, isRight: true })
})

test("the next packet waits for what a packet brings about", async () => {
  await using server = await ScriptedServer.start()
  const seen: string[] = []
  const result = await story(server, {
    packets: 2,
    onPacket: async (opened) => {
      seen.push(`begin ${String(opened)}`)
      await new Promise((resolve) => setImmediate(resolve))
      seen.push(`end ${String(opened)}`)
    },
  })
  expect(seen).toEqual(["begin 1", "end 1", "begin 2", "end 2"])
  expect(result.isRight).toBe(true)
})

test("when a message is eaten the count says so", async () => {
  await using server = await ScriptedServer.start()
  let isEaten = false
  const result = await story(server, {
    timeoutMs: 1_000,
    lostAnswerPercent: 0,
    onPacket: (opened) => {
      if (opened < 100 || isEaten) return
      for (const queue of server.state.queues.values()) {
        const eaten = queue.messages.find((each) => each.dequeueCount === 0)
        if (eaten === undefined) continue
        queue.messages.splice(queue.messages.indexOf(eaten), 1)
        isEaten = true
      }
    },
  })
  expect(isEaten).toBe(true)
  expect(result).toMatchObject({ lost: 1, isRight: false })
  expect(result.moneyAfterFen).toBeLessThan(result.moneyBeforeFen)
})

test("an account side credits a transfer once, whichever way it comes", () => {
  const accounts = new AccountSide({
    random: () => 99,
    refusePercent: 0,
    lostAnswerPercent: 100,
    onError: () => undefined,
  })
  accounts.ledger.open("a", 500)
  accounts.ledger.open("b", 0)
  expect(accounts.debit({ id: "pay:1", from: "a", to: TRANSIT, amountFen: 500 })).toBe("posted")
  const credit = { id: "crd:1:0", from: TRANSIT, to: "b", amountFen: 500 }
  expect(accounts.creditDirectly(credit)).toBe("noAnswer")
  expect(accounts.creditDirectly(credit)).toBe("noAnswer")
  expect(accounts.counts).toEqual({ credited: 1, creditedFromQueue: 0, duplicatesPrevented: 1 })
  expect(accounts.ledger.balanceFen("b")).toBe(500)
})

test("a credit reads back from its message, and what is no credit is refused", () => {
  const credit = { id: "crd:1:0", from: TRANSIT, to: "b", amountFen: 7 }
  expect(parseCredit(formatCredit(credit))).toEqual(credit)
  for (const body of ["", "null", "{}", '{"v":2,"id":"x","from":"a","to":"b","amountFen":1}', '{"v":1,"id":1}']) {
    expect(() => parseCredit(body), body).toThrow()
  }
})

test("the closing lines say what happened", () => {
  const result = {
    packets: 10_000,
    shares: 20_000,
    creditedDirectly: 9_000,
    sentToQueue: 11_000,
    creditedFromQueue: 10_000,
    duplicatesPrevented: 1_000,
    lost: 0,
    moneyBeforeFen: 123_456_705,
    moneyAfterFen: 123_456_705,
    leftInQueue: 0,
    isRight: true,
  }
  const text = formatResult(result, { asked: 2, done: 2 })
  expect(text).toMatch(/^leaders killed meanwhile +2$/m)
  expect(text).toMatch(/^money after +1,234,567\.05 CNY$/m)
  expect(text).toContain("The sum of all money is what it was. 0 lost.")
  expect(exitCodeOf(result, { asked: 2, done: 2 })).toBe(0)
  const wrong = { ...result, lost: 1, isRight: false }
  expect(formatResult(wrong, { asked: 2, done: 1 })).toContain("WRONG")
  expect(exitCodeOf(wrong, { asked: 2, done: 1 })).toBe(1)
  // Nothing is lost, and little is shown.
  expect(formatResult(result, { asked: 2, done: 1 })).toMatch(/^leaders killed meanwhile +1 of 2$/m)
  expect(formatResult(result, { asked: 2, done: 1 })).toContain("fewer leaders were killed than asked for")
  expect(exitCodeOf(result, { asked: 2, done: 1 })).toBe(2)
})
