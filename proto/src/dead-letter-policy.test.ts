import fc from "fast-check"
import { expect, test } from "vitest"
import { formatDeadLetterPolicy, parseDeadLetterPolicy, readDeadLetterPolicy } from "./dead-letter-policy.ts"
import type { DeadLetterPolicy } from "./dead-letter-policy.ts"

function read(params: Record<string, string>): unknown {
  return readDeadLetterPolicy(new Map(Object.entries(params)))
}

const byCount = { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 3 }
const byAge = { kind: "maxTimeToLive", deadLetterQueue: "dead", maxTimeToLiveSeconds: 300 }

test("CMQ's JSON text gives a policy by count or by age; numbers may be text", () => {
  const texts: [string, object][] = [
    ['{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":3}', byCount],
    ['{"deadLetterQueue":"dead","policy":"0","maxReceiveCount":"3","maxTimeToLive":1}', byCount],
    ['{"deadLetterQueue":"dead","maxReceiveCount":3}', byCount],
    ['{"deadLetterQueue":"dead","policy":1,"maxTimeToLive":300}', byAge],
  ]
  for (const [text, value] of texts) expect(read({ deadLetterPolicy: text }), text).toEqual({ ok: true, value })
})

test("the flat form of API 3.0 means the same, and the JSON text goes first", () => {
  const flat = { deadLetterQueueName: "dead", policy: "1", maxTimeToLive: "300" }
  expect(read(flat)).toEqual({ ok: true, value: byAge })
  expect(read({ deadLetterPolicy: '{"deadLetterQueue":"dead","maxReceiveCount":3}', ...flat })).toEqual({
    ok: true,
    value: byCount,
  })
})

test("no policy, or an empty one, is no policy", () => {
  for (const params of [{}, { deadLetterPolicy: "" }, { maxReceiveCount: "5" }])
    expect(read(params)).toEqual({ ok: true, value: undefined })
})

test("what is not a policy is refused with the reason", () => {
  const wrong = [
    "x",
    "[]",
    "null",
    "7",
    "{}",
    '{"deadLetterQueue":7}',
    '{"deadLetterQueue":"dead"}',
    '{"deadLetterQueue":"dead","policy":2}',
    '{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":0}',
    '{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":1001}',
    '{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":1.5}',
    '{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":" 1"}',
    '{"deadLetterQueue":"dead","policy":1,"maxTimeToLive":299}',
    '{"deadLetterQueue":"dead","policy":1,"maxTimeToLive":43201}',
    '{"deadLetterQueue":"dead","policy":1,"maxReceiveCount":5}',
    `{"deadLetterQueue":"dead","maxReceiveCount":5,"x":"${"y".repeat(5000)}"}`,
  ]
  for (const text of wrong)
    expect(read({ deadLetterPolicy: text }), text).toMatchObject({
      error: "deadLetterPolicyInvalid",
      args: [expect.any(String)],
    })
  expect(read({ deadLetterPolicy: '{"deadLetterQueue":"9bad","maxReceiveCount":5}' })).toMatchObject({
    error: "queueNameInvalid",
  })
})

test("a policy written out reads back", () => {
  const policies = fc.oneof(
    fc.record({
      kind: fc.constant("maxReceiveCount" as const),
      deadLetterQueue: fc.constant("dead-9_x"),
      maxReceiveCount: fc.integer({ min: 1, max: 1000 }),
    }),
    fc.record({
      kind: fc.constant("maxTimeToLive" as const),
      deadLetterQueue: fc.constant("d"),
      maxTimeToLiveSeconds: fc.integer({ min: 300, max: 43_200 }),
    }),
  )
  fc.assert(
    fc.property(policies, (policy: DeadLetterPolicy) => {
      expect(parseDeadLetterPolicy(formatDeadLetterPolicy(policy))).toEqual({ ok: true, value: policy })
    }),
  )
  expect(formatDeadLetterPolicy({ kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 3 })).toBe(
    '{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":3}',
  )
})
