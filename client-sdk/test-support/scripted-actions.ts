/**
 * What the scripted server answers to each action. Parameters are read by the action table of `@opencmq/proto`, so a
 * request that a real broker would refuse is refused here too.
 */
import { attributeFields, formatDeadLetterPolicy, readParameters } from "@opencmq/proto"
import type { ActionName, ActionParameters, ErrorName, ParameterMap } from "@opencmq/proto"
import { ScriptedQueue } from "./scripted-queue.ts"
import type { Attributes, StoredMessage } from "./scripted-queue.ts"

/** An answer: fields of a success, a refusal, or "nothing yet" of a receive. */
export type Answer =
  | Readonly<{ kind: "ok"; fields: Readonly<Record<string, unknown>> }>
  | Readonly<{ kind: "refused"; error: ErrorName; fields?: Readonly<Record<string, unknown>> }>
  | Readonly<{ kind: "empty"; queue: ScriptedQueue; waitSeconds: number }>

/** What all nodes of a scripted cluster share. */
export class ScriptedState {
  readonly queues = new Map<string, ScriptedQueue>()
  /** Added to the real time; tests move it. */
  clockOffsetMs = 0

  get nowMs(): number {
    return Date.now() + this.clockOffsetMs
  }

  queue(name: string): ScriptedQueue | undefined {
    return this.queues.get(name.toLowerCase())
  }
}

/** Topics are tested against real brokers. */
type Handlers = { readonly [Name in ActionName]?: (state: ScriptedState, parameters: ActionParameters[Name]) => Answer }

const decoder = new TextDecoder()

/** Reads the parameters and carries the action out. */
export function answerAction(state: ScriptedState, action: ActionName, params: ParameterMap): Answer {
  const read = readParameters(action, params)
  if (!read.ok) return refused(read.error)
  const answer = HANDLERS[action] as ((state: ScriptedState, parameters: unknown) => Answer) | undefined
  return answer === undefined ? refused("actionNotFound") : answer(state, read.value)
}

const HANDLERS: Handlers = {
  CreateQueue: (state, parameters) => {
    if (state.queue(parameters.queueName) !== undefined) return refused("queueAlreadyExists")
    const { queueName, deadLetterPolicy, ...numbers } = parameters
    const queue = new ScriptedQueue(queueName, { ...numbers, deadLetterPolicy }, state.nowMs)
    state.queues.set(queueName.toLowerCase(), queue)
    return ok({ queueId: `queue-${queueName}` })
  },
  ListQueue: (state, { searchWord = "", offset, limit }) => {
    const names = [...state.queues.values()].map((each) => each.name).filter((name) => name.includes(searchWord))
    return ok(queueList(names.sort(), offset, limit))
  },
  ListDeadLetterSourceQueues: (state, { deadLetterQueueName, offset, limit }) => {
    const sources = [...state.queues.values()].filter(
      (each) => each.attributes.deadLetterPolicy?.deadLetterQueue === deadLetterQueueName,
    )
    return ok(queueList(sources.map((each) => each.name).sort(), offset, limit))
  },
  GetQueueAttributes: (state, { queueName }) => onQueue(state, queueName, (queue) => ok(statusOf(queue, state.nowMs))),
  SetQueueAttributes: (state, { queueName, ...changes }) =>
    onQueue(state, queueName, (queue) => {
      Object.assign(queue.attributes, changes)
      return ok({})
    }),
  UnbindDeadLetterQueue: (state, { queueName }) =>
    onQueue(state, queueName, (queue) => {
      queue.attributes.deadLetterPolicy = undefined
      return ok({})
    }),
  DeleteQueue: (state, { queueName }) =>
    onQueue(state, queueName, () => {
      state.queues.delete(queueName.toLowerCase())
      return ok({})
    }),
  ClearQueue: (state, { queueName }) =>
    onQueue(state, queueName, (queue) => {
      queue.messages = []
      return ok({})
    }),
  RewindQueue: (state, { queueName, startConsumeTime, dryRun }) =>
    onQueue(state, queueName, (queue) => {
      if (queue.attributes.rewindSeconds === 0) return refused("rewindNotEnabled")
      return ok({ rewoundMsgNum: queue.rewind(startConsumeTime * 1_000, dryRun === 1) })
    }),
  QueryQueueRoute: (state, { queueName }) => onQueue(state, queueName, () => ok({ addr: ["127.0.0.1:7073"] })),
  SendMessage: (state, parameters) =>
    onQueue(state, parameters.queueName, (queue) => {
      if (parameters.msgBody.length > queue.attributes.maxMsgSize) return refused("messageTooLarge")
      const sent = queue.send(
        {
          body: decoder.decode(parameters.msgBody),
          attributes: attributeFields(parameters.attributes ?? []),
          clientMessageId: parameters.clientMessageId,
          delaySeconds: parameters.delaySeconds,
        },
        state.nowMs,
      )
      return ok(sent)
    }),
  BatchSendMessage: (state, parameters) =>
    onQueue(state, parameters.queueName, (queue) => {
      if (parameters.msgBody.some((body) => body.length > queue.attributes.maxMsgSize))
        return refused("messageTooLarge")
      const msgList = parameters.msgBody.map((body, index) =>
        queue.send(
          {
            body: decoder.decode(body),
            attributes: attributeFields(parameters.attributes?.[index] ?? []),
            clientMessageId: parameters.clientMessageId?.[index],
            delaySeconds: parameters.delaySeconds,
          },
          state.nowMs,
        ),
      )
      return ok({ msgList })
    }),
  ReceiveMessage: (state, parameters) => {
    const answer = receive(state, { ...parameters, numOfMsg: 1 })
    if (answer.kind !== "ok") return answer
    const [first] = answer.fields["msgInfoList"] as readonly Readonly<Record<string, unknown>>[]
    return ok(first ?? {})
  },
  BatchReceiveMessage: (state, parameters) => receive(state, parameters),
  DeleteMessage: (state, { queueName, receiptHandle }) =>
    onQueue(state, queueName, (queue) => {
      const error = queue.delete(receiptHandle, state.nowMs)
      return error === undefined ? ok({}) : refused(error)
    }),
  BatchDeleteMessage: (state, { queueName, receiptHandle }) =>
    onQueue(state, queueName, (queue) => {
      const failed = receiptHandle.filter((each) => queue.delete(each, state.nowMs) !== undefined)
      if (failed.length === 0) return ok({})
      // As on CMQ's page: no module number in these texts.
      const errorList = failed.map((each) => ({
        code: 4430,
        message: "receipt handle is invalid",
        receiptHandle: each,
      }))
      const error = failed.length === receiptHandle.length ? "deleteFailed" : "deletePartiallyFailed"
      return { kind: "refused", error, fields: { errorList } }
    }),
  ChangeMessageVisibility: (state, { queueName, receiptHandle, visibilityTimeout }) =>
    onQueue(state, queueName, (queue) => {
      const visibleAtMs = queue.changeVisibility({ receiptHandle, seconds: visibilityTimeout }, state.nowMs)
      if (visibleAtMs === undefined) return refused("receiptHandleInvalid")
      return ok({ nextVisibleTime: Math.floor(visibleAtMs / 1_000) })
    }),
  PeekMessage: (state, { queueName, numOfMsg, startSeq }) =>
    onQueue(state, queueName, (queue) => {
      const alive = queue.messages.filter((each) => each.deletedAtMs === undefined)
      const shown = alive.slice(startSeq, startSeq + numOfMsg)
      const next = startSeq + shown.length < alive.length ? { nextSeq: startSeq + shown.length } : {}
      return ok({ msgInfoList: shown.map((each) => messageFields(each)), ...next })
    }),
  GetClusterStatus: () => ok({ cluster: { nodes: [] } }),
}

function receive(
  state: ScriptedState,
  order: Readonly<{
    queueName: string
    numOfMsg: number
    visibilityTimeout?: number
    pollingWaitSeconds?: number
  }>,
): Answer {
  return onQueue(state, order.queueName, (queue) => {
    const { attributes } = queue
    const deadLetters = state.queue(attributes.deadLetterPolicy?.deadLetterQueue ?? "")
    const visibilitySeconds = order.visibilityTimeout ?? attributes.visibilityTimeout
    const received = queue.receive({ max: order.numOfMsg, visibilitySeconds, deadLetters }, state.nowMs)
    if (received.length > 0) return ok({ msgInfoList: received.map((each) => messageFields(each)) })
    return { kind: "empty", queue, waitSeconds: order.pollingWaitSeconds ?? attributes.pollingWaitSeconds }
  })
}

function messageFields(message: StoredMessage): Readonly<Record<string, unknown>> {
  return {
    msgId: message.msgId,
    receiptHandle: message.receiptHandle ?? "",
    msgBody: message.body,
    enqueueTime: Math.floor(message.sentAtMs / 1_000),
    firstDequeueTime: Math.floor(message.firstDequeuedAtMs / 1_000),
    nextVisibleTime: Math.floor(message.visibleAtMs / 1_000),
    dequeueCount: message.dequeueCount,
    attributes: message.attributes,
    ...message.provenance,
  }
}

function statusOf(queue: ScriptedQueue, nowMs: number): Readonly<Record<string, unknown>> {
  const { deadLetterPolicy, ...numbers }: Attributes = queue.attributes
  const seconds = Math.floor(queue.createdAtMs / 1_000)
  const counts = queue.counts(nowMs)
  return {
    queueId: `queue-${queue.name}`,
    queueName: queue.name,
    ...numbers,
    ...(deadLetterPolicy === undefined ? {} : { deadLetterPolicy: formatDeadLetterPolicy(deadLetterPolicy) }),
    createTime: seconds,
    lastModifyTime: seconds,
    ...counts,
    rewindMsgNum: counts.rewindmsgNum,
  }
}

function queueList(names: readonly string[], offset: number, limit: number): Readonly<Record<string, unknown>> {
  const rows = names.slice(offset, offset + limit)
  return {
    totalCount: names.length,
    queueList: rows.map((queueName) => ({ queueId: `queue-${queueName}`, queueName })),
  }
}

function onQueue(state: ScriptedState, name: string, act: (queue: ScriptedQueue) => Answer): Answer {
  const queue = state.queue(name)
  return queue === undefined ? refused("queueNotFound") : act(queue)
}

function ok(fields: Readonly<Record<string, unknown>>): Answer {
  return { kind: "ok", fields }
}

function refused(error: ErrorName): Answer {
  return { kind: "refused", error }
}
