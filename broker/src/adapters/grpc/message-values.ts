/**
 * Queues and messages as values of the `.proto`: what the node gave, with the fields' names and no other change. Times stay
 * Unix milliseconds; `undefined` leaves a field out.
 */
import type { ErrorName } from "@opencmq/proto"
import type {
  ClusterStatus,
  DeliveredMessage,
  MessageAttribute,
  PeekedMessage,
  QueueStatus,
  ValueOf,
} from "../../node/service-types.ts"
import type { HandleList } from "./field-reader.ts"
import { wireRefusal } from "./refusal.ts"
import type { WireAttributes, WireFailure, WireMessageAttribute } from "./wire-types.ts"

/** `opencmq.v1.Queue`. */
export function queueValue(status: QueueStatus): object {
  const { queueName, queueId, createdAtMs, modifiedAtMs, oldestUnconsumedAtMs } = status
  const { activeCount, inactiveCount, delayedCount, halfCount, rewindableCount } = status
  const times = { createdAtMs, modifiedAtMs, oldestUnconsumedAtMs }
  const counts = { activeCount, inactiveCount, delayedCount, halfCount, rewindableCount }
  return { queueName, queueId, attributes: attributesValue(status), ...times, ...counts }
}

function attributesValue({ attributes }: QueueStatus): WireAttributes {
  const { deadLetterPolicy: policy, ...rest } = attributes
  if (policy === undefined) return rest
  const { deadLetterQueue } = policy
  const deadLetterPolicy =
    policy.kind === "maxReceiveCount"
      ? { deadLetterQueue, maxReceiveCount: policy.maxReceiveCount }
      : { deadLetterQueue, maxTimeToLiveMs: policy.maxTimeToLiveMs }
  return { ...rest, deadLetterPolicy }
}

/** `messages` of `SendResponse` and of `PublishResponse`. */
export function sentValue({ msgIds, duplicates }: ValueOf<"sendMessages">): object {
  return { messages: msgIds.map((msgId, index) => ({ msgId, isDuplicate: duplicates[index] === true })) }
}

/** `opencmq.v1.ReceivedMessage`. */
export function deliveredValue(message: DeliveredMessage): object {
  return { receiptHandle: message.receiptHandle, ...sharedValue(message) }
}

/** `opencmq.v1.PeekedMessage`. */
export function peekedValue(message: PeekedMessage): object {
  const { sequence, dueAtMs } = message
  return { sequence, dueAtMs, state: STATE_NUMBER[message.state], ...sharedValue(message) }
}

/** `opencmq.v1.MessageState`. */
const STATE_NUMBER: Readonly<Record<PeekedMessage["state"], number>> = {
  active: 1,
  inactive: 2,
  delayed: 3,
  rewindable: 4,
  half: 5,
}

function sharedValue(message: Omit<DeliveredMessage, "receiptHandle" | "deliveryHandle">): object {
  const { msgId, body, enqueuedAtMs, firstDequeuedAtMs, nextVisibleAtMs, dequeueCount, clientMessageId } = message
  const times = { enqueuedAtMs, firstDequeuedAtMs, nextVisibleAtMs }
  return {
    msgId,
    body,
    ...times,
    dequeueCount,
    clientMessageId,
    attributes: message.attributes.map(attributeValue),
    ...(message.provenance !== undefined && { provenance: provenanceValue(message.provenance) }),
  }
}

/** `opencmq.v1.MessageTrace`. */
export function traceValue({ places, ...trace }: ValueOf<"traceMessage">): object {
  const values = places.map(({ state, provenance, ...place }) => ({
    ...place,
    state: STATE_NUMBER[state],
    ...(provenance !== undefined && { provenance: provenanceValue(provenance) }),
  }))
  return { ...trace, places: values }
}

function provenanceValue(provenance: NonNullable<DeliveredMessage["provenance"]>): object {
  const { sourceQueueName, ...rest } = provenance
  return { originalQueueName: sourceQueueName, ...rest }
}

const textDecoder = new TextDecoder()

function attributeValue({ name, type, value }: MessageAttribute): WireMessageAttribute {
  return type === "string" ? { name, text: textDecoder.decode(value) } : { name, binary: value }
}

/** `opencmq.v1.Redrive`. */
export function redriveValue({ state, enqueuedUntilMs, ...status }: ValueOf<"describeRedrive">): object {
  const hasEnd = enqueuedUntilMs < Number.MAX_SAFE_INTEGER
  return { ...status, state: REDRIVE_STATE_NUMBER[state], ...(hasEnd && { enqueuedUntilMs }) }
}

/** `opencmq.v1.RedriveState`. */
const REDRIVE_STATE_NUMBER: Readonly<Record<ValueOf<"describeRedrive">["state"], number>> = {
  running: 1,
  waiting: 2,
  completed: 3,
  cancelled: 4,
  targetDeleted: 5,
}

/** `opencmq.v1.ClusterStatus`. */
export function clusterValue(status: ClusterStatus): object {
  const nodes = status.nodes.map(({ reachable, matchIndex, ...node }) => ({
    ...node,
    isReachable: reachable,
    ...(matchIndex !== undefined && { matchIndex }),
  }))
  return { ...status, nodes }
}

/**
 * The handles that failed, by their place in the request.
 *
 * @param failed - of the readable handles, in their order.
 */
export function failuresOf({ texts, isReadable }: HandleList, failed: readonly boolean[]): readonly WireFailure[] {
  const failures: WireFailure[] = []
  let next = 0
  texts.forEach((receiptHandle, index) => {
    const error: ErrorName | undefined =
      isReadable[index] !== true
        ? "receiptHandleMalformed"
        : failed[next++] === true
          ? "receiptHandleInvalid"
          : undefined
    if (error !== undefined) failures.push({ index, receiptHandle, refusal: refusalOf(error) })
  })
  return failures
}

/** Of a name without arguments the refusal is always the same. */
function refusalOf(error: ErrorName): WireFailure["refusal"] {
  return wireRefusal({ error, args: [] })
}
