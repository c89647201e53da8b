/**
 * Attributes of a queue between users' names, with units, and CMQ's on the wire. Ranges and defaults are rows of the
 * limits table in `@opencmq/proto`; the broker checks them.
 */
import { formatDeadLetterPolicy, parseDeadLetterPolicy } from "@opencmq/proto"
import type { DeadLetterPolicy } from "@opencmq/proto"
import { numberOf, textOf, timeOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import type { Parameter } from "./transport.ts"

/** What may be chosen of a queue. What is left out keeps its value, or gets the default on creation. */
export type QueueAttributes = Readonly<{
  /** Messages kept undeleted, at most: 1,000,000 to 1,000,000,000, default 100,000,000. */
  maxMsgHeapNum?: number
  /** How long a receive waits when it does not say: 0 to 30 s, default 0. */
  pollingWaitSeconds?: number
  /** How long a received message is hidden: 1 to 43,200 s, default 30. */
  visibilityTimeoutSeconds?: number
  /** Longest body: 1,024 to 1,048,576 bytes, default 65,536. */
  maxMsgSizeBytes?: number
  /** How long a message lives: 60 to 1,296,000 s, default 345,600 (four days). */
  msgRetentionSeconds?: number
  /** How far back deleted messages can be rewound: 0 (off) to msgRetentionSeconds, default 0. */
  rewindSeconds?: number
  /** When messages move to another queue, and which; it must exist. To take it away: `Queue.unbindDeadLetterQueue`. */
  deadLetterPolicy?: DeadLetterPolicy
}>

/** A queue's attributes and counts. Counts are those of the moment. */
export type QueueStatus = Required<Omit<QueueAttributes, "deadLetterPolicy">> &
  Readonly<{
    deadLetterPolicy: DeadLetterPolicy | undefined
    createTime: Date
    lastModifyTime: Date
    /** Receivable now. */
    activeMsgNum: number
    /** Received and not yet deleted. */
    inactiveMsgNum: number
    /** Sent with a delay that has not ended. */
    delayMsgNum: number
    /** Deleted and still rewindable. */
    rewindMsgNum: number
    /** When the oldest undeleted message was sent; undefined when there is none. */
    minMsgTime: Date | undefined
  }>

type NumberAttribute = Exclude<keyof QueueAttributes, "deadLetterPolicy">

/** CMQ's name of each attribute. */
const WIRE_NAMES = {
  maxMsgHeapNum: "maxMsgHeapNum",
  pollingWaitSeconds: "pollingWaitSeconds",
  visibilityTimeoutSeconds: "visibilityTimeout",
  maxMsgSizeBytes: "maxMsgSize",
  msgRetentionSeconds: "msgRetentionSeconds",
  rewindSeconds: "rewindSeconds",
} as const satisfies Record<NumberAttribute, string>

const NUMBER_ATTRIBUTES = Object.keys(WIRE_NAMES) as readonly NumberAttribute[]

/** The attributes as parameters of CreateQueue and SetQueueAttributes. */
export function attributeParametersOf(attributes: QueueAttributes): readonly Parameter[] {
  const parameters: Parameter[] = []
  for (const name of NUMBER_ATTRIBUTES) {
    const value = attributes[name]
    if (value !== undefined) parameters.push([WIRE_NAMES[name], String(value)])
  }
  const { deadLetterPolicy } = attributes
  if (deadLetterPolicy !== undefined) parameters.push(["deadLetterPolicy", formatDeadLetterPolicy(deadLetterPolicy)])
  return parameters
}

/** Reads a reply of GetQueueAttributes. A count that the server does not send is 0. */
export function readQueueStatus(fields: Fields): QueueStatus {
  const policyText = textOf(fields["deadLetterPolicy"])
  const policy = policyText === "" ? undefined : parseDeadLetterPolicy(policyText)
  const count = (name: string): number => numberOf(fields[name])
  return {
    maxMsgHeapNum: count(WIRE_NAMES.maxMsgHeapNum),
    pollingWaitSeconds: count(WIRE_NAMES.pollingWaitSeconds),
    visibilityTimeoutSeconds: count(WIRE_NAMES.visibilityTimeoutSeconds),
    maxMsgSizeBytes: count(WIRE_NAMES.maxMsgSizeBytes),
    msgRetentionSeconds: count(WIRE_NAMES.msgRetentionSeconds),
    rewindSeconds: count(WIRE_NAMES.rewindSeconds),
    deadLetterPolicy: policy?.ok === true ? policy.value : undefined,
    createTime: new Date(count("createTime") * 1_000),
    lastModifyTime: new Date(count("lastModifyTime") * 1_000),
    activeMsgNum: count("activeMsgNum"),
    inactiveMsgNum: count("inactiveMsgNum"),
    delayMsgNum: count("delayMsgNum"),
    // CMQ's own spelling is the one with the small m.
    rewindMsgNum: numberOf(fields["rewindMsgNum"] ?? fields["rewindmsgNum"]),
    minMsgTime: timeOf(fields["minMsgTime"]),
  }
}
