/** Redrives: dead letters go back, as a task of the broker. */
import type { CallOptions, Caller } from "./caller.ts"
import { listOf, numberOf, textOf, timeOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import type { Parameter } from "./transport.ts"

/** Which messages are moved, where to and how fast. */
export type RedriveOptions = CallOptions &
  Readonly<{
    /** A queue that takes them all; absent: each goes to the queue that it came from. */
    target?: string
    /** Only those that came from this queue. */
    source?: string
    /** Only those that became dead letters then: from (included) until (not included). */
    from?: Date
    until?: Date
    /** 1 to 50,000; absent: 1,000. */
    messagesPerSecond?: number
  }>

/** What a redrive would do. */
export type RedrivePreview = Readonly<{
  moveCount: number
  /** In use just now, or without a queue to go to. */
  skipCount: number
  targets: readonly Readonly<{ queueName: string; count: number }>[]
}>

/** `waiting`: the next message's queue is full. The last three are ends. */
export type RedriveState = "running" | "waiting" | "completed" | "cancelled" | "targetDeleted"

/** How far a redrive is. */
export type RedriveStatus = Readonly<{
  state: RedriveState
  movedCount: number
  skippedCount: number
  /** Messages that were not looked at yet; so many at most. */
  leftAtMostCount: number
  startTime: Date | undefined
  /** Undefined while it goes on. */
  endTime: Date | undefined
  messagesPerSecond: number
  /** Undefined = each to its own source; "?" = a queue that is gone. */
  target: string | undefined
  source: string | undefined
}>

type OfQueue<T> = Readonly<{ queueName: string; options: T }>

/** Starts one; a queue has one at a time. */
export async function startRedrive(
  caller: Caller,
  { queueName, options }: OfQueue<RedriveOptions | undefined>,
): Promise<void> {
  await caller.call({ action: "StartRedrive", parameters: parametersOf(queueName, options), options })
}

/** What it would do. */
export async function previewRedrive(
  caller: Caller,
  { queueName, options }: OfQueue<RedriveOptions | undefined>,
): Promise<RedrivePreview> {
  const parameters: Parameter[] = [...parametersOf(queueName, options), ["dryRun", "1"]]
  const { fields } = await caller.call({ action: "StartRedrive", parameters, options })
  const targets = listOf(fields["targetList"]).map((row) => ({
    queueName: textOf(row["queueName"]),
    count: numberOf(row["msgNum"]),
  }))
  return { moveCount: numberOf(fields["moveMsgNum"]), skipCount: numberOf(fields["skipMsgNum"]), targets }
}

/** @returns how many messages had been moved. */
export async function cancelRedrive(
  caller: Caller,
  { queueName, options }: OfQueue<CallOptions | undefined>,
): Promise<number> {
  const parameters: Parameter[] = [["queueName", queueName]]
  const { fields } = await caller.call({ action: "CancelRedrive", parameters, options })
  return numberOf(fields["movedMsgNum"])
}

/** The newest one of the queue. */
export async function describeRedrive(
  caller: Caller,
  { queueName, options }: OfQueue<CallOptions | undefined>,
): Promise<RedriveStatus> {
  const parameters: Parameter[] = [["queueName", queueName]]
  const { fields } = await caller.call({ action: "DescribeRedrive", parameters, options })
  return statusOf(fields)
}

function statusOf(fields: Fields): RedriveStatus {
  return {
    state: textOf(fields["state"]) as RedriveState,
    movedCount: numberOf(fields["movedMsgNum"]),
    skippedCount: numberOf(fields["skippedMsgNum"]),
    leftAtMostCount: numberOf(fields["leftMsgNum"]),
    startTime: timeOf(fields["startTime"]),
    endTime: timeOf(fields["endTime"]),
    messagesPerSecond: numberOf(fields["messagesPerSecond"]),
    target: textOf(fields["targetQueueName"]) || undefined,
    source: textOf(fields["sourceQueueName"]) || undefined,
  }
}

function parametersOf(queueName: string, options: RedriveOptions = {}): Parameter[] {
  const { target, source, from, until, messagesPerSecond } = options
  const given: [string, string | undefined][] = [
    ["queueName", queueName],
    ["targetQueueName", target],
    ["sourceQueueName", source],
    ["enqueuedFrom", secondsOf(from)],
    ["enqueuedUntil", secondsOf(until)],
    ["messagesPerSecond", messagesPerSecond?.toString()],
  ]
  return given.flatMap(([name, value]): Parameter[] => (value === undefined ? [] : [[name, value]]))
}

function secondsOf(moment: Date | undefined): string | undefined {
  return moment === undefined ? undefined : String(Math.floor(moment.getTime() / 1_000))
}
