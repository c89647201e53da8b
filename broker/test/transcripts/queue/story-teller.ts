/**
 * Understands the commands of the transcripts (README of the format: `../queue.test.ts`) and says in one line each
 * what came of them. Names are CMQ's; times are relative to the present of the story.
 */
import type { DeadLetterPolicy, QueueAttributes, SetQueueAttributes } from "../../../src/core/queue/command.ts"
import { MachineDriver, outgoing, type Received } from "./machine-driver.ts"

const attributeNames: Readonly<Record<string, keyof Omit<QueueAttributes, "deadLetterPolicy">>> = {
  maxMsgHeapNum: "maxMsgHeapCount",
  pollingWait: "pollingWaitMs",
  visibilityTimeout: "visibilityTimeoutMs",
  maxMsgSize: "maxMsgBytes",
  msgRetention: "msgRetentionMs",
  rewind: "rewindMs",
}

interface Words {
  readonly name: string
  readonly plain: readonly string[]
  readonly options: ReadonlyMap<string, string>
}

export class StoryTeller {
  #driver = new MachineDriver()

  /** One command; the lines that came of it. */
  tell(line: string): string[] {
    const [verb = "", ...rest] = line.match(/(?:[^\s"]|"[^"]*")+/g) ?? []
    const options = new Map<string, string>()
    const plain: string[] = []
    for (const word of rest) {
      const [, key, value] = /^([a-zA-Z]+)=(.*)$/.exec(word) ?? []
      if (key === undefined || value === undefined) plain.push(word)
      else options.set(key, value)
    }
    const words: Words = { name: plain[0] ?? "", plain: plain.slice(1), options }
    const tell = this.#verbs[verb]
    if (tell === undefined) throw new Error(`no such command: ${line}`)
    return tell(words)
  }

  readonly #verbs: Readonly<Record<string, (words: Words) => string[]>> = {
    limits: ({ options, name }) => {
      const all = new Map(options)
      if (name !== "") throw new Error("limits take the form name=value")
      const limits: Record<string, number> = {}
      for (const [key, value] of all) limits[key] = number(value)
      this.#driver = new MachineDriver({ limits: limits })
      return ["ok"]
    },
    "create-queue": ({ name, options }) => {
      this.#driver.create(name, attributesOf(options) as Partial<QueueAttributes>)
      return this.#done()
    },
    "set-attributes": ({ name, options }) => {
      this.#driver.run((builder) => {
        builder.addAdmin({ kind: "setQueueAttributes", queueName: name, change: attributesOf(options) })
      })
      return this.#done()
    },
    "delete-queue": ({ name }) => this.#admin("deleteQueue", name),
    "clear-queue": ({ name }) => this.#counted(this.#admin("clearQueue", name)),
    unbind: ({ name }) => this.#admin("unbindDeadLetterQueue", name),
    "rewind-queue": ({ name, options }) => {
      const startConsumeAtMs = this.#driver.nowMs + number(options.get("to") ?? "0")
      this.#driver.run((builder) => {
        builder.addAdmin({ kind: "rewindQueue", queueName: name, startConsumeAtMs })
      })
      return this.#counted(this.#done())
    },
    send: (words) => this.#send(words),
    prepare: (words) => this.#prepare(words),
    commit: ({ name, plain }) => this.#confirm(name, plain, true),
    "roll-back": ({ name, plain }) => this.#confirm(name, plain, false),
    queried: ({ name, options }) => this.#queried(name, options),
    receive: ({ name, options }) => {
      const visibility = options.get("visibilityTimeout")
      const received = this.#driver.receive(
        name,
        number(options.get("max") ?? "1"),
        visibility === undefined ? -1 : number(visibility),
      )
      return this.#driver.outcome.refusal === undefined ? received.map((message) => this.#line(message)) : this.#done()
    },
    delete: ({ name, plain }) => {
      this.#driver.delete(name, plain.map(handleOf))
      return this.#eachHandle(plain, "deleted")
    },
    "change-visibility": ({ name, plain, options }) => {
      const visibilityMs = number(options.get("to") ?? "0")
      this.#driver.changeVisibility(name, plain.map(handleOf), visibilityMs)
      return this.#eachHandle(plain, `nextVisible=${this.#time(this.#driver.outcome.nextVisibleAtMs)}`)
    },
    advance: ({ name }) => {
      const before = this.#places()
      this.#driver.advance(number(name))
      return [...this.#changes(before), ...this.#queries()]
    },
    status: ({ name }) => this.#status(name),
    peek: ({ name, options }) => this.#peek(name, options),
    list: ({ options }) => {
      const list = this.#driver.machine.listQueues({
        searchWord: options.get("searchWord") ?? "",
        offset: number(options.get("offset") ?? "0"),
        limit: number(options.get("limit") ?? "20"),
      })
      return [`totalCount=${String(list.totalCount)} ${list.queues.map(({ queueName }) => queueName).join(" ")}`.trim()]
    },
    "dead-letter-sources": ({ name }) => {
      const request = { searchWord: "", offset: 0, limit: 20 }
      const list = this.#driver.machine.listDeadLetterSources(name, request)
      if (list === undefined) return ["unknown"]
      return [`totalCount=${String(list.totalCount)} ${list.queues.map(({ queueName }) => queueName).join(" ")}`.trim()]
    },
    deadline: () => {
      const nextMs = this.#driver.machine.nextDeadlineMs()
      return [nextMs === undefined ? "none" : this.#time(nextMs)]
    },
    restart: () => {
      const hash = this.#driver.machine.stateHash()
      this.#driver.restart()
      return [hash === this.#driver.machine.stateHash() ? "ok same state" : "DIFFERENT STATE"]
    },
  }

  #admin(kind: "deleteQueue" | "clearQueue" | "unbindDeadLetterQueue", queueName: string): string[] {
    this.#driver.run((builder) => {
      builder.addAdmin({ kind, queueName })
    })
    return this.#done()
  }

  #done(): string[] {
    const { refusal } = this.#driver.outcome
    return [refusal === undefined ? "ok" : `refused ${refusal}`]
  }

  #counted(lines: string[]): string[] {
    const { refusal, count } = this.#driver.outcome
    return refusal === undefined ? [`ok count=${String(count)}`] : lines
  }

  /** Bodies are in quotes; `"body"@id` gives a client message id, `count=n` sends the body n times. */
  #send({ name, plain, options }: Words): string[] {
    const delayMs = number(options.get("delay") ?? "0")
    const messages = plain.flatMap((word) => {
      const [, body = word, clientMessageId = ""] = /^"([^"]*)"(?:@(.*))?$/.exec(word) ?? []
      const count = number(options.get("count") ?? "1")
      return Array.from({ length: count }, () => outgoing(body, { delayMs, clientMessageId }))
    })
    this.#driver.run((builder) => builder.addSend({ queueId: this.#driver.queueId(name), messages }))
    return this.#sent()
  }

  /** `firstQuery=5s queries=3` */
  #prepare({ name, plain, options }: Words): string[] {
    this.#driver.prepare(
      name,
      plain.map((word) => word.slice(1, -1)),
      {
        firstQueryIntervalMs: number(options.get("firstQuery") ?? "5s"),
        maxQueryCount: number(options.get("queries") ?? "15"),
      },
    )
    return this.#sent()
  }

  #confirm(queueName: string, words: readonly string[], isCommit: boolean): string[] {
    this.#driver.confirm(queueName, words.map(number), isCommit)
    const { refusal, failed } = this.#driver.outcome
    if (refusal !== undefined) return this.#done()
    const success = isCommit ? "committed" : "rolled back"
    return words.map((word, index) => `msgId=${word} ${failed[index] === true ? "messageIdInvalid" : success}`)
  }

  /** What producers are asked now. */
  #queries(): string[] {
    return this.#driver.machine.takeQueried().map(({ queueId, entryIndex, ordinal }) => {
      const queueName = this.#driver.machine.queueName(queueId) ?? "?"
      return `query: ${queueName} msgId=${String(this.#driver.msgId(entryIndex, ordinal))}`
    })
  }

  #queried(queueName: string, options: ReadonlyMap<string, string>): string[] {
    const listed = this.#driver.machine.queriedHalves({
      queueId: this.#driver.queueId(queueName),
      fromSequence: number(options.get("from") ?? "0"),
      maxCount: number(options.get("max") ?? "20"),
    })
    if (listed === undefined) return ["unknown"]
    const lines = listed.sequences.map((sequence, index) => {
      const count = `${String(listed.queryCounts[index])} of ${String(listed.maxQueryCounts[index])}`
      return `sequence=${String(sequence)} queries=${count} next=${this.#time(listed.dueAtMs[index] ?? 0)}`
    })
    if (listed.nextSequence !== undefined) lines.push(`next sequence=${String(listed.nextSequence)}`)
    return lines.length === 0 ? ["nothing"] : lines
  }

  #sent(): string[] {
    const { sent, refusal } = this.#driver.outcome
    if (refusal !== undefined) return this.#done()
    const ids = Array.from({ length: sent.count }, (_, index) => {
      const msgId = this.#driver.msgId(sent.entryIndexes[index] ?? 0, sent.ordinals[index] ?? 0)
      return `msgId=${String(msgId)}${sent.duplicates[index] === true ? " (repeated)" : ""}`
    })
    return [`ok ${ids.length > 5 ? `${ids[0] ?? ""} .. ${ids.at(-1) ?? ""}` : ids.join(" ")}`]
  }

  #line(message: Received): string {
    const { slot, deliveryNumber, provenance } = message
    const words = [
      "ok",
      `msgId=${String(message.msgId)}`,
      `"${message.body}"`,
      `receiptHandle=${String(slot)}/${String(deliveryNumber)}`,
      `dequeueCount=${String(message.dequeueCount)}`,
      `enqueued=${this.#time(message.enqueuedAtMs)}`,
      `firstDequeue=${this.#time(message.firstDequeuedAtMs)}`,
      `nextVisible=${this.#time(message.nextVisibleAtMs)}`,
    ]
    if (provenance !== undefined) {
      const source = this.#driver.machine.queueName(provenance.sourceQueueId) ?? "?"
      const times = `enqueued=${this.#time(provenance.originalEnqueuedAtMs)}`
      words.push(
        `from=${source} reason=${provenance.reason} original(${times}, received ${String(provenance.originalDequeueCount)}x)`,
      )
    }
    return words.join(" ")
  }

  #eachHandle(words: readonly string[], success: string): string[] {
    const { refusal, failed } = this.#driver.outcome
    if (refusal !== undefined) return this.#done()
    return words.map((word, index) => `${word} ${failed[index] === true ? "receiptHandleInvalid" : success}`)
  }

  #status(queueName: string): string[] {
    const status = this.#driver.machine.queueStatus(this.#driver.queueId(queueName))
    if (status === undefined) return ["unknown"]
    const { totals } = status
    const oldestMs = status.oldestUnconsumedAtMs
    const counts = [
      `activeMsgNum=${String(status.activeCount)}`,
      `inactiveMsgNum=${String(status.inactiveCount)}`,
      `delayMsgNum=${String(status.delayedCount)}`,
      `rewindMsgNum=${String(status.rewindableCount)}`,
      `minMsgTime=${oldestMs === undefined ? "none" : this.#time(oldestMs)}`,
    ]
    if (status.halfCount > 0) counts.push(`halfMsgNum=${String(status.halfCount)}`)
    const sums = Object.entries(totals).filter(([, count]) => count > 0)
    return [counts.join(" "), `totals ${sums.map(([total, count]) => `${total}=${String(count)}`).join(" ")}`.trim()]
  }

  #peek(queueName: string, options: ReadonlyMap<string, string>): string[] {
    const peeked = this.#driver.machine.peek({
      queueId: this.#driver.queueId(queueName),
      fromSequence: number(options.get("from") ?? "0"),
      maxCount: number(options.get("max") ?? "20"),
    })
    if (peeked === undefined) return ["unknown"]
    const lines = peeked.sequences.map((sequence, index) => {
      const { msgId, body } = this.#driver.record({
        entryIndex: peeked.entryIndexes[index] ?? 0,
        offset: peeked.offsets[index] ?? 0,
        length: peeked.lengths[index] ?? 0,
      })
      return [
        `sequence=${String(sequence)}`,
        `msgId=${String(msgId)}`,
        `"${body}"`,
        peeked.states[index],
        `until=${this.#time(peeked.dueAtMs[index] ?? 0)}`,
        `dequeueCount=${String(peeked.dequeueCounts[index])}`,
      ].join(" ")
    })
    if (peeked.nextSequence !== undefined) lines.push(`next sequence=${String(peeked.nextSequence)}`)
    return lines.length === 0 ? ["nothing"] : lines
  }

  /** Where every message is: "queue msgId" -> state. */
  #places(): Map<string, string> {
    const places = new Map<string, string>()
    const { machine } = this.#driver
    for (const { queueId, queueName } of machine.listQueues({ searchWord: "", offset: 0, limit: 1000 }).queues) {
      const peeked = machine.peek({ queueId, fromSequence: 0, maxCount: 1000 })
      for (let index = 0; index < (peeked?.count ?? 0); index++) {
        const { msgId } = this.#driver.record({
          entryIndex: peeked?.entryIndexes[index] ?? 0,
          offset: peeked?.offsets[index] ?? 0,
          length: peeked?.lengths[index] ?? 0,
        })
        places.set(`${queueName} msgId=${String(msgId)}`, peeked?.states[index] ?? "")
      }
    }
    return places
  }

  #changes(before: ReadonlyMap<string, string>): string[] {
    const after = this.#places()
    const lines: string[] = []
    for (const [place, state] of before) {
      const now = after.get(place) ?? "gone"
      if (now !== state) lines.push(`expire: ${place} ${now}`)
    }
    for (const [place, state] of after) if (!before.has(place)) lines.push(`expire: ${place} ${state} (new here)`)
    return lines.length === 0 ? ["nothing"] : lines
  }

  /** Relative to now, in seconds. */
  #time(atMs: number): string {
    if (atMs === 0) return "never"
    const seconds = (atMs - this.#driver.nowMs) / 1000
    return `${seconds < 0 ? "-" : "+"}${String(Math.abs(seconds))}s`
  }
}

function attributesOf(options: ReadonlyMap<string, string>): SetQueueAttributes["change"] {
  const attributes: Record<string, unknown> = {}
  for (const [key, value] of options) {
    const name = attributeNames[key]
    if (name !== undefined) attributes[name] = number(value)
    else if (key === "deadLetter") attributes["deadLetterPolicy"] = policyOf(value)
    else throw new Error(`no such attribute: ${key}`)
  }
  return attributes
}

/** `dlq:3x` = after 3 receives, `dlq:60s` = after 60 s, `none`. */
function policyOf(text: string): DeadLetterPolicy | null {
  if (text === "none") return null
  const [deadLetterQueue = "", when = ""] = text.split(":")
  if (when.endsWith("x")) return { kind: "maxReceiveCount", deadLetterQueue, maxReceiveCount: number(when.slice(0, -1)) }
  return { kind: "maxTimeToLive", deadLetterQueue, maxTimeToLiveMs: number(when) }
}

/** `30s`, `2m`, `1h`, `100ms` or a plain number. */
function number(text: string): number {
  const [, digits, unit = ""] = /^(-?[0-9.]+)(ms|s|m|h)?$/.exec(text) ?? []
  const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  if (digits === undefined) throw new Error(`not a number: ${text}`)
  return Number(digits) * (factors[unit] ?? 1)
}

function handleOf(text: string): { slot: number; deliveryNumber: number } {
  const [slot = "", deliveryNumber = ""] = text.split("/")
  return { slot: number(slot), deliveryNumber: number(deliveryNumber) }
}
