/**
 * Straight-line code over callbacks, without promises: a generator yields each thing it waits for, and goes on when the
 * callback comes. The order of steps is decided by who calls back (the disk, or the simulator's virtual disk), never by
 * a microtask queue.
 */
import type { Done } from "../../ports.ts"

/** Starts something and calls `resume` once, later. */
type Step = (resume: Done<unknown>) => void

/** Work that waits now and then. Run it inside another task by `yield*`, or from outside by `runTask`. */
export type Task<T = void> = Generator<Step, T, unknown>

/** Waits for one callback; its error is thrown into the task. */
export function* wait<T>(start: (done: Done<T>) => void): Task<T> {
  return (yield start) as T
}

/** Waits for one callback and gives its error back as a value. */
export function* attempt<T>(
  start: (done: Done<T>) => void,
): Task<{ readonly error: Error; readonly value: undefined } | { readonly error: undefined; readonly value: T }> {
  return (yield (resume) => {
    start((error, value) => {
      resume(undefined, error === undefined ? { error: undefined, value } : { error, value: undefined })
    })
  }) as { readonly error: Error; readonly value: undefined } | { readonly error: undefined; readonly value: T }
}

/**
 * Runs a task to its end. `done` is called at once when the task never waits: a caller that promised otherwise defers.
 * An error thrown in the task goes to `done`; what `done` throws is not caught.
 */
export function runTask<T>(task: Task<T>, done: Done<T>): void {
  advance(task, done, () => task.next())
}

function advance<T>(task: Task<T>, done: Done<T>, step: () => IteratorResult<Step, T>): void {
  let result: IteratorResult<Step, T>
  try {
    result = step()
  } catch (cause) {
    done(cause instanceof Error ? cause : new Error("a task threw something strange", { cause }), undefined as T)
    return
  }
  if (result.done === true) {
    done(undefined, result.value)
    return
  }
  let isResumed = false
  result.value((error, value) => {
    if (isResumed) throw new Error("a callback came twice")
    isResumed = true
    advance(task, done, () => (error === undefined ? task.next(value) : task.throw(error)))
  })
}

/** A gate that tasks wait at: `open` lets all of them through. */
export class Gate {
  #waiting: Done[] = []

  /** Waits for the next `open`. */
  pass(done: Done): void {
    this.#waiting.push(done)
  }

  open(error?: Error): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const done of waiting) done(error)
  }
}
