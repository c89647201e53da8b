import { expect, test } from "vitest"
import { ManualClock } from "../test-support/manual-clock.ts"
import { EndpointWatch } from "./endpoint-watch.ts"

const A = "http://a:1"

/** A watch whose probes are answered by the test. */
function watched(suspectAfterMs = 500) {
  const clock = new ManualClock()
  const probes: { alive: () => Promise<void>; dead: () => Promise<void> }[] = []
  const watch = new EndpointWatch({
    clock,
    suspectAfterMs,
    probeTimeoutMs: 200,
    probe: (_, signal) =>
      new Promise((resolve, reject) => {
        const after = async (act: () => void): Promise<void> => {
          act()
          await new Promise<void>((done) => setImmediate(done))
        }
        const fail = (): void => {
          reject(new Error("nothing there"))
        }
        signal.addEventListener("abort", fail)
        probes.push({ alive: () => after(resolve), dead: () => after(fail) })
      }),
  })
  return { clock, watch, probes }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test("nothing is probed while replies come, and nothing at all when nothing waits", () => {
  const { clock, watch, probes } = watched()
  const leavePoll = watch.enter(A, () => undefined)
  for (let reply = 0; reply < 10; reply++) {
    const leave = watch.enter(A, () => undefined)
    clock.advance(400)
    leave(true)
  }
  expect(probes).toHaveLength(0)
  leavePoll(true)
  clock.advance(100_000)
  expect(probes).toHaveLength(0)
  expect(clock.timerCount).toBe(0)
})

test("a silent endpoint that lives is probed again, at growing gaps", async () => {
  const { clock, watch, probes } = watched()
  const ended: string[] = []
  watch.enter(A, () => ended.push("poll"))
  const gaps: number[] = []
  for (let probe = 1; probe <= 6; probe++) {
    let gap = 0
    while (probes.length < probe) {
      clock.advance(100)
      gap += 100
    }
    gaps.push(gap)
    await probes.at(-1)?.alive()
  }
  expect(gaps).toEqual([500, 1_000, 2_000, 4_000, 4_000, 4_000])
  expect(ended).toEqual([])
})

test("when a probe fails or gets no answer, everything that waited before it ends, later ones do not", async () => {
  const { clock, watch, probes } = watched()
  const ended: string[] = []
  watch.enter(A, () => ended.push("first"))
  const leave = watch.enter(A, () => ended.push("gone"))
  leave(false)
  clock.advance(500)
  watch.enter(A, () => ended.push("later"))
  await probes[0]?.dead()
  expect(ended).toEqual(["first"])
  clock.advance(500)
  expect(probes).toHaveLength(2)
  clock.advance(200)
  await turn()
  expect(ended).toContain("later")
})

test("a watch that is switched off starts no timer", () => {
  const { clock, watch } = watched(0)
  watch.enter(A, () => undefined)(false)
  watch.enter(A, () => undefined)
  expect(clock.timerCount).toBe(0)
})
