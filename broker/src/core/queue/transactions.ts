/**
 * Transactions: messages that are sent as halves, and what their producer decides about them.
 *
 * A half message is stored like any other, in its place in the order, and nobody receives it. Commit makes it active,
 * roll back takes it away; who does neither is asked (`half-queries.ts`).
 */
import type { ConfirmMessages, PrepareMessages } from "./command.ts"
import { storeRequest } from "./commands.ts"
import { rollBack } from "./half-queries.ts"
import type { MachineState } from "./machine-state.ts"
import type { Outcome } from "./outcome.ts"
import { wholeNumber } from "./queue-attributes.ts"
import { settle } from "./retention.ts"
import { endDelayOrVisibility } from "./time-steps.ts"

const U32_MAX = 0xffff_ffff
const COUNT_MAX = 65_536

/** Sends half messages: all or none are stored. A delay means nothing here. */
export function applyPrepare(state: MachineState, command: PrepareMessages, outcome: Outcome): void {
  storeRequest(state, command.messages, {
    outcome,
    halves: {
      firstQueryIntervalMs: wholeNumber(command.firstQueryIntervalMs, U32_MAX),
      maxQueryCount: wholeNumber(command.maxQueryCount, COUNT_MAX),
    },
  })
}

/** Commits or rolls back, each message by itself. One that is no half message (any more) fails. */
export function applyConfirm(state: MachineState, command: ConfirmMessages, outcome: Outcome): void {
  const queue = state.registry.get(command.queueId)
  if (queue === undefined) {
    outcome.refusal = "queueNotFound"
    return
  }
  outcome.queueId = queue.id
  settle(state, queue)
  const { touched } = state
  const count = wholeNumber(command.count, COUNT_MAX)
  for (let index = 0; index < count; index++) {
    const slot = touched.halves.find(command.entryIndexes[index] ?? -1, command.ordinals[index] ?? -1)
    const isOurs = slot !== undefined && touched.queueId(slot) === queue.id
    outcome.failed[index] = !isOurs
    if (!isOurs) continue
    if (command.isCommit[index] === true) endDelayOrVisibility(state, slot)
    else rollBack(state, slot)
  }
}
