import { OPERATOR } from "../../src/node/caller.ts"
import { expect, test } from "vitest"
import type { SimNode } from "./sim-cluster.ts"
import { SimCluster } from "./sim-cluster.ts"
import { drawSwarm } from "./swarm.ts"
import { World } from "./world.ts"

const SENDS = 60

function quietCluster(): { readonly world: World; readonly cluster: SimCluster } {
  const world = new World(5)
  const cluster = new SimCluster(world, drawSwarm(world, { nodeCount: 3, faults: new Set() }))
  for (const node of cluster.nodes) cluster.start(node)
  world.runUntil(30_000)
  return { world, cluster }
}

/** One queue after the other: each is an entry of its own. */
function createQueues(world: World, leader: SimNode): number {
  let created = 0
  for (let nth = 0; nth < SENDS; nth++) {
    const queueName = `queue-${String(nth)}`
    leader.process.enter(() => {
      const context = { requestId: queueName, caller: OPERATOR, timeoutMs: 8000, cancelled: false, onCancel: undefined }
      const attributes = {
        maxMsgHeapCount: 1_000_000,
        pollingWaitMs: 0,
        visibilityTimeoutMs: 30_000,
        maxMsgBytes: 65_536,
        msgRetentionMs: 600_000,
        rewindMs: 0,
        deadLetterPolicy: undefined,
      }
      leader.broker?.execute(
        "createQueue",
        { queueName, attributes },
        {
          context,
          done: (reply) => {
            if (reply.ok) created++
            return true
          },
        },
      )
    })
    world.runUntil(world.nowMs + 200)
  }
  return created
}

test("a node that comes back is ready when it has caught up, and not before", () => {
  const { world, cluster } = quietCluster()
  const leader = cluster.leader()
  if (leader === undefined) throw new Error("nobody leads")
  const late = cluster.nodes.find((node) => node !== leader) as SimNode
  expect(late.broker?.notReadyReason()).toBeUndefined()
  cluster.crash(late, "kill")
  expect(createQueues(world, leader)).toBe(SENDS)
  cluster.start(late)
  const reasons: string[] = []
  for (const endMs = world.nowMs + 60_000; world.nowMs < endMs; world.runUntil(world.nowMs + 0.2)) {
    const behind = SENDS - (late.broker?.replica.machine.queueCount ?? 0)
    const reason = late.broker?.notReadyReason()
    if (late.broker !== undefined && reason !== undefined) reasons.push(reason)
    if (late.broker === undefined || reason !== undefined) continue
    // Ten may be missing, and the entries that are no queues.
    expect(behind).toBeLessThanOrEqual(10)
    expect(reasons.some((told) => told.startsWith("catching up"))).toBe(true)
    return
  }
  throw new Error(`never ready: ${String(reasons.at(-1))}`)
})
