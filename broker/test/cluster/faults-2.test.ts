// Restarts, disks that are full, and data that is gone, damaged or foreign.
import { testRounds } from "./fault-rounds.ts"
import { inTurn } from "./scenarios.ts"

testRounds([
  inTurn("short-restarts", ["rolling-sigterm", "restart-random"]),
  inTurn("short-full-disk", ["disk-full"]),
  inTurn("short-file-size-limit", ["file-size-limit"]),
  inTurn("short-data", ["wiped-follower", "damaged-file", "foreign-data"]),
])
