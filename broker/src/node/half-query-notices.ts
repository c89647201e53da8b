/**
 * Tells a face about which half messages producers are to be asked.
 *
 * Every node applies the step that counts a query, so each of them can ask the producers that are connected to it, and no
 * word about it goes between nodes (ADR 0024).
 */
import { encodeMessageId } from "@opencmq/proto"
import type { HalfQuery } from "../core/queue/machine-state.ts"
import type { QueueMachine } from "../core/queue/queue-machine.ts"

/** A question to a producer. */
export interface ProducerQuery {
  readonly queueName: string
  readonly msgId: string
}

/** What of a replica is needed here. */
export interface QueriedSet {
  readonly setId: number
  readonly machine: QueueMachine
  halvesQueried: ((queries: readonly HalfQuery[]) => void) | undefined
}

export function tellHalfQueries(set: QueriedSet, tell: (queries: readonly ProducerQuery[]) => void): void {
  set.halvesQueried = (queries) => {
    tell(
      queries.flatMap(({ queueId, entryIndex, ordinal }) => {
        const queueName = set.machine.queueName(queueId)
        return queueName === undefined
          ? []
          : [{ queueName, msgId: encodeMessageId({ setId: set.setId, entryIndex, ordinal }) }]
      }),
    )
  }
}
