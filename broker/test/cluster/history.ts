/**
 * What clients did and what they were told, attempt by attempt: the only thing that the checker looks at.
 *
 * Times are Unix milliseconds of one clock, that of the process in which all clients run. Every attempt ends in one of
 * three outcomes: it was carried out, it was surely not, or nobody knows. Unknown is never counted as failed.
 */
export type AttemptOutcome = "ack" | "refused" | "unknown"

/** One attempt to send one message. */
export interface SendAttempt {
  readonly client: string
  readonly startMs: number
  readonly endMs: number
  readonly outcome: AttemptOutcome
  /** "" unless acknowledged. */
  readonly msgId: string
  readonly delayMs: number
}

/** One message as one client received it: the reply arrived whole. */
export interface Delivery {
  readonly client: string
  readonly startMs: number
  readonly endMs: number
  readonly msgId: string
  readonly receiptHandle: string
  /** Times received, this one included, as the broker says. */
  readonly dequeueCount: number
  /** The lease that was asked for. */
  readonly visibilityMs: number
  /** The lease's end as the broker says, in whole seconds rounded down; 0 = it does not say. */
  readonly nextVisibleAtMs: number
}

/** One attempt to delete a delivery's message or to change how long it is hidden. */
export interface Settlement {
  readonly client: string
  readonly kind: "delete" | "changeVisibility"
  readonly startMs: number
  readonly endMs: number
  /** `handleRefused`: the broker said that the handle is not valid (any more). */
  readonly outcome: AttemptOutcome | "handleRefused"
  /** Of the delivery whose handle was used. */
  readonly dequeueCount: number
  /** Of changeVisibility: counted from the change; 0 = given back. */
  readonly visibilityMs: number
}

/** Everything about one message. Keys are numbers from 1; each body carries its own. */
export interface MessageHistory {
  readonly key: number
  readonly sends: SendAttempt[]
  readonly deliveries: Delivery[]
  readonly settlements: Settlement[]
}

/** One attempt to receive. */
export interface ReceiveAttempt {
  readonly client: string
  readonly startMs: number
  readonly endMs: number
  readonly outcome: AttemptOutcome
  /** Messages that arrived, or the name of the error. */
  readonly answer: string
}

export class History {
  readonly messages = new Map<number, MessageHistory>()
  /** Every receive that ended, whatever it brought. */
  readonly receives: ReceiveAttempt[] = []
  /** Times in which a fault may have made the broker itself repeat a receive: the first one's messages reached nobody. */
  readonly disturbances: { readonly fromMs: number; readonly toMs: number }[] = []
  /** Bodies that are not what any client sent: damaged, or not ours at all. */
  readonly corruptBodies: string[] = []
  /** Handles that a client got for two deliveries, or answers that contradict each other. */
  readonly oddities: string[] = []
  readonly #handles = new Map<string, { readonly message: MessageHistory; readonly dequeueCount: number }>()

  message(key: number): MessageHistory {
    let message = this.messages.get(key)
    if (message === undefined) {
      message = { key, sends: [], deliveries: [], settlements: [] }
      this.messages.set(key, message)
    }
    return message
  }

  sent(key: number, attempt: SendAttempt): void {
    this.message(key).sends.push(attempt)
  }

  received(key: number, delivery: Delivery): void {
    const message = this.message(key)
    message.deliveries.push(delivery)
    if (this.#handles.has(delivery.receiptHandle)) {
      this.oddities.push(`handle ${delivery.receiptHandle} was handed out twice (message ${String(key)})`)
    }
    this.#handles.set(delivery.receiptHandle, { message, dequeueCount: delivery.dequeueCount })
  }

  settled(receiptHandle: string, settlement: Omit<Settlement, "dequeueCount">): void {
    const owner = this.#handles.get(receiptHandle)
    if (owner === undefined) this.oddities.push(`handle ${receiptHandle} was settled, but never received`)
    else owner.message.settlements.push({ ...settlement, dequeueCount: owner.dequeueCount })
  }
}
