/**
 * Bugs that the simulator found, each with the seed that showed it first. A seed is run as it was: with the swarm drawn
 * from it, or with the one given here. The number of a seed says little once the simulator draws otherwise; what is
 * kept alive is the shape of the fault.
 */
import type { SwarmOverride } from "./swarm.ts"

export interface Regression {
  readonly name: string
  readonly seed: number
  readonly override?: SwarmOverride
  /** What was wrong, and where. */
  readonly was: string
}

export const REGRESSIONS: readonly Regression[] = [
  {
    name: "a receive that finds nothing is answered after the call returned",
    seed: 4,
    was: "leader-service answered inside execute() when a poll had no time left (node/request-router.ts)",
  },
  {
    name: "a cancelled call that is away is answered too",
    seed: 13,
    was: "request-router dropped it at its deadline without calling done",
  },
  {
    name: "sends are taken again when a full disk has space",
    seed: 39,
    override: { faults: new Set(["fullDisk", "kills"]), nodeCount: 3, safetyMs: 60_000, idleMs: 0, faultEveryMs: 3000 },
    was: "nobody asked the log to look for space while no writes came (SegmentedLog.probeSpace)",
  },
  {
    name: "a snapshot install that is interrupted keeps the bodies",
    seed: 53,
    override: {
      faults: new Set(["fullDisk", "powerCuts", "kills", "partitions"]),
      nodeCount: 3,
      safetyMs: 120_000,
      idleMs: 120_000,
      faultEveryMs: 3000,
      checkpointBytes: 4096,
      checkpointTicks: 20,
      keptForFollowersBytes: 0,
    },
    was: "the checkpoint was replaced before the log had decided the install; a crash in between lost all staged entries",
  },
  {
    name: "an answer never reaches a later life of the node that asked",
    seed: 195,
    override: {
      faults: new Set(["network", "powerCuts", "kills", "killAll", "clocks", "slowDisk"]),
      nodeCount: 5,
      safetyMs: 120_000,
      idleMs: 60_000,
      faultEveryMs: 2000,
    },
    was: "call ids begin again with each process, and the leader answered calls of the dead one over the new connection (node/request-router.ts)",
  },
  {
    name: "no checkpoint of the old machine is written over an installed snapshot",
    seed: 559,
    was: "a view opened while still leader, or a stop, ended the pause that the install had asked for (node/checkpointer.ts)",
  },
  {
    name: "a snapshot whose leader was replaced does not keep later ones out",
    seed: 309,
    was: "the core ignored it, and the receiver waited for it to be restored for ever (node/snapshot-receiver.ts)",
  },
]
