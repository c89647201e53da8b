/**
 * Timers of the event loop. They keep the process alive: whoever starts one stops it.
 */
import type { Cancel, Timers } from "../../ports.ts"

export class NodeTimers implements Timers {
  soon(run: () => void): void {
    setImmediate(run)
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = setTimeout(run, delayMs)
    return () => {
      clearTimeout(timer)
    }
  }

  /**
   * Runs at multiples of `periodMs` of the system's uptime, not of the moment of the call: equal periods then share one
   * wake-up, in this process and in the others on this computer. An idle node pays for wake-ups and for little else.
   */
  every(periodMs: number, run: () => void): Cancel {
    let timer: NodeJS.Timeout
    const arm = (): void => {
      const uptimeMs = Number(process.hrtime.bigint() / 1_000_000n)
      timer = setTimeout(
        () => {
          arm()
          run()
        },
        periodMs - (uptimeMs % periodMs),
      )
    }
    arm()
    return () => {
      clearTimeout(timer)
    }
  }
}
