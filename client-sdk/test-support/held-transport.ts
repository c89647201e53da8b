/**
 * A transport in memory: every attempt waits until the test answers it, even when it was aborted meanwhile. For what
 * sockets cannot show on demand: a reply that is already here when its call is given up.
 */
import type { AttemptReply, AttemptRequest, Transport } from "../src/transport.ts"

/** An attempt that waits for its answer. */
export type HeldAttempt = Readonly<{
  action: string
  params: ReadonlyMap<string, string>
  signal: AbortSignal
  answer: (fields: Readonly<Record<string, unknown>>) => void
}>

export class HeldTransport implements Transport {
  /** All attempts so far, in order. */
  readonly attempts: HeldAttempt[] = []

  attempt(request: AttemptRequest): Promise<AttemptReply> {
    return new Promise((resolve) => {
      this.attempts.push({
        action: request.action,
        params: new Map(request.parameters),
        signal: request.signal,
        answer: (fields) => {
          const reply = { code: 0, message: "", requestId: "held", ...fields }
          resolve({ fields: reply, leader: undefined, serverUnixMs: undefined, retryAfterMs: undefined })
        },
      })
    })
  }

  async probe(): Promise<void> {
    // Always alive.
  }

  close(): void {
    // Nothing is open.
  }
}

/** Fields of received messages, as BatchReceiveMessage lists them. */
export function receivedFields(count: number): Readonly<Record<string, unknown>> {
  const msgInfoList = Array.from({ length: count }, (_, index) => {
    const number = String(index + 1)
    return { msgId: number, receiptHandle: number, msgBody: `m${number}`, enqueueTime: 1, dequeueCount: 1 }
  })
  return { msgInfoList }
}
