/**
 * Which configuration is in force: always the latest one in the log, committed or not (Raft §6).
 *
 * A stack of those above the base, so that cutting the log back brings the former one back by itself. The bottom is the
 * configuration at the base. In practice it holds one or two.
 */
import { assert } from "../assert.ts"
import type { Configuration, LogIndex } from "./types.ts"

/** A configuration and the index of the entry it came with (or of the base). */
export interface ConfigurationAt {
  readonly index: LogIndex
  readonly configuration: Configuration
}

/** The stack. Invariant: never empty; indexes rise strictly. */
export class ConfigurationHistory {
  private stack: [ConfigurationAt, ...ConfigurationAt[]]

  constructor(base: ConfigurationAt, above: readonly ConfigurationAt[]) {
    this.stack = [base]
    for (const each of above) this.append(each)
  }

  /** The one in force. */
  get latest(): ConfigurationAt {
    return this.stack.at(-1) ?? this.stack[0]
  }

  /** The one before, as long as the log reaches back to it. */
  get previous(): ConfigurationAt | undefined {
    return this.stack.at(-2)
  }

  /** The one in force when the log ended at `index`; `index` is not below the base. */
  at(index: LogIndex): ConfigurationAt {
    const found = this.stack.findLast((each) => each.index <= index)
    assert(found !== undefined, "no configuration is asked for below the base")
    return found
  }

  /** A configuration entry was appended: it is in force at once. */
  append(next: ConfigurationAt): void {
    assert(next.index > this.latest.index, "configurations follow each other")
    this.stack.push(next)
  }

  /** The log was cut back to `lastIndex`: configurations behind it are gone. */
  truncate(lastIndex: LogIndex): void {
    while (this.stack.length > 1 && this.latest.index > lastIndex) this.stack.pop()
  }

  /** The base moved up to `index`. */
  compact(index: LogIndex): void {
    const base = this.at(index)
    this.stack = [base, ...this.stack.filter((each) => each.index > index)]
  }

  /** A snapshot replaced the log. */
  reset(base: ConfigurationAt): void {
    this.stack = [base]
  }
}
