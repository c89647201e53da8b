/**
 * The clocks of this machine.
 */
import { performance } from "node:perf_hooks"
import type { Clock } from "../../ports.ts"

export class SystemClock implements Clock {
  monotonicMs(): number {
    return performance.now()
  }

  wallMs(): number {
    return Date.now()
  }
}
