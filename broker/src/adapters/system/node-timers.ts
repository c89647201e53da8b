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

  every(periodMs: number, run: () => void): Cancel {
    const timer = setInterval(run, periodMs)
    return () => {
      clearInterval(timer)
    }
  }
}
