import { expect, test } from "vitest"
import { eventually, gate, rejection } from "../test-support/eventually.ts"
import { ManualClock } from "../test-support/manual-clock.ts"
import { AbortError } from "./abort.ts"
import { Batcher } from "./batcher.ts"
import type { BatcherOptions, JobResult } from "./batcher.ts"

type Job = Readonly<{ name: string; bytes: number; key: number }>

function job(name: string, bytes = 1, key = 0): Job {
  return { name, bytes, key }
}

/** A batcher whose batches wait at a gate each. */
function gated(options: Partial<BatcherOptions<Job, string>> = {}) {
  const clock = new ManualClock()
  const batches: string[] = []
  const gates: (() => void)[] = []
  const batcher = new Batcher<Job, string>({
    clock,
    maxCount: 3,
    maxBytes: 100,
    lingerMs: 0,
    maxInFlight: 2,
    bytesOf: (each) => each.bytes,
    keyOf: (each) => each.key,
    run: async (jobs) => {
      batches.push(jobs.map((each) => each.name).join(""))
      const { opened, open } = gate()
      gates.push(open)
      await opened
      return jobs.map((each) => ({ ok: true, value: each.name.toUpperCase() }))
    },
    ...options,
  })
  return { batcher, batches, gates, clock }
}

test("jobs of one moment share a batch, and each has its own promise", async () => {
  const { batcher, batches, gates } = gated()
  const all = Promise.all([batcher.add(job("a")), batcher.add(job("b"))])
  await eventually(() => gates.length === 1)
  gates[0]?.()
  expect(await all).toEqual(["A", "B"])
  expect(batches).toEqual(["ab"])
})

test("while a batch is under way the next ones gather, and a full one does not wait", async () => {
  const { batcher, batches, gates } = gated()
  const all = [batcher.add(job("a"))]
  await eventually(() => gates.length === 1)
  all.push(batcher.add(job("b")), batcher.add(job("c")))
  await Promise.resolve()
  expect(batches).toEqual(["a"])
  all.push(batcher.add(job("d")))
  await eventually(() => gates.length === 2)
  all.push(batcher.add(job("e")))
  gates[0]?.()
  gates[1]?.()
  await eventually(() => gates.length === 3)
  gates[2]?.()
  expect(await Promise.all(all)).toEqual(["A", "B", "C", "D", "E"])
  expect(batches).toEqual(["a", "bcd", "e"])
})

test("never more batches are under way than allowed", async () => {
  const { batcher, batches, gates } = gated({ maxCount: 1 })
  const all = ["a", "b", "c", "d"].map((name) => batcher.add(job(name)))
  await eventually(() => gates.length === 2)
  expect(batches).toEqual(["a", "b"])
  expect(batcher.waitingCount).toBe(2)
  gates[0]?.()
  await eventually(() => gates.length === 3)
  gates[1]?.()
  gates[2]?.()
  await eventually(() => gates.length === 4)
  gates[3]?.()
  await Promise.all(all)
  expect(batches).toEqual(["a", "b", "c", "d"])
})

test("a batch keeps below its bytes, and a job that is larger alone goes alone", async () => {
  const { batcher, batches, gates } = gated({ maxInFlight: 10 })
  const all = [job("a", 60), job("b", 60), job("c", 500), job("d", 10)].map((each) => batcher.add(each))
  await eventually(() => gates.length >= 3)
  for (const open of gates) open()
  await eventually(() => gates.length === 4)
  gates[3]?.()
  await Promise.all(all)
  expect(batches).toEqual(["a", "b", "c", "d"])
})

test("jobs with different keys never share a batch", async () => {
  const { batcher, batches, gates } = gated({ maxCount: 16, maxInFlight: 10 })
  const all = [job("a", 1, 0), job("b", 1, 0), job("c", 1, 5)].map((each) => batcher.add(each))
  await eventually(() => gates.length === 1)
  gates[0]?.()
  await eventually(() => gates.length === 2)
  gates[1]?.()
  await Promise.all(all)
  expect(batches).toEqual(["ab", "c"])
})

test("a lingering batch waits for company until its time is over or it is full", async () => {
  const { batcher, batches, gates, clock } = gated({ lingerMs: 5 })
  const first = batcher.add(job("a"))
  await Promise.resolve()
  clock.advance(4)
  const second = batcher.add(job("b"))
  await Promise.resolve()
  expect(batches).toEqual([])
  clock.advance(1)
  expect(batches).toEqual(["ab"])
  gates[0]?.()
  await Promise.all([first, second])
  const full = ["c", "d", "e"].map((name) => batcher.add(job(name)))
  await eventually(() => gates.length === 2)
  gates[1]?.()
  await Promise.all(full)
  expect(batches).toEqual(["ab", "cde"])
  expect(clock.timerCount).toBe(0)
})

test("an aborted job leaves its neighbours alone and says whether it was under way", async () => {
  const { batcher, batches, gates } = gated()
  const first = batcher.add(job("a"))
  await eventually(() => gates.length === 1)
  const waiting = new AbortController()
  const aborted = rejection(batcher.add(job("b"), waiting.signal))
  const neighbour = batcher.add(job("c"))
  waiting.abort("enough")
  expect(await aborted).toMatchObject({ name: "AbortError", outcome: "notApplied", cause: "enough" })
  gates[0]?.()
  await first
  await eventually(() => gates.length === 2)
  const sent = new AbortController()
  const underWay = rejection(batcher.add(job("d"), sent.signal))
  gates[1]?.()
  await neighbour
  await eventually(() => gates.length === 3)
  sent.abort()
  expect(await underWay).toMatchObject({ outcome: "unknown" })
  gates[2]?.()
  await batcher.flush()
  expect(batches).toEqual(["a", "c", "d"])
  expect(await rejection(batcher.add(job("e"), AbortSignal.abort()))).toBeInstanceOf(AbortError)
  expect(batcher.waitingCount).toBe(0)
})

test("a batch that fails as a whole fails each of its jobs, and one job's failure is its own", async () => {
  const outcomes: readonly (() => Promise<readonly JobResult<string>[]>)[] = [
    () => Promise.reject(new Error("whole")),
    () =>
      Promise.resolve([
        { ok: true, value: "fine" },
        { ok: false, error: new Error("own") },
      ]),
  ]
  let run = 0
  const { batcher } = gated({ run: () => outcomes[run++]?.() ?? Promise.resolve([]) })
  const whole = await Promise.allSettled([batcher.add(job("a")), batcher.add(job("b"))])
  expect(whole.map((each) => each.status)).toEqual(["rejected", "rejected"])
  const each = await Promise.allSettled([batcher.add(job("a")), batcher.add(job("b")), batcher.add(job("c"))])
  expect(each.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"])
})

test("flush ends a linger and resolves when nothing is left", async () => {
  const { batcher, batches, gates } = gated({ lingerMs: 1_000 })
  const added = batcher.add(job("a"))
  const flushed = batcher.flush()
  await eventually(() => gates.length === 1)
  gates[0]?.()
  await flushed
  expect(await added).toBe("A")
  expect(batches).toEqual(["a"])
  await batcher.flush()
})
