/**
 * Which broker to ask next: the leader when it is known, else the others in turn, those that failed put aside for a
 * while that grows. It opens no connection and starts no timer; it is told what happened and what time it is.
 */
import { argumentInvalid } from "./cmq-error.ts"

/** First pause of an endpoint that failed; doubles with each failure in a row. Milliseconds. */
const PAUSE_MS_MIN = 100
/** Longest pause. Milliseconds. */
const PAUSE_MS_MAX = 30_000
/** Endpoints learned from replies, beside the configured ones. One more: the oldest that is not the leader goes. */
const LEARNED_COUNT_MAX = 16

/** Health of one endpoint, as `Account.endpoints()` shows it. */
export type EndpointHealth = Readonly<{
  /** `http://host:port`. */
  endpoint: string
  isLeader: boolean
  /** False when it was learned from a reply. */
  isConfigured: boolean
  /** Failures in a row; 0 = healthy. */
  failureCount: number
  /** How much longer it is put aside, milliseconds; 0 = not. */
  pausedForMs: number
}>

type Endpoint = { readonly origin: string; readonly isConfigured: boolean; failureCount: number; pausedUntilMs: number }

/** What the pool is made of. */
export type EndpointPoolOptions = Readonly<{
  /** Normalised origins, at least one, no two alike. */
  origins: readonly string[]
  /** Whether a leader that is not in the list is followed too. */
  followUnknownLeaders: boolean
  /** Monotonic milliseconds. */
  nowMs: () => number
}>

/** The endpoints of an account and what is known about them. */
export class EndpointPool {
  readonly #options: EndpointPoolOptions
  readonly #endpoints: Endpoint[]
  #leader: string | undefined
  #next = 0

  constructor(options: EndpointPoolOptions) {
    this.#options = options
    this.#endpoints = options.origins.map((origin) => newEndpoint(origin, true))
  }

  /**
   * The endpoint to ask now.
   *
   * @param tried - asked in this round already.
   * @returns undefined when every endpoint has been asked. One that is put aside comes last, never not at all.
   */
  pick(tried: ReadonlySet<string>): string | undefined {
    const nowMs = this.#options.nowMs()
    const open = this.#endpoints.filter((endpoint) => !tried.has(endpoint.origin))
    const healthy = open.filter((endpoint) => endpoint.pausedUntilMs <= nowMs)
    const leader = healthy.find((endpoint) => endpoint.origin === this.#leader)
    if (leader !== undefined) return leader.origin
    if (healthy.length > 0) return healthy[this.#next++ % healthy.length]?.origin
    open.sort((a, b) => a.pausedUntilMs - b.pausedUntilMs)
    return open[0]?.origin
  }

  /** Whether `pick` would find one. */
  hasOpen(tried: ReadonlySet<string>): boolean {
    return this.#endpoints.some((endpoint) => !tried.has(endpoint.origin))
  }

  /** An endpoint answered: it is healthy, whatever it said. */
  answered(origin: string): void {
    const endpoint = this.#find(origin)
    if (endpoint === undefined) return
    endpoint.failureCount = 0
    endpoint.pausedUntilMs = 0
  }

  /** An endpoint failed: it is put aside, longer each time, and is no longer taken for the leader. */
  failed(origin: string): void {
    if (this.#leader === origin) this.#leader = undefined
    const endpoint = this.#find(origin)
    if (endpoint === undefined) return
    const nowMs = this.#options.nowMs()
    // Calls that were under way together fail together: that is one failure, not hundreds.
    if (endpoint.pausedUntilMs > nowMs) return
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(endpoint.failureCount, 20))
    endpoint.failureCount += 1
    endpoint.pausedUntilMs = nowMs + pauseMs
  }

  /** What a reply said about the leader. Ignored unless it may be followed. */
  leaderIs(leader: string): void {
    const origin = tryNormalize(leader)
    if (origin === undefined || origin === this.#leader) return
    if (this.#find(origin) === undefined && !this.#learn(origin)) return
    this.#leader = origin
  }

  /** Nobody leads at present, as far as a reply knew. */
  leaderIsUnknown(): void {
    this.#leader = undefined
  }

  /** A copy of what is known. */
  health(): readonly EndpointHealth[] {
    const nowMs = this.#options.nowMs()
    return this.#endpoints.map((endpoint) => ({
      endpoint: endpoint.origin,
      isLeader: endpoint.origin === this.#leader,
      isConfigured: endpoint.isConfigured,
      failureCount: endpoint.failureCount,
      pausedForMs: Math.max(0, endpoint.pausedUntilMs - nowMs),
    }))
  }

  #find(origin: string): Endpoint | undefined {
    return this.#endpoints.find((endpoint) => endpoint.origin === origin)
  }

  /** Takes in a leader that is not in the list. Never from https to http: a reply must not switch encryption off. */
  #learn(origin: string): boolean {
    if (!this.#options.followUnknownLeaders) return false
    const isEncrypted = this.#options.origins.every((configured) => configured.startsWith("https:"))
    if (isEncrypted && !origin.startsWith("https:")) return false
    const learned = this.#endpoints.filter((endpoint) => !endpoint.isConfigured)
    if (learned.length >= LEARNED_COUNT_MAX) {
      const oldest = learned.find((endpoint) => endpoint.origin !== this.#leader)
      if (oldest !== undefined) this.#endpoints.splice(this.#endpoints.indexOf(oldest), 1)
    }
    this.#endpoints.push(newEndpoint(origin, false))
    return true
  }
}

function newEndpoint(origin: string, isConfigured: boolean): Endpoint {
  return { origin, isConfigured, failureCount: 0, pausedUntilMs: 0 }
}

/**
 * The form in which endpoints are compared: `http://host:port`, without user, path and query.
 *
 * @throws CmqError `argumentInvalid` when the text is not an http or https address.
 */
export function normalizeEndpoint(text: string): string {
  const origin = tryNormalize(text)
  if (origin === undefined) throw argumentInvalid(`endpoint ${JSON.stringify(text)} is not like http://host:port`)
  return origin
}

function tryNormalize(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  return url.protocol === "http:" || url.protocol === "https:" ? url.origin : undefined
}
