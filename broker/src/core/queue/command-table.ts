/** Which function carries out which command: one row a kind, and the compiler finds the missing one. */
import type { Command } from "./command.ts"
import { applyChangeVisibility, applyDelete, applyReceive, applySend } from "./commands.ts"
import { applyReportPush } from "./deliveries.ts"
import { applyKeyCommand } from "./key-commands.ts"
import { applyPublish } from "./publish.ts"
import {
  applyClearQueue,
  applyCreateQueue,
  applyDeleteQueue,
  applySetQueueAttributes,
  applyUnbindDeadLetterQueue,
} from "./queue-commands.ts"
import { applyCancelRedrive, applyStartRedrive } from "./redrive.ts"
import { applyRewindQueue } from "./rewind.ts"
import {
  applyCreateTopic,
  applyDeleteTopic,
  applySetSubscriptionAttributes,
  applySetTopicAttributes,
  applySubscribe,
  applyUnsubscribe,
} from "./topic-commands.ts"
import { applyConfirm, applyPrepare } from "./transactions.ts"
import type { MachineState } from "./machine-state.ts"
import type { Outcome } from "./outcome.ts"

/** Total: refuses, but never throws. */
export type Applier<C> = (state: MachineState, command: C, outcome: Outcome) => void

export const APPLIERS: { readonly [K in Command["kind"]]: Applier<Extract<Command, { readonly kind: K }>> } = {
  sendMessages: applySend,
  prepareMessages: applyPrepare,
  confirmMessages: applyConfirm,
  receiveMessages: applyReceive,
  deleteMessages: applyDelete,
  changeVisibility: applyChangeVisibility,
  createQueue: applyCreateQueue,
  setQueueAttributes: applySetQueueAttributes,
  deleteQueue: applyDeleteQueue,
  clearQueue: applyClearQueue,
  rewindQueue: applyRewindQueue,
  unbindDeadLetterQueue: applyUnbindDeadLetterQueue,
  publishMessages: applyPublish,
  reportPush: applyReportPush,
  startRedrive: applyStartRedrive,
  cancelRedrive: applyCancelRedrive,
  createTopic: applyCreateTopic,
  setTopicAttributes: applySetTopicAttributes,
  deleteTopic: applyDeleteTopic,
  subscribe: applySubscribe,
  setSubscriptionAttributes: applySetSubscriptionAttributes,
  unsubscribe: applyUnsubscribe,
  createKey: applyKeyCommand,
  rotateKey: applyKeyCommand,
  revokeKey: applyKeyCommand,
  /** Time steps are taken before the commands of an entry; this one is only the entry to take them in. */
  expire: () => undefined,
}
