/**
 * Coalesces many small jobs into few requests; each job keeps its own promise. It knows nothing of CMQ: what a batch
 * does is handed in.
 *
 * A batch goes out when it is full, or when no request of this batcher is under way: alone, a job waits for nothing;
 * under load, those that arrive while a request is out form the next batch, so batches grow with the load by
 * themselves.
 */
import { AbortError, onAbort } from "./abort.ts"
import type { CancelTimer, Clock } from "./clock.ts"

/** What one job of a batch gave. */
export type JobResult<Value> = Readonly<{ ok: true; value: Value }> | Readonly<{ ok: false; error: Error }>

/** How batches are formed. */
export type BatcherOptions<Job, Value> = Readonly<{
  clock: Clock
  /** Jobs in a batch, at most. */
  maxCount: number
  /** Size of a batch, at most; a single larger job goes alone. */
  maxBytes: number
  /** Time to wait for company when nothing is under way, milliseconds; 0 = the jobs of this turn of the event loop. */
  lingerMs: number
  /** Batches under way, at most. */
  maxInFlight: number
  bytesOf: (job: Job) => number
  /** Only jobs with equal keys may share a batch. */
  keyOf: (job: Job) => number
  /** Runs one batch; one result for each job, in order. When it rejects, every job of the batch does. */
  run: (jobs: readonly Job[]) => Promise<readonly JobResult<Value>[]>
}>

type Entry<Job, Value> = {
  readonly job: Job
  readonly bytes: number
  readonly resolve: (value: Value) => void
  readonly reject: (error: Error) => void
  state: "waiting" | "sent" | "abandoned"
}

/** Forms batches of jobs. */
export class Batcher<Job, Value> {
  readonly #options: BatcherOptions<Job, Value>
  /** Entries from `#head` on wait; abandoned ones among them are skipped. */
  #entries: Entry<Job, Value>[] = []
  #head = 0
  #waitingCount = 0
  #waitingBytes = 0
  #inFlight = 0
  #isPumpScheduled = false
  #isLingerOver = false
  #cancelLinger: CancelTimer | undefined
  #idleListeners: (() => void)[] = []

  constructor(options: BatcherOptions<Job, Value>) {
    this.#options = options
  }

  /** Jobs that wait for a batch. */
  get waitingCount(): number {
    return this.#waitingCount
  }

  /** Bytes of the jobs that wait for a batch. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /**
   * Adds a job.
   *
   * @param signal - takes this job out, never its neighbours: AbortError with `notApplied` while it waits, `unknown`
   * once its batch is under way.
   */
  add(job: Job, signal?: AbortSignal): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new AbortError("notApplied", signal.reason))
        return
      }
      const entry: Entry<Job, Value> = {
        job,
        bytes: this.#options.bytesOf(job),
        resolve: (value) => {
          removeAbortListener()
          resolve(value)
        },
        reject: (error) => {
          removeAbortListener()
          reject(error)
        },
        state: "waiting",
      }
      const removeAbortListener = onAbort(signal, () => {
        this.#abandon(entry, signal?.reason)
      })
      this.#entries.push(entry)
      this.#waitingCount += 1
      this.#waitingBytes += entry.bytes
      this.#schedulePump()
    })
  }

  /** Sends what waits without lingering and resolves when nothing waits and nothing is under way. */
  async flush(): Promise<void> {
    this.#isLingerOver = true
    this.#pump()
    if (this.#isIdle()) return
    await new Promise<void>((resolve) => this.#idleListeners.push(resolve))
  }

  #isIdle(): boolean {
    return this.#waitingCount === 0 && this.#inFlight === 0
  }

  #abandon(entry: Entry<Job, Value>, reason: unknown): void {
    if (entry.state === "waiting") {
      this.#waitingCount -= 1
      this.#waitingBytes -= entry.bytes
    }
    entry.reject(new AbortError(entry.state === "waiting" ? "notApplied" : "unknown", reason))
    entry.state = "abandoned"
    this.#noteIdle()
  }

  /** Jobs that are added in one turn of the event loop meet in one batch. */
  #schedulePump(): void {
    if (this.#isPumpScheduled) return
    this.#isPumpScheduled = true
    queueMicrotask(() => {
      this.#isPumpScheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    const { maxCount, maxBytes, maxInFlight, lingerMs } = this.#options
    while (this.#waitingCount > 0 && this.#inFlight < maxInFlight) {
      const isFull = this.#waitingCount >= maxCount || this.#waitingBytes >= maxBytes
      if (!isFull && this.#inFlight > 0) return
      if (!isFull && lingerMs > 0 && !this.#isLingerOver) {
        this.#linger(lingerMs)
        return
      }
      void this.#send(this.#take())
    }
  }

  #linger(lingerMs: number): void {
    this.#cancelLinger ??= this.#options.clock.startTimer(lingerMs, () => {
      this.#cancelLinger = undefined
      this.#isLingerOver = true
      this.#pump()
    })
  }

  /** The longest run of waiting jobs that fits a batch: at least one. */
  #take(): Entry<Job, Value>[] {
    const { maxCount, maxBytes, keyOf } = this.#options
    const batch: Entry<Job, Value>[] = []
    let bytes = 0
    let key = 0
    while (this.#head < this.#entries.length && batch.length < maxCount) {
      const entry = this.#entries[this.#head]
      if (entry?.state === "waiting") {
        if (batch.length === 0) key = keyOf(entry.job)
        else if (bytes + entry.bytes > maxBytes || keyOf(entry.job) !== key) break
        bytes += entry.bytes
        entry.state = "sent"
        batch.push(entry)
      }
      this.#head += 1
    }
    this.#waitingCount -= batch.length
    this.#waitingBytes -= bytes
    this.#isLingerOver = false
    this.#cancelLinger?.()
    this.#cancelLinger = undefined
    this.#dropTaken()
    return batch
  }

  /** Gives the memory of taken entries back, at amortised constant cost. */
  #dropTaken(): void {
    if (this.#head < 256 && this.#head < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }

  async #send(batch: readonly Entry<Job, Value>[]): Promise<void> {
    this.#inFlight += 1
    try {
      const results = await this.#options.run(batch.map((entry) => entry.job))
      batch.forEach((entry, index) => {
        settle(entry, results[index])
      })
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error("a batch failed", { cause: thrown })
      for (const entry of batch) entry.reject(error)
    } finally {
      this.#inFlight -= 1
      this.#pump()
      this.#noteIdle()
    }
  }

  #noteIdle(): void {
    if (!this.#isIdle()) return
    const listeners = this.#idleListeners
    this.#idleListeners = []
    for (const listener of listeners) listener()
  }
}

function settle<Job, Value>(entry: Entry<Job, Value>, result: JobResult<Value> | undefined): void {
  if (result === undefined) entry.reject(new Error("a batch gave fewer results than it had jobs"))
  else if (result.ok) entry.resolve(result.value)
  else entry.reject(result.error)
}
