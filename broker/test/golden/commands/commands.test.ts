// The bytes of version 1: an entry with every kind of command, and the state that comes of applying it. What a release
// has written must be read for ever, so these files are never changed; a new version gets new files beside them.
// `UPDATE=1` writes a file that is missing, and nothing else.
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { EntryBuilder, EntryReader } from "../../../src/codec/command-codec.ts"
import type { Command, QueueAttributes } from "../../../src/core/queue/command.ts"
import { defaultMachineLimits } from "../../../src/core/queue/machine-limits.ts"
import { emptyOutcome, QueueMachine } from "../../../src/core/queue/queue-machine.ts"

const attributes: QueueAttributes = {
  maxMsgHeapCount: 100_000_000,
  pollingWaitMs: 3_000,
  visibilityTimeoutMs: 30_000,
  maxMsgBytes: 65_536,
  msgRetentionMs: 345_600_000,
  rewindMs: 43_200_000,
  deadLetterPolicy: undefined,
}
const byCount = { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 1 } as const
const byAge = { kind: "maxTimeToLive", deadLetterQueue: "dead", maxTimeToLiveMs: 300_000 } as const

function entryV1(): Uint8Array {
  const builder = new EntryBuilder()
  builder.begin({ setId: 3 })
  builder.addAdmin({ kind: "createQueue", queueName: "dead", attributes })
  builder.addAdmin({ kind: "createQueue", queueName: "orders", attributes: { ...attributes, deadLetterPolicy: byCount } })
  builder.addAdmin({ kind: "createQueue", queueName: "gone", attributes: { ...attributes, deadLetterPolicy: byAge } })
  builder.addAdmin({ kind: "setQueueAttributes", queueName: "dead", change: { visibilityTimeoutMs: 10_000 } })
  builder.addAdmin({ kind: "setQueueAttributes", queueName: "gone", change: { deadLetterPolicy: null } })
  builder.addSend({
    queueId: 2,
    messages: [
      { body: Buffer.from("short id"), delayMs: 0, clientMessageId: "short", attributes: [] },
      {
        body: Buffer.from("long id, everything"),
        delayMs: 0,
        clientMessageId: "0b6f3f6e-62a5-4d2c-9f06-6b1c3d6f9c11",
        attributes: [
          { name: "traceparent", type: "string", value: Buffer.from("00-1-2-3") },
          { name: "raw", type: "binary", value: Uint8Array.of(0, 1, 255) },
        ],
        tags: ["red", "green"],
        routingKey: "a.b",
      },
      { body: Buffer.from("delayed"), delayMs: 60_000, clientMessageId: "", attributes: [] },
    ],
  })
  builder.addReceive({ queueId: 2, maxCount: 2, visibilityTimeoutMs: -1 })
  builder.addDelete({ queueId: 2, handles: [{ slot: 1, deliveryNumber: 1 }] })
  builder.addChangeVisibility({ queueId: 2, handles: [{ slot: 2, deliveryNumber: 2 }], visibilityTimeoutMs: 0 })
  builder.addReceive({ queueId: 1, maxCount: 16, visibilityTimeoutMs: 43_200_000 })
  builder.addAdmin({ kind: "rewindQueue", queueName: "orders", startConsumeAtMs: 1_700_000_000_000 })
  builder.addAdmin({ kind: "clearQueue", queueName: "gone" })
  builder.addAdmin({ kind: "deleteQueue", queueName: "gone" })
  builder.addAdmin({ kind: "unbindDeadLetterQueue", queueName: "orders" })
  builder.addAdmin({ kind: "expire" })
  return builder.finish(1_700_000_000_000)
}

function topicsV1(): Uint8Array {
  const builder = new EntryBuilder()
  const subscription = { notifyContentFormat: "simplified", filterTags: ["red"], bindingKeys: [] } as const
  const news = { topicName: "news", subscriptionName: "hook" }
  const url = "http://203.0.113.7/hook?a=b"
  builder.begin({ setId: 0 })
  builder.addAdmin({ kind: "createQueue", queueName: "inbox", attributes })
  const byTags = { maxMsgBytes: 65_536, filterType: "tags", msgRetentionMs: 86_400_000 } as const
  builder.addAdmin({ kind: "createTopic", topicName: "news", attributes: byTags })
  builder.addAdmin({ kind: "createTopic", topicName: "gone", attributes: { ...byTags, filterType: "bindingKeys" } })
  builder.addAdmin({ kind: "setTopicAttributes", topicName: "news", change: { maxMsgBytes: 1_048_576 } })
  builder.addAdmin({
    kind: "subscribe",
    topicName: "news",
    subscriptionName: "inbox",
    endpoint: { kind: "queue", queueName: "inbox" },
    attributes: { ...subscription, notifyStrategy: "exponentialDecay" },
  })
  builder.addAdmin({
    kind: "subscribe",
    ...news,
    endpoint: { kind: "http", url },
    attributes: { ...subscription, notifyStrategy: "backoff", notifyContentFormat: "json" },
  })
  builder.addAdmin({
    kind: "subscribe",
    topicName: "gone",
    subscriptionName: "keys",
    endpoint: { kind: "http", url },
    attributes: { ...subscription, notifyStrategy: "backoff", bindingKeys: ["a.*", "#.b"] },
  })
  builder.addAdmin({ kind: "setSubscriptionAttributes", ...news, change: { filterTags: [] } })
  const plain = { delayMs: 0, attributes: [] }
  builder.addPublish({
    topicId: 2,
    messages: [
      { ...plain, body: Buffer.from("to both"), clientMessageId: "id-1", tags: ["red", "blue"] },
      { ...plain, body: Buffer.from("to one"), clientMessageId: "", routingKey: "a.b" },
    ],
  })
  builder.addReportPush({ subscriptionId: 5, deliveredThrough: 1, failedSequence: 2 })
  builder.addAdmin({ kind: "unsubscribe", topicName: "gone", subscriptionName: "keys" })
  builder.addAdmin({ kind: "deleteTopic", topicName: "gone" })
  return builder.finish(1_700_000_000_000)
}

function redriveV1(): Uint8Array {
  const builder = new EntryBuilder()
  const letters = { body: Buffer.from("letter"), delayMs: 0, clientMessageId: "", attributes: [] }
  const everything = { enqueuedFromMs: 0, enqueuedUntilMs: Number.MAX_SAFE_INTEGER }
  builder.begin({ setId: 0 })
  builder.addAdmin({ kind: "createQueue", queueName: "dead", attributes })
  builder.addAdmin({ kind: "createQueue", queueName: "orders", attributes: { ...attributes, deadLetterPolicy: byCount } })
  builder.addAdmin({ kind: "createQueue", queueName: "inbox", attributes })
  builder.addSend({ queueId: 2, messages: [letters, letters] })
  builder.addReceive({ queueId: 2, maxCount: 2, visibilityTimeoutMs: -1 })
  // Both become dead letters at once.
  const handles = [
    { slot: 0, deliveryNumber: 1 },
    { slot: 1, deliveryNumber: 2 },
  ]
  builder.addChangeVisibility({ queueId: 2, handles, visibilityTimeoutMs: 0 })
  builder.addAdmin({
    kind: "startRedrive",
    queueName: "dead",
    order: { targetQueueName: "inbox", sourceQueueName: "orders", ...everything, messagesPerSecond: 10 },
  })
  builder.addAdmin({
    kind: "startRedrive",
    queueName: "inbox",
    order: { targetQueueName: "", sourceQueueName: "", ...everything, messagesPerSecond: 1_000 },
  })
  builder.addAdmin({ kind: "cancelRedrive", queueName: "inbox" })
  return builder.finish(1_700_000_000_000)
}

function transactionsV1(): Uint8Array {
  const builder = new EntryBuilder()
  builder.begin({ setId: 0 })
  builder.addAdmin({ kind: "createQueue", queueName: "orders", attributes })
  const half = { delayMs: 0, attributes: [] }
  builder.addPrepare({
    queueId: 1,
    messages: [
      { ...half, body: Buffer.from("committed"), clientMessageId: "id-1" },
      { ...half, body: Buffer.from("rolled back"), clientMessageId: "" },
      { ...half, body: Buffer.from("undecided"), clientMessageId: "" },
    ],
    firstQueryIntervalMs: 5_000,
    maxQueryCount: 15,
  })
  builder.addConfirm({
    queueId: 1,
    decisions: [
      { entryIndex: 12, ordinal: 0, isCommit: true },
      { entryIndex: 12, ordinal: 1, isCommit: false },
    ],
  })
  return builder.finish(1_700_000_000_000)
}

function keysV1(): Uint8Array {
  const builder = new EntryBuilder()
  builder.begin({ setId: 0 })
  const shop = { accountName: "shop", permissions: ["send:queue:orders-*", "peek:cluster"] }
  builder.addAdmin({ kind: "createKey", secretId: "AKIDshop1", ...shop, sealedSecret: "1.00c0ffee.c2VhbGVk" })
  builder.addAdmin({ kind: "createKey", secretId: "AKIDgone", accountName: "gone", permissions: [], sealedSecret: "" })
  const sealedSecret = "1.00c0ffee.YW5vdGhlcg=="
  builder.addAdmin({ kind: "rotateKey", secretId: "AKIDshop1", newSecretId: "AKIDshop2", sealedSecret })
  builder.addAdmin({ kind: "revokeKey", secretId: "AKIDgone" })
  return builder.finish(1_700_000_000_000)
}

/** The queues came first; the others have files of their own, since released ones are never changed. */
const GOLDEN = [
  { what: "queues", entry: entryV1, name: "entry-v1", state: "state-v1.txt" },
  { what: "topics", entry: topicsV1, name: "topics-v1", state: "topics-state-v1.txt" },
  { what: "transactions", entry: transactionsV1, name: "transactions-v1", state: "transactions-state-v1.txt" },
  { what: "key pairs", entry: keysV1, name: "keys-v1", state: "keys-state-v1.txt" },
  { what: "redrives", entry: redriveV1, name: "redrive-v1", state: "redrive-state-v1.txt" },
]

function apply(data: Uint8Array): { machine: QueueMachine; commands: Command[] } {
  const reader = new EntryReader()
  const machine = new QueueMachine(defaultMachineLimits)
  const outcome = emptyOutcome()
  machine.beginEntry(12, reader.open(data).stampMs)
  const commands: Command[] = []
  for (let command = reader.next(); command !== undefined; command = reader.next()) {
    commands.push(structuredClone(command))
    machine.apply(command, outcome)
    expect(outcome.refusal, command.kind).toBeUndefined()
  }
  return { machine, commands }
}

function golden(name: string, content: () => string): string {
  const path = join(import.meta.dirname, name)
  // An escape for whoever makes a new version; a file that exists is never written.
  if (!existsSync(path) && process.env["UPDATE"] === "1") writeFileSync(path, content())
  return readFileSync(path, "utf8").trim()
}

function wrapped(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex").replace(/.{96}/g, "$&\n")
}

describe.each(GOLDEN)("version 1, $what", ({ entry, name, state }) => {
  test("an entry is written byte for byte as it was released", () => {
    const released = golden(`${name}.hex`, () => `${wrapped(entry())}\n`)
    expect(wrapped(entry()).trim()).toBe(released)
  })

  test("an entry means what it meant when it was released", () => {
    const bytes = Buffer.from(golden(`${name}.hex`, () => "").replaceAll("\n", ""), "hex")
    const text = () => `${JSON.stringify(apply(bytes).commands, undefined, 1)}\n`
    expect(text().trim()).toBe(golden(`${name}.json`, text))
  })

  test("the state that comes of it is the released one, byte for byte, and is read back", () => {
    const { machine } = apply(entry())
    const records: string[] = []
    machine.collectAll((key, value) => {
      records.push(`${Buffer.from(key).toString("hex")} ${Buffer.from(value ?? []).toString("hex")}`)
    })
    const text = `hash ${String(machine.stateHash())}\n${records.join("\n")}\n`
    const released = golden(state, () => text)
    expect(text.trim()).toBe(released)

    const restored = new QueueMachine(defaultMachineLimits)
    const [hash = "", ...lines] = released.split("\n")
    for (const line of lines) {
      const [key = "", value = ""] = line.split(" ")
      restored.restore(Buffer.from(key, "hex"), Buffer.from(value, "hex"))
    }
    restored.finishRestore()
    expect(`hash ${String(restored.stateHash())}`).toBe(hash)
  })
})
