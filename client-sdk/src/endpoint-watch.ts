/**
 * Finds out soon that an endpoint has fallen silent: a stopped process or a cut cable sends no reset, and a long poll
 * would sit there for half a minute. While something waits at an endpoint that has said nothing for a while, the
 * watch asks whether anything answers there over a fresh connection. If not, everything that waits there is ended,
 * with unknown outcome, and goes elsewhere. A slow broker answers the probe, so slowness alone never trips it.
 */
import type { CancelTimer, Clock } from "./clock.ts"

/** Options of the watch. */
export type EndpointWatchOptions = Readonly<{
  clock: Clock
  /** Silence after which an endpoint is asked for a sign of life. Milliseconds; 0 = never. */
  suspectAfterMs: number
  /** Time to give it. Milliseconds. */
  probeTimeoutMs: number
  /** Rejects when nothing answers. */
  probe: (endpoint: string, signal: AbortSignal) => Promise<void>
}>

/** Longest time between two probes of an endpoint that stays silent but alive, as one with idle long polls does. */
const PROBE_GAP_MS_MAX = 4_000

type Watched = {
  readonly waiting: Set<() => void>
  /** Silence that is borne before the next probe. */
  gapMs: number
  heardAtMs: number
  cancelTimer: CancelTimer | undefined
  isProbing: boolean
}

/** One watch for all endpoints of an account. */
export class EndpointWatch {
  readonly #options: EndpointWatchOptions
  readonly #watched = new Map<string, Watched>()

  constructor(options: EndpointWatchOptions) {
    this.#options = options
  }

  /**
   * Something waits at an endpoint.
   *
   * @param end - called when the endpoint turns out to be silent.
   * @returns to be called when the wait is over; `hasAnswered` = a reply came, so the endpoint lives.
   */
  enter(endpoint: string, end: () => void): (hasAnswered: boolean) => void {
    if (this.#options.suspectAfterMs === 0) return () => undefined
    const watched = this.#find(endpoint)
    if (watched.waiting.size === 0) watched.heardAtMs = this.#options.clock.monotonicMs()
    watched.waiting.add(end)
    this.#arm(endpoint, watched)
    return (hasAnswered) => {
      watched.waiting.delete(end)
      if (hasAnswered) {
        watched.gapMs = this.#options.suspectAfterMs
        watched.heardAtMs = this.#options.clock.monotonicMs()
      }
      if (watched.waiting.size > 0) return
      watched.cancelTimer?.()
      watched.cancelTimer = undefined
    }
  }

  #find(endpoint: string): Watched {
    const known = this.#watched.get(endpoint)
    if (known !== undefined) return known
    const watched: Watched = {
      waiting: new Set(),
      gapMs: this.#options.suspectAfterMs,
      heardAtMs: this.#options.clock.monotonicMs(),
      cancelTimer: undefined,
      isProbing: false,
    }
    this.#watched.set(endpoint, watched)
    return watched
  }

  /** Sets the timer to the moment at which the silence is too long, unless it is set or a probe is out. */
  #arm(endpoint: string, watched: Watched): void {
    if (watched.cancelTimer !== undefined || watched.isProbing || watched.waiting.size === 0) return
    const { clock } = this.#options
    const delayMs = Math.max(0, watched.heardAtMs + watched.gapMs - clock.monotonicMs())
    watched.cancelTimer = clock.startTimer(delayMs, () => {
      watched.cancelTimer = undefined
      // Replies only note the time; a timer for each of them would cost more than the look here.
      if (clock.monotonicMs() < watched.heardAtMs + watched.gapMs) this.#arm(endpoint, watched)
      else void this.#check(endpoint, watched)
    })
  }

  async #check(endpoint: string, watched: Watched): Promise<void> {
    const suspects = [...watched.waiting]
    watched.isProbing = true
    const isAlive = await this.#answers(endpoint)
    watched.isProbing = false
    if (isAlive) {
      watched.gapMs = Math.min(PROBE_GAP_MS_MAX, watched.gapMs * 2)
      watched.heardAtMs = this.#options.clock.monotonicMs()
    } else {
      // Those that came during the probe get a probe of their own.
      for (const end of suspects) if (watched.waiting.has(end)) end()
      watched.heardAtMs = this.#options.clock.monotonicMs()
    }
    this.#arm(endpoint, watched)
  }

  async #answers(endpoint: string): Promise<boolean> {
    const limit = new AbortController()
    const cancelTimer = this.#options.clock.startTimer(this.#options.probeTimeoutMs, () => {
      limit.abort()
    })
    try {
      await this.#options.probe(endpoint, limit.signal)
      return true
    } catch {
      // Whatever the reason: nothing answered.
      return false
    } finally {
      cancelTimer()
    }
  }
}
