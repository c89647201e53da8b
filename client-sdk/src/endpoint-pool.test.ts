import { expect, test } from "vitest"
import { CmqError } from "./cmq-error.ts"
import { EndpointPool, normalizeEndpoint } from "./endpoint-pool.ts"

const A = "http://a:7070"
const B = "http://b:7070"
const C = "http://c:7070"
const NONE: ReadonlySet<string> = new Set()

function poolOf(origins: readonly string[], followUnknownLeaders = true) {
  const clock = { nowMs: 0 }
  const pool = new EndpointPool({ origins, followUnknownLeaders, nowMs: () => clock.nowMs })
  return { pool, clock }
}

test("without a known leader the endpoints are asked in turn", () => {
  const { pool } = poolOf([A, B, C])
  expect([1, 2, 3, 4].map(() => pool.pick(NONE))).toEqual([A, B, C, A])
})

test("a known leader is asked first, until it fails", () => {
  const { pool } = poolOf([A, B, C])
  pool.leaderIs(B)
  expect([pool.pick(NONE), pool.pick(NONE)]).toEqual([B, B])
  expect(pool.pick(new Set([B]))).not.toBe(B)
  pool.failed(B)
  expect(pool.pick(NONE)).not.toBe(B)
})

test("an endpoint that fails again and again is put aside for longer each time, and one success forgets it all", () => {
  const { pool, clock } = poolOf([A, B])
  const pauses: number[] = []
  for (let failure = 0; failure < 10; failure++) {
    pool.failed(A)
    const pausedForMs = pool.health()[0]?.pausedForMs ?? 0
    pauses.push(pausedForMs)
    clock.nowMs += pausedForMs
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000])
  pool.answered(A)
  expect(pool.health()[0]).toMatchObject({ failureCount: 0, pausedForMs: 0 })
})

test("calls that fail together count as one failure", () => {
  const { pool } = poolOf([A, B])
  for (let call = 0; call < 50; call++) pool.failed(A)
  expect(pool.health()[0]?.failureCount).toBe(1)
})

test("when all are put aside, the one whose pause ends first is asked all the same", () => {
  const { pool, clock } = poolOf([A, B])
  pool.failed(B)
  clock.nowMs = 50
  pool.failed(A)
  expect(pool.pick(NONE)).toBe(B)
  expect(pool.pick(new Set([B]))).toBe(A)
  expect(pool.pick(new Set([A, B]))).toBeUndefined()
  expect(pool.hasOpen(new Set([A, B]))).toBe(false)
})

test("a leader that is not in the list is followed unless that is forbidden", () => {
  const free = poolOf([A])
  free.pool.leaderIs("http://127.0.0.1:9/")
  expect(free.pool.pick(NONE)).toBe("http://127.0.0.1:9")
  const bound = poolOf([A], false)
  bound.pool.leaderIs("http://127.0.0.1:9")
  expect(bound.pool.pick(NONE)).toBe(A)
})

test("a reply cannot switch encryption off, nor name a thing that is no endpoint", () => {
  const { pool } = poolOf(["https://a:7070"])
  pool.leaderIs(A)
  pool.leaderIs("javascript:alert(1)")
  pool.leaderIs("")
  expect(pool.health()).toHaveLength(1)
})

test("endpoints learned from replies are bounded, and the configured ones are never dropped", () => {
  const { pool } = poolOf([A])
  for (let node = 0; node < 100; node++) pool.leaderIs(`http://node${String(node)}:1`)
  const health = pool.health()
  expect(health).toHaveLength(17)
  expect(health[0]).toMatchObject({ endpoint: A, isConfigured: true })
  expect(health.find((each) => each.isLeader)?.endpoint).toBe("http://node99:1")
})

test("an endpoint is an http or https address; case, path and user are normalised away", () => {
  expect(normalizeEndpoint("HTTP://user:pw@Host:7070/v2/index.php?x")).toBe("http://host:7070")
  expect(normalizeEndpoint("https://[::1]:443/")).toBe("https://[::1]")
  for (const text of ["", "127.0.0.1:7070", "ftp://a", "not an address"]) {
    expect(() => normalizeEndpoint(text), text).toThrow(CmqError)
  }
})
