/**
 * A transport of the SDK that writes down what every single attempt asked and was told. The SDK above it may retry and
 * fail over as it likes: the history holds attempts, so nothing that it does can hide a broken promise.
 */
import { HttpTransport, TransportError } from "@opencmq/client-sdk"
import type { AttemptReply, AttemptRequest, Transport } from "@opencmq/client-sdk"
import { errorByReply, errorRow } from "@opencmq/proto"
import type { AttemptOutcome, History, SendAttempt } from "./history.ts"
import { keyOfBody } from "./message-body.ts"

/** Lease of a receive that asks for none: the queue's own. */
export interface RecordingOptions {
  readonly client: string
  readonly history: History
  readonly queueVisibilityMs: number
}

type Fields = Readonly<Record<string, unknown>>
type Span = { readonly client: string; readonly startMs: number; readonly endMs: number }

/** Unix milliseconds that never go back. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now()
}

export class RecordingTransport implements Transport {
  readonly #inner = new HttpTransport()
  readonly #options: RecordingOptions

  constructor(options: RecordingOptions) {
    this.#options = options
  }

  async attempt(request: AttemptRequest): Promise<AttemptReply> {
    const startMs = nowMs()
    try {
      const reply = await this.#inner.attempt(request)
      this.#record(request, this.#spanFrom(startMs), { outcome: outcomeOf(reply.fields), fields: reply.fields })
      return reply
    } catch (thrown) {
      const isKeptBack = thrown instanceof TransportError && thrown.outcome === "notApplied"
      this.#record(request, this.#spanFrom(startMs), { outcome: isKeptBack ? "refused" : "unknown", fields: {} })
      throw thrown
    }
  }

  probe(endpoint: string, signal: AbortSignal): Promise<void> {
    return this.#inner.probe(endpoint, signal)
  }

  close(): void {
    this.#inner.close()
  }

  #spanFrom(startMs: number): Span {
    return { client: this.#options.client, startMs, endMs: nowMs() }
  }

  #record(request: AttemptRequest, span: Span, answer: Answer): void {
    const parameters = new Map(request.parameters)
    const { action } = request
    if (action === "SendMessage" || action === "BatchSendMessage") this.#recordSend(parameters, span, answer)
    if (action === "ReceiveMessage" || action === "BatchReceiveMessage") this.#recordReceive(parameters, span, answer)
    if (action === "DeleteMessage" || action === "BatchDeleteMessage") this.#recordDelete(parameters, span, answer)
    if (action !== "ChangeMessageVisibility") return
    this.#options.history.settled(parameters.get("receiptHandle") ?? "", {
      ...span,
      kind: "changeVisibility",
      outcome: settledAs(answer.outcome, codeName(answer.fields)),
      visibilityMs: Number(parameters.get("visibilityTimeout")) * 1_000,
    })
  }

  #recordSend(parameters: ReadonlyMap<string, string>, span: Span, answer: Answer): void {
    const list = listOf(answer.fields["msgList"])
    const bodies = valuesOf(parameters, "msgBody")
    const delayMs = Number(parameters.get("delaySeconds") ?? 0) * 1_000
    for (const [index, body] of bodies.entries()) {
      const key = keyOfBody(body)
      if (key === undefined) throw new Error("a client sent a body that it did not make")
      const own = parameters.has("msgBody") ? answer.fields : (list[index] ?? {})
      const msgId = answer.outcome === "ack" ? textOf(own["msgId"]) : ""
      const attempt: SendAttempt = { ...span, outcome: answer.outcome, msgId, delayMs }
      this.#options.history.sent(key, attempt)
    }
  }

  #recordReceive(parameters: ReadonlyMap<string, string>, span: Span, answer: Answer): void {
    const { history, queueVisibilityMs } = this.#options
    const isAck = answer.outcome === "ack"
    const received = parameters.has("numOfMsg") ? listOf(answer.fields["msgInfoList"]) : [answer.fields]
    const words = isAck ? `${String(received.length)} messages` : (codeName(answer.fields) ?? "no reply")
    history.receives.push({ ...span, outcome: answer.outcome, answer: words })
    if (!isAck) return
    const asked = parameters.get("visibilityTimeout")
    for (const fields of received) {
      const body = textOf(fields["msgBody"])
      const key = keyOfBody(body)
      if (key === undefined) {
        history.corruptBodies.push(`${span.client} got ${textOf(fields["msgId"])}: ${body.slice(0, 80)}`)
        continue
      }
      history.received(key, {
        ...span,
        msgId: textOf(fields["msgId"]),
        receiptHandle: textOf(fields["receiptHandle"]),
        dequeueCount: Number(fields["dequeueCount"]),
        visibilityMs: asked === undefined ? queueVisibilityMs : Number(asked) * 1_000,
        nextVisibleAtMs: Number(fields["nextVisibleTime"] ?? 0) * 1_000,
      })
    }
  }

  #recordDelete(parameters: ReadonlyMap<string, string>, span: Span, answer: Answer): void {
    const handles = valuesOf(parameters, "receiptHandle")
    const wholeName = codeName(answer.fields)
    const errors = new Map(listOf(answer.fields["errorList"]).map((row) => [textOf(row["receiptHandle"]), row]))
    for (const receiptHandle of handles) {
      const own = errors.get(receiptHandle)
      // A partial failure lists the handles that failed; the others were deleted.
      const isPartial = wholeName === "deletePartiallyFailed" || wholeName === "deleteFailed"
      const outcome: ReturnType<typeof settledAs> =
        own !== undefined
          ? settledAs(outcomeOf(own), codeName(own))
          : isPartial && errors.size > 0
            ? "ack"
            : settledAs(answer.outcome, wholeName)
      this.#options.history.settled(receiptHandle, { ...span, kind: "delete", outcome, visibilityMs: 0 })
    }
  }
}

type Answer = { readonly outcome: AttemptOutcome; readonly fields: Fields }

/** What a reply with a `code` says about what was done. */
function outcomeOf(fields: Fields): AttemptOutcome {
  const code = Number(fields["code"] ?? 0)
  if (code === 0) return "ack"
  const name = codeName(fields)
  if (name === undefined) return "unknown"
  const { outcome } = errorRow(name)
  return outcome === "notApplied" ? "refused" : "unknown"
}

function settledAs(outcome: AttemptOutcome, name: string | undefined): AttemptOutcome | "handleRefused" {
  return name === "receiptHandleInvalid" ? "handleRefused" : outcome
}

function codeName(fields: Fields): ReturnType<typeof errorByReply> {
  const code = Number(fields["code"] ?? 0)
  if (code === 0) return undefined
  return errorByReply(code, textOf(fields["message"]))
}

/** `name`, or `name.1`, `name.2` and so on. */
function valuesOf(parameters: ReadonlyMap<string, string>, name: string): readonly string[] {
  const single = parameters.get(name)
  if (single !== undefined) return [single]
  const values: string[] = []
  for (let number = 1; ; number += 1) {
    const value = parameters.get(`${name}.${String(number)}`)
    if (value === undefined) return values
    values.push(value)
  }
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? (value as Fields[]) : []
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : ""
}
