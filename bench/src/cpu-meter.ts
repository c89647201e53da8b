/** CPU time of brokers and of this client, apart: the steadier figure on a shared machine. */
import { cpuMicroseconds } from "./process-usage.ts"

/** The brokers' and this process's CPU time, microseconds. */
export class CpuMeter {
  readonly #pids: readonly number[]
  #servers = 0
  #client = 0

  constructor(pids: readonly number[]) {
    this.#pids = pids
    this.reset()
  }

  reset(): void {
    this.#servers = this.#serversNow()
    this.#client = this.#clientNow()
  }

  /** Of each message. @returns `undefined` for brokers that are not ours. */
  perMessage(messages: number): { readonly servers: number | undefined; readonly client: number } {
    const servers = this.#pids.length === 0 ? undefined : (this.#serversNow() - this.#servers) / messages
    return { servers, client: (this.#clientNow() - this.#client) / messages }
  }

  #serversNow(): number {
    return this.#pids.reduce((sum, pid) => sum + (cpuMicroseconds(pid) ?? 0), 0)
  }

  #clientNow(): number {
    const { user, system } = process.cpuUsage()
    return user + system
  }
}
