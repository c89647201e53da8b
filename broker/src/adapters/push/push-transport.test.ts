import { expect, test } from "vitest"
import type { OutgoingPush, PushResult } from "../../ports.ts"
import { NodeTimers } from "../system/node-timers.ts"
import { SystemClock } from "../system/system-clock.ts"
import { readAllowList } from "./allow-list.ts"
import { PushClient } from "./push-client.ts"
import { HttpPushTransport } from "./push-transport.ts"

const logger = { child: () => logger, debug: () => undefined, info: () => undefined } as never

function pushTo(url: string): OutgoingPush {
  return {
    url,
    requestId: "1-1",
    topicName: "news",
    subscriptionName: "hook",
    notifyContentFormat: "json",
    msgId: "1",
    body: new Uint8Array(1),
    tags: [],
    publishedAtMs: 0,
  }
}

test("a push that fails is counted under its reason", async () => {
  const counted: string[] = []
  const metrics = {
    counter: (name: string, reason = "") => ({
      add: (amount: number) => counted.push(`${name} ${reason} ${String(amount)}`),
    }),
  }
  const allowed = readAllowList(["127.0.0.1"])
  if (!allowed.ok) throw new Error(allowed.problem)
  const client = new PushClient(new NodeTimers(), { allowList: allowed.value, resolveHost: () => Promise.resolve([]) })
  const transport = new HttpPushTransport({ client, clock: new SystemClock(), logger, metrics, signingKeys: [] })
  const push = (url: string): Promise<PushResult> =>
    new Promise((resolve) => {
      transport.push(pushTo(url), resolve)
    })
  expect(await push("http://10.0.0.1/")).toBe("failed")
  expect(await push("http://nowhere.example/")).toBe("failed")
  expect(await push("no address")).toBe("failed")
  await transport.close()
  expect(await push("http://127.0.0.1:1024/")).toBe("failed")
  expect(counted).toEqual(["forbidden", "unresolved", "endpoint", "closed"].map((why) => `pushFailures ${why} 1`))
})

test.each([
  ["http://10.0.0.1/hook", "endpointIllegal"],
  ["http://[::ffff:169.254.169.254]/", "endpointIllegal"],
  ["http://2130706434/", "endpointIllegal"],
  ["http://example.com:25/", "endpointIllegal"],
  ["http://user@example.com/", "endpointIllegal"],
  ["ftp://example.com/", "endpointInvalid"],
  ["http://exam ple.com/", "endpointHasBlanks"],
  ["http://127.0.0.1:7070/", undefined],
  ["http://8.8.8.8/", undefined],
  ["http://name.that.is.resolved.later.example/", undefined],
])("a subscription with %s is answered at once: %s", async (url, refusal) => {
  const allowed = readAllowList(["127.0.0.1"])
  if (!allowed.ok) throw new Error(allowed.problem)
  const client = new PushClient(new NodeTimers(), { allowList: allowed.value, resolveHost: () => Promise.resolve([]) })
  const metrics = { counter: () => ({ add: () => undefined }) }
  const transport = new HttpPushTransport({ client, clock: new SystemClock(), logger, metrics, signingKeys: [] })
  expect(transport.refuseEndpoint(url)).toBe(refusal)
  await transport.close()
})
