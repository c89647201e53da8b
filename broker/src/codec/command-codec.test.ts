import { describe, expect, test } from "vitest"
import type { Command } from "../core/queue/command.ts"
import { createRandom } from "../core/random.ts"
import type { AdminCommand } from "./admin-codec.ts"
import { CodecError, ENTRY_HEADER_BYTES, EntryBuilder, EntryReader } from "./command-codec.ts"
import { readBody, readClientMessageId, verifyRecord } from "./message-record.ts"

const attributes = {
  maxMsgHeapCount: 100_000_000,
  pollingWaitMs: 0,
  visibilityTimeoutMs: 30_000,
  maxMsgBytes: 65_536,
  msgRetentionMs: 345_600_000,
  rewindMs: 0,
  deadLetterPolicy: undefined,
}

const adminCommands: readonly AdminCommand[] = [
  { kind: "createQueue", queueName: "orders", attributes },
  {
    kind: "createQueue",
    queueName: "o",
    attributes: {
      ...attributes,
      deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 3 },
    },
  },
  { kind: "setQueueAttributes", queueName: "orders", change: {} },
  { kind: "setQueueAttributes", queueName: "orders", change: { rewindMs: 5, deadLetterPolicy: null } },
  {
    kind: "setQueueAttributes",
    queueName: "orders",
    change: { deadLetterPolicy: { kind: "maxTimeToLive", deadLetterQueue: "dead", maxTimeToLiveMs: 300_000 } },
  },
  { kind: "deleteQueue", queueName: "orders" },
  { kind: "clearQueue", queueName: "orders" },
  { kind: "rewindQueue", queueName: "orders", startConsumeAtMs: 1_700_000_000_000 },
  { kind: "unbindDeadLetterQueue", queueName: "dead" },
  {
    kind: "startRedrive",
    queueName: "dead",
    order: {
      targetQueueName: "orders",
      sourceQueueName: "",
      enqueuedFromMs: 5,
      enqueuedUntilMs: Number.MAX_SAFE_INTEGER,
      messagesPerSecond: 1_000,
    },
  },
  { kind: "cancelRedrive", queueName: "dead" },
  { kind: "expire" },
  {
    kind: "createTopic",
    topicName: "news",
    attributes: { maxMsgBytes: 1024, filterType: "bindingKeys", msgRetentionMs: 86_400_000 },
  },
  { kind: "setTopicAttributes", topicName: "news", change: {} },
  { kind: "setTopicAttributes", topicName: "news", change: { maxMsgBytes: 1024, msgRetentionMs: 60_000 } },
  { kind: "deleteTopic", topicName: "news" },
  {
    kind: "subscribe",
    topicName: "news",
    subscriptionName: "s",
    endpoint: { kind: "queue", queueName: "orders" },
    attributes: { notifyStrategy: "backoff", notifyContentFormat: "simplified", filterTags: ["a"], bindingKeys: [] },
  },
  {
    kind: "subscribe",
    topicName: "news",
    subscriptionName: "s",
    endpoint: { kind: "http", url: "http://example.com/a?b=c" },
    attributes: {
      notifyStrategy: "exponentialDecay",
      notifyContentFormat: "json",
      filterTags: [],
      bindingKeys: ["a.*", "#"],
    },
  },
  { kind: "setSubscriptionAttributes", topicName: "news", subscriptionName: "s", change: { filterTags: [] } },
  {
    kind: "setSubscriptionAttributes",
    topicName: "news",
    subscriptionName: "s",
    change: { notifyStrategy: "backoff", notifyContentFormat: "json", bindingKeys: ["x"] },
  },
  { kind: "unsubscribe", topicName: "news", subscriptionName: "s" },
]

function message(body: string, clientMessageId = "", delayMs = 0) {
  return { body: Buffer.from(body), delayMs, clientMessageId, attributes: [] }
}

/** Deep copies, because the reader uses its objects again. */
function readAll(data: Uint8Array): Command[] {
  const reader = new EntryReader()
  reader.open(data)
  const commands: Command[] = []
  for (let command = reader.next(); command !== undefined; command = reader.next()) {
    commands.push(structuredClone(command))
  }
  return commands
}

function build(fill: (builder: EntryBuilder) => void): Uint8Array {
  const builder = new EntryBuilder()
  builder.begin({ setId: 7 })
  fill(builder)
  return builder.finish(1_700_000_000_123)
}

describe("entries", () => {
  test("say set, stamp and number of commands in their heads", () => {
    const data = build((builder) => {
      for (const command of adminCommands) builder.addAdmin(command)
      expect(builder.commandCount).toBe(adminCommands.length)
    })
    const head = new EntryReader().open(data)
    expect(head).toEqual({ setId: 7, stampMs: 1_700_000_000_123, commandCount: adminCommands.length })
  })

  test("bring every administrative command back", () => {
    const data = build((builder) => {
      for (const command of adminCommands) builder.addAdmin(command)
    })
    expect(readAll(data)).toEqual(adminCommands)
  })

  test("an empty one has no commands", () => {
    expect(readAll(build(() => undefined))).toEqual([])
  })

  test("receive, delete and change of visibility keep the extremes of their fields", () => {
    const handles = [
      { slot: 0, deliveryNumber: 1 },
      { slot: 2 ** 24 - 1, deliveryNumber: 2 ** 40 - 1 },
      { slot: 77, deliveryNumber: 2 ** 32 },
    ]
    const data = build((builder) => {
      builder.addReceive({ queueId: 2 ** 32 - 1, maxCount: 16, visibilityTimeoutMs: -1 })
      builder.addReceive({ queueId: 1, maxCount: 256, visibilityTimeoutMs: 43_200_000 })
      builder.addDelete({ queueId: 3, handles })
      builder.addChangeVisibility({ queueId: 4, handles: handles.slice(1), visibilityTimeoutMs: 0 })
    })
    const slots = handles.map(({ slot }) => slot)
    const deliveryNumbers = handles.map(({ deliveryNumber }) => deliveryNumber)
    const [first, second, third, fourth] = readAll(data)
    expect(first).toEqual({ kind: "receiveMessages", queueId: 2 ** 32 - 1, maxCount: 16, visibilityTimeoutMs: -1 })
    expect(second).toMatchObject({ maxCount: 256, visibilityTimeoutMs: 43_200_000 })
    expect(third).toEqual({ kind: "deleteMessages", queueId: 3, count: 3, slots, deliveryNumbers })
    expect(fourth).toMatchObject({ kind: "changeVisibility", queueId: 4, count: 2, visibilityTimeoutMs: 0 })
  })

  test("half messages and decisions keep the extremes of their fields", () => {
    const data = build((builder) => {
      builder.addSend({ queueId: 5, messages: [message("whole")] })
      const halves = { messages: [message("half", "id")], firstQueryIntervalMs: 2 ** 32 - 1, maxQueryCount: 65_535 }
      expect(builder.addPrepare({ queueId: 6, ...halves })).toBe(1)
      builder.addConfirm({
        queueId: 7,
        decisions: [
          { entryIndex: 2 ** 48 - 1, ordinal: 65_535, isCommit: true },
          { entryIndex: 1, ordinal: 0, isCommit: false },
        ],
      })
      builder.addPrepare({ queueId: 8, messages: [], firstQueryIntervalMs: 0, maxQueryCount: 0 })
      builder.addConfirm({ queueId: 9, decisions: [] })
    })
    const [, prepare, confirm, emptyPrepare, emptyConfirm] = readAll(data)
    expect(prepare).toMatchObject({
      kind: "prepareMessages",
      messages: { queueId: 6, count: 1, ordinals: [1], bodyLengths: [4], hasClientId: [true] },
      firstQueryIntervalMs: 2 ** 32 - 1,
      maxQueryCount: 65_535,
    })
    expect(confirm).toEqual({
      kind: "confirmMessages",
      queueId: 7,
      count: 2,
      entryIndexes: [2 ** 48 - 1, 1],
      ordinals: [65_535, 0],
      isCommit: [true, false],
    })
    expect(emptyPrepare).toMatchObject({ messages: { queueId: 8, count: 0 }, firstQueryIntervalMs: 0 })
    expect(emptyConfirm).toMatchObject({ queueId: 9, count: 0 })
  })

  test("messages are numbered through the entry, and each record lies where the command says", () => {
    const data = build((builder) => {
      expect(builder.addSend({ queueId: 1, messages: [message("first", "id-1"), message("", "", 5000)] })).toBe(0)
      expect(builder.addSend({ queueId: 2, messages: [message("third", "x".repeat(36))] })).toBe(2)
      expect(builder.messageCount).toBe(3)
    })
    const [first, second] = readAll(data)
    if (first?.kind !== "sendMessages" || second?.kind !== "sendMessages") throw new Error("two sends")
    expect(first).toMatchObject({ queueId: 1, count: 2, ordinals: [0, 1], delaysMs: [0, 5000], bodyLengths: [5, 0] })
    expect(first.hasClientId).toEqual([true, false])
    expect(first.clientIdWords.slice(4, 8)).toEqual([0, 0, 0, 0])
    expect(second).toMatchObject({ queueId: 2, count: 1 })
    const at = second.recordOffsets[0] ?? 0
    const record = data.subarray(at, at + (second.recordLengths[0] ?? 0))
    expect(verifyRecord(record)).toBe(true)
    expect(Buffer.from(readBody(record)).toString()).toBe("third")
    expect(readClientMessageId(record)).toBe("x".repeat(36))
  })

  test("a builder is used again, and what it gave away stays as it was", () => {
    const builder = new EntryBuilder()
    const entries = Array.from({ length: 3 }, (_, nth) => {
      builder.begin({ setId: 0 })
      // The first one makes the buffer grow several times.
      builder.addSend({ queueId: 1, messages: [message(String(nth).repeat(nth === 0 ? 300_000 : 10))] })
      return builder.finish(nth)
    })
    expect(entries.map((data) => readAll(data)[0])).toMatchObject([
      { bodyLengths: [300_000] },
      { bodyLengths: [10] },
      { bodyLengths: [10] },
    ])
    expect(entries[1]?.length).toBe(ENTRY_HEADER_BYTES + 12 + 4 + 24 + 10)
    const places = entries.map((data) => `${String(data.buffer.byteLength)} ${String(data.byteOffset)}`)
    expect(new Set(places).size, "no two begin at the same place").toBe(3)
  })

  test("a reader hands the same object out again, without what was in it before", () => {
    const reader = new EntryReader()
    reader.open(
      build((builder) => {
        builder.addSend({ queueId: 1, messages: [message("a", "k"), message("b", "l")] })
        builder.addSend({ queueId: 2, messages: [message("c")] })
      }),
    )
    const first = reader.next()
    const second = reader.next()
    expect(second).toBe(first)
    expect(second).toMatchObject({ queueId: 2, count: 1 })
    if (second?.kind === "sendMessages") expect(second.hasClientId[0]).toBe(false)
  })
})

describe("values without a place", () => {
  test.each<[string, (builder: EntryBuilder) => void]>([
    [
      "a queue id above 32 bits",
      (b) => {
        b.addReceive({ queueId: 2 ** 32, maxCount: 1, visibilityTimeoutMs: 0 })
      },
    ],
    [
      "a negative visibility",
      (b) => {
        b.addReceive({ queueId: 1, maxCount: 1, visibilityTimeoutMs: -2 })
      },
    ],
    [
      "a slot of 25 bits",
      (b) => {
        b.addDelete({ queueId: 1, handles: [{ slot: 2 ** 24, deliveryNumber: 1 }] })
      },
    ],
    [
      "a delivery number of 41 bits",
      (b) => {
        b.addChangeVisibility({ queueId: 1, handles: [{ slot: 1, deliveryNumber: 2 ** 40 }], visibilityTimeoutMs: 1 })
      },
    ],
    [
      "a number of queries of 17 bits",
      (b) => {
        b.addPrepare({ queueId: 1, messages: [message("a")], firstQueryIntervalMs: 1, maxQueryCount: 65_536 })
      },
    ],
    [
      "a decision about an ordinal of 17 bits",
      (b) => {
        b.addConfirm({ queueId: 1, decisions: [{ entryIndex: 1, ordinal: 65_536, isCommit: true }] })
      },
    ],
    [
      "a fraction",
      (b) => {
        b.addReceive({ queueId: 1, maxCount: 1.5, visibilityTimeoutMs: 0 })
      },
    ],
    [
      "a client id above 255 bytes",
      (b) => {
        b.addSend({ queueId: 1, messages: [message("a"), message("b", "k".repeat(256))] })
      },
    ],
    [
      "a name without end",
      (b) => {
        b.addAdmin({ kind: "deleteQueue", queueName: "q".repeat(20_000) })
      },
    ],
  ])("%s throws and leaves nothing in the entry", (_, add) => {
    const builder = new EntryBuilder()
    builder.begin({ setId: 0 })
    builder.addAdmin({ kind: "expire" })
    const before = builder.byteLength
    expect(() => {
      add(builder)
    }).toThrow(RangeError)
    expect([builder.byteLength, builder.commandCount]).toEqual([before, 1])
  })
})

describe("malformed bytes", () => {
  const whole = build((builder) => {
    builder.addSend({ queueId: 1, messages: [message("hello", "id"), message("world", "y".repeat(40), 9)] })
    builder.addReceive({ queueId: 1, maxCount: 3, visibilityTimeoutMs: -1 })
    builder.addDelete({ queueId: 1, handles: [{ slot: 1, deliveryNumber: 2 }] })
    builder.addChangeVisibility({ queueId: 1, handles: [{ slot: 1, deliveryNumber: 2 }], visibilityTimeoutMs: 5 })
    builder.addPrepare({ queueId: 1, messages: [message("half")], firstQueryIntervalMs: 5000, maxQueryCount: 3 })
    builder.addConfirm({ queueId: 1, decisions: [{ entryIndex: 7, ordinal: 1, isCommit: true }] })
    for (const command of adminCommands) builder.addAdmin(command)
  })

  test("every entry that is cut short is refused", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => readAll(whole.subarray(0, length)), `cut at ${String(length)}`).toThrow(CodecError)
    }
    expect(() => readAll(Buffer.concat([whole, Buffer.alloc(1)]))).toThrow("left over")
  })

  test("a decision that is neither commit nor roll back is refused", () => {
    const bytes = Buffer.from(
      build((builder) => {
        builder.addConfirm({ queueId: 1, decisions: [{ entryIndex: 7, ordinal: 1, isCommit: false }] })
      }),
    )
    for (const decision of [0, 3, 255]) {
      bytes[bytes.length - 1] = decision
      expect(() => readAll(bytes)).toThrow("a decision that is none")
    }
  })

  test("an unknown version or kind is refused by name", () => {
    const version = Buffer.from(whole)
    version[0] = 2
    expect(() => readAll(version)).toThrow("entry version 2 is unknown")
    const kind = Buffer.from(
      build((builder) => {
        builder.addAdmin({ kind: "expire" })
      }),
    )
    kind[ENTRY_HEADER_BYTES + 4] = 99
    expect(() => readAll(kind)).toThrow("command kind 99 is unknown")
  })

  test.each([1, 2, 3, 4])("changed bytes give commands or a CodecError, nothing else, seed %i", (seed) => {
    const random = createRandom(seed)
    for (let round = 0; round < 1500; round++) {
      const bytes = Buffer.from(whole)
      for (let change = 0; change <= random.nextInt(4); change++) {
        const at = random.nextInt(bytes.length)
        if (random.nextInt(3) === 0 && at + 4 <= bytes.length) bytes.writeUInt32LE(random.nextUint32(), at)
        else bytes[at] = random.nextInt(256)
      }
      expectCodecErrorOrNothing(bytes)
    }
  })

  test.each([5, 6])("random bytes give commands or a CodecError, nothing else, seed %i", (seed) => {
    const random = createRandom(seed)
    for (let round = 0; round < 1500; round++) {
      const bytes = Buffer.from(Array.from({ length: random.nextInt(200) }, () => random.nextInt(256)))
      if (bytes.length > ENTRY_HEADER_BYTES && random.nextInt(4) > 0) {
        bytes[0] = 1
        bytes.writeUInt32LE(1 + random.nextInt(3), 12)
        bytes.writeUInt32LE(random.nextInt(bytes.length), Math.min(16, bytes.length - 4))
      }
      expectCodecErrorOrNothing(bytes)
    }
  })

  test("administrative text of the wrong shape is refused", () => {
    const good = build((builder) => {
      builder.addAdmin({ kind: "rewindQueue", queueName: "q", startConsumeAtMs: 5 })
    })
    const text = (replacement: string) => {
      const bytes = Buffer.from(replacement)
      const data = Buffer.concat([good.subarray(0, ENTRY_HEADER_BYTES + 5), bytes])
      data.writeUInt32LE(bytes.length + 1, ENTRY_HEADER_BYTES)
      return data
    }
    expect(readAll(text(`{"queueName":"q","startConsumeAtMs":5,"new":1}`))).toEqual([
      { kind: "rewindQueue", queueName: "q", startConsumeAtMs: 5 },
    ])
    const wrong = ["", "[]", "null", "{}", `{"queueName":1}`, `{"queueName":"q","startConsumeAtMs":-1}`]
    wrong.push(`{"queueName":"q","startConsumeAtMs":1.5}`, `{"__proto__":{"queueName":"q","startConsumeAtMs":1}}`)
    wrong.push(`{"queueName":"${"q".repeat(300)}","startConsumeAtMs":1}`)
    for (const replacement of wrong) expect(() => readAll(text(replacement)), replacement).toThrow(CodecError)
  })
})

function expectCodecErrorOrNothing(bytes: Uint8Array): void {
  try {
    readAll(bytes)
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError)
  }
}
