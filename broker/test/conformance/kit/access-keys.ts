/** Key pairs for tests: made by the operator, with just these permissions. */
import { OPERATOR } from "../../../src/node/caller.ts"
import type { NewKey, RequestOf, UseCaseName, ValueOf } from "../../../src/node/service-types.ts"
import type { LocalBroker } from "../local-broker.ts"

let accountCount = 0

/** Has the operator do something that must succeed. */
export function operate<K extends UseCaseName>(
  broker: LocalBroker,
  name: K,
  request: RequestOf<K>,
): Promise<ValueOf<K>> {
  return new Promise((resolve, reject) => {
    const context = { requestId: "", caller: OPERATOR, timeoutMs: 1_000, cancelled: false, onCancel: undefined }
    broker.execute(name, request, {
      context,
      done: (reply) => {
        if (reply.ok) resolve(reply.value)
        else reject(new Error(`${name}: ${reply.error}`))
        return true
      },
    })
  })
}

/** A key of a new account. */
export function keyWith(broker: LocalBroker, permissions: readonly string[]): Promise<NewKey> {
  return operate(broker, "createKey", { accountName: `account-${String(++accountCount)}`, permissions })
}

const ROLES = { queue: ["send", "receive", "peek", "administer"], topic: ["send", "peek", "administer"] } as const

/**
 * A permission that is needed: `send:queue:orders`; with `any` as its role, one of all roles.
 *
 * @returns all other roles on that thing, all roles on other things, and on the cluster: all there is but what is needed.
 */
export function allBut(needed: string, names: Readonly<Record<"queue" | "topic", string>>): string[] {
  const [role = "", kind = ""] = needed.split(":")
  const things = (["queue", "topic"] as const).flatMap((each) =>
    ROLES[each].flatMap((one) => {
      const isMissing = each === kind && (role === "any" || role === one)
      // One that lists names shows nothing of a kind of which it may touch nothing.
      const isListed = needed === `any:${each}:*`
      return [...(isMissing ? [] : [`${one}:${each}:${names[each]}`]), ...(isListed ? [] : [`${one}:${each}:other-*`])]
    }),
  )
  const cluster = (["peek", "administer"] as const).filter(
    (one) => kind !== "cluster" || (role !== one && role !== "any"),
  )
  return [...things, ...cluster.map((one) => `${one}:cluster`)]
}

/** What a need is called in a key that meets it. */
export function just(needed: string): string {
  return needed.replace(/^any:cluster$/, "peek:cluster").replace(/^any:/, "peek:")
}
