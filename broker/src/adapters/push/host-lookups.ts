/**
 * Questions to the resolver that are not answered yet: one for each name, however many pushes wait for it, and a bounded
 * number altogether. The system's resolver cannot be stopped, and it goes on after a push has given up; a name whose DNS is
 * dead would otherwise leave one more question behind with each try, until the threads that answer know no other name.
 */

/** All addresses of a name, in the order in which they should be tried. May reject. */
export type ResolveHost = (name: string) => Promise<readonly string[]>

export class HostLookups {
  readonly #resolveHost: ResolveHost
  readonly #lookupsMax: number
  readonly #running = new Map<string, Promise<readonly string[]>>()

  constructor(resolveHost: ResolveHost, lookupsMax: number) {
    this.#resolveHost = resolveHost
    this.#lookupsMax = lookupsMax
  }

  /**
   * Asks, or waits for an answer that is on its way. An answer is not kept: the next one asks again.
   *
   * @returns undefined when too many are on their way; else the addresses, none for a name without one. Never rejects.
   */
  ask(name: string): Promise<readonly string[]> | undefined {
    const running = this.#running.get(name)
    if (running !== undefined) return running
    if (this.#running.size >= this.#lookupsMax) return undefined
    const lookup = this.#resolveHost(name)
      .catch(() => [])
      .finally(() => this.#running.delete(name))
    this.#running.set(name, lookup)
    return lookup
  }
}
