/**
 * Deleting: DeleteMessage, BatchDeleteMessage and what their answers mean after a blind repetition.
 *
 * When a first attempt was cut off and the second hears `receiptHandleInvalid`, the first one has most likely done
 * the work: that counts as success. Without such an attempt the same answer means that the message was lost to us.
 */
import { LIMITS } from "@opencmq/proto"
import type { CallOptions, CallReply, Caller } from "./caller.ts"
import { CmqError, refusalFields } from "./cmq-error.ts"
import type { CmqErrorFields, CmqErrorName } from "./cmq-error.ts"
import { listOf, numberOf, textOf } from "./reply-fields.ts"
import type { Parameter } from "./transport.ts"

/** Which attempt deleted a message. */
export type DeleteResult = Readonly<{
  /** True when the answer to an earlier attempt was lost and this one found the message gone. */
  byEarlierAttempt: boolean
}>

/** What became of one handle of a batch. */
export type DeleteHandleResult =
  | (Readonly<{ receiptHandle: string; ok: true }> & DeleteResult)
  | Readonly<{ receiptHandle: string; ok: false; error: CmqError }>

const GONE: CmqErrorName = "receiptHandleInvalid"

/** DeleteMessage. */
export async function deleteMessage(
  caller: Caller,
  order: Readonly<{ queueName: string; receiptHandle: string; options: CallOptions | undefined }>,
): Promise<DeleteResult> {
  const reply = await caller.call({
    action: "DeleteMessage",
    parameters: [
      ["queueName", order.queueName],
      ["receiptHandle", order.receiptHandle],
    ],
    options: order.options,
    accepts: (refusal, wasRepeatedBlindly) => wasRepeatedBlindly && refusal === GONE,
  })
  return { byEarlierAttempt: reply.refusal !== undefined }
}

/**
 * BatchDeleteMessage for 1 to 16 handles, each for itself.
 *
 * @throws CmqError when the request as a whole failed: nothing is then known about any of the handles.
 */
export async function deleteMessages(
  caller: Caller,
  order: Readonly<{ queueName: string; receiptHandles: readonly string[]; options: CallOptions | undefined }>,
): Promise<readonly DeleteHandleResult[]> {
  const { receiptHandles } = order
  const reply = await caller.call({
    action: "BatchDeleteMessage",
    parameters: [
      ["queueName", order.queueName],
      ...receiptHandles.map((each, index): Parameter => [`receiptHandle.${String(index + 1)}`, each]),
    ],
    options: order.options,
    accepts: (refusal) => refusal === "deletePartiallyFailed" || refusal === "deleteFailed",
  })
  const failures = readFailures(reply)
  return receiptHandles.map((receiptHandle) => {
    const failure = failures.get(receiptHandle) ?? wholeFailure(reply)
    if (failure === undefined) return { receiptHandle, ok: true, byEarlierAttempt: false }
    if (failure.name === GONE && reply.wasRepeatedBlindly) return { receiptHandle, ok: true, byEarlierAttempt: true }
    return { receiptHandle, ok: false, error: new CmqError({ ...failure, action: "BatchDeleteMessage" }) }
  })
}

function readFailures(reply: CallReply): ReadonlyMap<string, CmqErrorFields> {
  const failures = new Map<string, CmqErrorFields>()
  for (const { code, message, receiptHandle } of listOf(reply.fields["errorList"])) {
    failures.set(textOf(receiptHandle), refusalFields(numberOf(code), textOf(message)))
  }
  return failures
}

/** "Every handle failed" without a list: the refusal itself is each one's error. */
function wholeFailure(reply: CallReply): CmqErrorFields | undefined {
  return reply.refusal?.name === "deleteFailed" ? reply.refusal : undefined
}

/**
 * Deletes any number of handles, 16 a request.
 *
 * @returns one result for each handle, in order. A request that failed as a whole is each of its handles' error;
 * only an abort rejects.
 */
export async function deleteAll(
  caller: Caller,
  order: Readonly<{ queueName: string; receiptHandles: readonly string[]; options: CallOptions | undefined }>,
): Promise<readonly DeleteHandleResult[]> {
  const results: DeleteHandleResult[] = []
  for (let first = 0; first < order.receiptHandles.length; first += LIMITS.batchCount.max) {
    const receiptHandles = order.receiptHandles.slice(first, first + LIMITS.batchCount.max)
    try {
      results.push(...(await deleteMessages(caller, { ...order, receiptHandles })))
    } catch (thrown) {
      if (!(thrown instanceof CmqError)) throw thrown
      results.push(...receiptHandles.map((receiptHandle) => ({ receiptHandle, ok: false, error: thrown }) as const))
    }
  }
  return results
}
