/**
 * Sends pushes to where strangers want them, and to nowhere else (the rules are those of OWASP's SSRF pages):
 *
 * 1. a name is resolved anew for each push, once, and every address of it must be allowed (address-guard.ts);
 * 2. the socket goes to an address that was just judged, while `Host` and the TLS name stay the endpoint's. A name that
 *    changes its mind meanwhile (DNS rebinding) changes nothing;
 * 3. no redirect is followed, no proxy is asked, nothing of an answer comes back but one of a few words;
 * 4. everything has a limit, and whoever is over it is told at once: there is no queue in here. When to try again, and how
 *    often, is the caller's to decide.
 */
import { lookup } from "node:dns/promises"
import type { Timers } from "../../ports.ts"
import { judgeAddresses, judgeEndpoint } from "./address-guard.ts"
import { NOTHING_ALLOWED } from "./allow-list.ts"
import type { AllowList } from "./allow-list.ts"
import type { Endpoint } from "./endpoint.ts"
import { HostLookups } from "./host-lookups.ts"
import type { ResolveHost } from "./host-lookups.ts"
import { PinnedAgents } from "./pinned-agents.ts"
import type { PinnedAgentsOptions } from "./pinned-agents.ts"
import { exchange, failed } from "./push-exchange.ts"
import type { ExchangeEnd, ExchangeLimits, PushFailure, PushOutcome, PushRequest } from "./push-exchange.ts"

export interface PushClientOptions extends ExchangeLimits, PinnedAgentsOptions {
  readonly allowList: AllowList
  /**
   * The system's resolver by default (hosts file, search domains). It takes a thread of libuv's pool for as long as the DNS
   * is silent, at most half of them (libuv's "slow I/O"), so a dead DNS cannot stop the disk.
   */
  readonly resolveHost: ResolveHost
  /** Names that are being resolved. A push to one name more is `busy`. */
  readonly lookupsMax: number
  /** Resolving, connecting, sending and waiting for the status; the drain of the answer comes on top. */
  readonly totalTimeoutMs: number
  /** Pushes on their way, each with at most one socket. One more is `busy`. */
  readonly pushesMax: number
  /** The same to one host, so that one that is slow leaves room for the others. */
  readonly pushesPerHostMax: number
  /** PEM of the authorities to trust instead of Node's own, for https. */
  readonly trustedCertificates: string | undefined
}

/** What CMQ says (15 s), and what seems right where it is silent. */
export const PUSH_DEFAULTS: PushClientOptions = {
  allowList: NOTHING_ALLOWED,
  resolveHost: resolveBySystem,
  lookupsMax: 64,
  totalTimeoutMs: 15_000,
  connectTimeoutMs: 5_000,
  drainTimeoutMs: 1_000,
  drainBytesMax: 4_096,
  headBytesMax: 8_192,
  pushesMax: 256,
  pushesPerHostMax: 32,
  idleSocketsMax: 256,
  idleTimeoutMs: 4_000,
  trustedCertificates: undefined,
}

/** Addresses of one name that are tried, one after the other, while none can be connected to. */
const ADDRESSES_TRIED_MAX = 3

export class PushClient {
  readonly #timers: Timers
  readonly #options: PushClientOptions
  readonly #agents: PinnedAgents
  readonly #lookups: HostLookups
  readonly #running = new Set<AbortController>()
  readonly #runningPerHost = new Map<string, number>()
  #isClosed = false
  #ended: () => void = () => undefined

  constructor(timers: Timers, options: Partial<PushClientOptions> = {}) {
    this.#timers = timers
    this.#options = { ...PUSH_DEFAULTS, ...options }
    this.#agents = new PinnedAgents(this.#options)
    this.#lookups = new HostLookups(this.#options.resolveHost, this.#options.lookupsMax)
  }

  /** Pushes on their way. */
  get runningCount(): number {
    return this.#running.size
  }

  /** Connections that wait for their next push. */
  get idleSocketCount(): number {
    return this.#agents.idleSocketCount
  }

  /** False when it is certain already that nothing will be sent there. */
  mayTake(endpoint: Endpoint): boolean {
    return judgeEndpoint(endpoint, this.#options.allowList).kind === "allowed"
  }

  /**
   * Sends one POST. A receiver may see it twice: a connection that was open already and breaks is replaced once.
   *
   * @returns always data, within `totalTimeoutMs` and `drainTimeoutMs`; rejects only for a bug (a header that is none).
   */
  async push(request: PushRequest): Promise<PushOutcome> {
    const { host } = request.endpoint
    if (this.#isClosed) return failed("closed")
    if (!this.#hasRoom(host)) return failed("busy")
    const ending = this.#begin(host)
    const cancel = this.#timers.after(this.#options.totalTimeoutMs, () => {
      abort(ending, "timeout")
    })
    try {
      return await this.#deliver(request, ending.signal)
    } finally {
      cancel()
      this.#finish(host, ending)
    }
  }

  /**
   * Ends every push (`closed`) and every connection; later pushes are `closed` at once.
   *
   * @returns resolves when all outcomes are handed out.
   */
  close(): Promise<void> {
    this.#isClosed = true
    for (const ending of this.#running) abort(ending, "closed")
    return new Promise((resolve) => {
      const ended = this.#ended
      this.#ended = () => {
        ended()
        this.#agents.destroy()
        resolve()
      }
      if (this.#running.size === 0) this.#ended()
    })
  }

  async #deliver(request: PushRequest, signal: AbortSignal): Promise<PushOutcome> {
    const { endpoint } = request
    const addresses = endpoint.isAddress ? [endpoint.host] : await this.#resolve(endpoint.host, signal)
    if (signal.aborted) return failed(signal.reason as PushFailure)
    if (addresses === undefined) return failed("busy")
    if (addresses.length === 0) return failed("unresolved")
    const verdict = judgeAddresses(endpoint, addresses, this.#options.allowList)
    if (verdict.kind === "forbidden") return failed("forbidden")
    for (const address of addresses.slice(0, ADDRESSES_TRIED_MAX)) {
      const outcome = await this.#sendTo(address, request, signal)
      if (outcome.kind === "delivered" || outcome.reason !== "unconnected") return outcome
    }
    return failed("unconnected")
  }

  /** Empty when there is none, and when the push ended meanwhile; undefined when too many are being resolved. */
  async #resolve(name: string, signal: AbortSignal): Promise<readonly string[] | undefined> {
    const lookup = this.#lookups.ask(name)
    if (lookup === undefined) return undefined
    const aborted = new Promise<readonly string[]>((resolve) => {
      const giveUp = (): void => {
        resolve([])
      }
      signal.addEventListener("abort", giveUp, { once: true })
    })
    return Promise.race([lookup, aborted])
  }

  async #sendTo(address: string, push: PushRequest, signal: AbortSignal): Promise<PushOutcome> {
    const { trustedCertificates } = this.#options
    const parts = { push, address, trustedCertificates, limits: this.#options, timers: this.#timers, signal }
    const agent = push.endpoint.isHttps ? this.#agents.https : this.#agents.http
    let end: ExchangeEnd = await exchange({ ...parts, agent })
    if (end.kind === "stale") end = await exchange({ ...parts, agent: false })
    return end.kind === "stale" ? failed("brokenOff") : end
  }

  #hasRoom(host: string): boolean {
    const { pushesMax, pushesPerHostMax } = this.#options
    return this.#running.size < pushesMax && (this.#runningPerHost.get(host) ?? 0) < pushesPerHostMax
  }

  #begin(host: string): AbortController {
    const ending = new AbortController()
    this.#running.add(ending)
    this.#runningPerHost.set(host, (this.#runningPerHost.get(host) ?? 0) + 1)
    return ending
  }

  #finish(host: string, ending: AbortController): void {
    this.#running.delete(ending)
    const left = (this.#runningPerHost.get(host) ?? 0) - 1
    if (left > 0) this.#runningPerHost.set(host, left)
    else this.#runningPerHost.delete(host)
    if (this.#isClosed && this.#running.size === 0) this.#ended()
  }
}

function abort(ending: AbortController, reason: PushFailure): void {
  ending.abort(reason)
}

/** Asks the system (getaddrinfo), in the order that it prefers. */
async function resolveBySystem(name: string): Promise<readonly string[]> {
  const answers = await lookup(name, { all: true, verbatim: true })
  return answers.map(({ address }) => address)
}
