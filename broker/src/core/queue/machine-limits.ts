/**
 * The quotas of a set. They are part of the rules by which commands are applied, so every replica of a set must run
 * with the same ones: a change goes through a version of the machine or a stopped cluster, never node by node.
 */

/** All of them whole numbers. */
export interface MachineLimits {
  readonly queueCount: number
  /** Delayed messages of one queue (CMQ: 20,000 "in flight"). */
  readonly delayedPerQueue: number
  /** Half messages of one queue. */
  readonly halvesPerQueue: number
  /** Inactive messages of one queue. */
  readonly inflightPerQueue: number
  readonly topicCount: number
  readonly subscriptionsPerTopic: number
  /** Messages that wait for one subscription at most; what is published above it is lost to that one alone. */
  readonly waitingPerSubscription: number
  /** Queues that one dead-letter queue may serve. */
  readonly deadLetterSources: number
  /** Client message ids remembered at most; above it the oldest is forgotten first. */
  readonly deduplicationIds: number
  /** 0 = client message ids are not remembered. */
  readonly deduplicationWindowMs: number
  /** The name of a deleted queue or topic is refused for so long; 0 = off. */
  readonly queueNameReuseMs: number
  /** Things that happen by themselves at the beginning of one entry, at most; the rest follows with the next entry. */
  readonly timeStepsPerEntry: number
}

/** CMQ's figures where it has published one (cmq-api.md sections 3 and 5). */
export const defaultMachineLimits: MachineLimits = {
  queueCount: 10_000,
  delayedPerQueue: 20_000,
  halvesPerQueue: 100_000,
  inflightPerQueue: 1_000_000,
  topicCount: 10_000,
  subscriptionsPerTopic: 500,
  waitingPerSubscription: 100_000_000,
  deadLetterSources: 6,
  deduplicationIds: 1_048_576,
  deduplicationWindowMs: 300_000,
  queueNameReuseMs: 10_000,
  timeStepsPerEntry: 10_000,
}

/** Messages handed out by one receive, whatever it asks for (streaming faces; CMQ has 16). */
export const RECEIVE_COUNT_MAX = 256

/** Slots of the table of touched messages: a receipt handle has 24 bits for one. */
export const SLOT_COUNT_MAX = 2 ** 24

/** Delivery numbers run from 1 to this and begin again: a receipt handle has 40 bits for one. */
export const DELIVERY_NUMBER_MAX = 2 ** 40 - 1
