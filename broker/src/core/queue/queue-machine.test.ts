// What the transcripts do not tell: hostile input, bounds of structures, records, and what the node asks of the machine.
import { describe, expect, test } from "vitest"
import { MachineDriver, plainAttributes } from "../../../test/transcripts/queue/machine-driver.ts"
import { createRandom } from "../random.ts"
import type { Command } from "./command.ts"
import { defaultMachineLimits } from "./machine-limits.ts"
import { emptyOutcome, QueueMachine } from "./queue-machine.ts"

const nasty = [
  NaN,
  -1,
  0,
  1,
  1.5,
  3,
  24,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -Infinity,
  Infinity,
  undefined as unknown as number,
]

describe("apply is total", () => {
  test.each([1, 2, 3])("any numbers in any command are refused or made harmless, seed %i", (seed) => {
    const random = createRandom(seed)
    const number = () => nasty[random.nextInt(nasty.length)] as number
    const list = () => Array.from({ length: random.nextInt(6) }, number)
    const machine = new QueueMachine(defaultMachineLimits)
    const outcome = emptyOutcome()
    const numbers = () => ({
      maxMsgHeapCount: number(),
      pollingWaitMs: number(),
      visibilityTimeoutMs: number(),
      maxMsgBytes: number(),
      msgRetentionMs: number(),
      rewindMs: number(),
    })
    const policy = () => ({ kind: "maxTimeToLive" as const, deadLetterQueue: "dead", maxTimeToLiveMs: number() })
    const maybePolicy = () => (random.nextInt(2) === 0 ? undefined : policy())
    const queueName = () => ["dead", "orders", "x"][random.nextInt(3)] as string
    const commands: (() => Command)[] = [
      () => ({
        kind: "createQueue",
        queueName: queueName(),
        attributes: { ...numbers(), deadLetterPolicy: maybePolicy() },
      }),
      () => ({
        kind: "setQueueAttributes",
        queueName: queueName(),
        change: { ...numbers(), deadLetterPolicy: policy() },
      }),
      () => ({ kind: "rewindQueue", queueName: queueName(), startConsumeAtMs: number() }),
      () => ({ kind: "clearQueue", queueName: queueName() }),
      () => ({
        kind: "startRedrive",
        queueName: queueName(),
        order: {
          targetQueueName: random.nextInt(2) === 0 ? "" : queueName(),
          sourceQueueName: random.nextInt(2) === 0 ? "" : queueName(),
          enqueuedFromMs: number(),
          enqueuedUntilMs: number(),
          messagesPerSecond: number(),
        },
      }),
      () => ({ kind: "cancelRedrive", queueName: queueName() }),
      () => ({ kind: "receiveMessages", queueId: number(), maxCount: number(), visibilityTimeoutMs: number() }),
      () => ({ kind: "deleteMessages", queueId: 1, count: number() % 9, slots: list(), deliveryNumbers: list() }),
      () => ({
        kind: "changeVisibility",
        queueId: 2,
        count: number() % 9,
        slots: list(),
        deliveryNumbers: list(),
        visibilityTimeoutMs: number(),
      }),
      () => ({
        kind: "sendMessages",
        queueId: 1 + random.nextInt(2),
        count: number() % 99,
        recordOffsets: list(),
        recordLengths: list(),
        bodyLengths: list(),
        ordinals: list(),
        delaysMs: list(),
        clientIdWords: list(),
        hasClientId: [true, false, true],
      }),
    ]
    for (let index = 1; index < 4000; index++) {
      machine.beginEntry(index, number())
      machine.apply((commands[random.nextInt(commands.length)] as () => Command)(), outcome)
    }
    const restored = new QueueMachine(defaultMachineLimits)
    machine.collectAll((key, value) => {
      if (value !== undefined) restored.restore(key, value)
    })
    restored.finishRestore()
    expect(restored.stateHash()).toBe(machine.stateHash())
  })

  test("entries are applied in order, once", () => {
    const machine = new QueueMachine(defaultMachineLimits)
    machine.beginEntry(5, 1)
    expect(() => {
      machine.beginEntry(5, 1)
    }).toThrow("in order")
  })
})

describe("delivery numbers", () => {
  test("rise by one with each delivery of the whole machine", () => {
    const driver = new MachineDriver()
    driver.create("a")
    driver.create("b")
    driver.send("a", ["1", "2"])
    driver.send("b", ["3"])
    const numbers = [...driver.receive("a"), ...driver.receive("b"), ...driver.receive("a")]
    expect(numbers.map(({ deliveryNumber }) => deliveryNumber)).toEqual([1, 2, 3])
  })
})

describe("wakened queues", () => {
  test("are those that got active messages: sent, returned, delayed no more, rewound, dead letters", () => {
    const driver = new MachineDriver()
    driver.create("dead")
    driver.create("orders", {
      rewindMs: 60_000,
      deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 1 },
    })
    expect(driver.machine.takeWakened()).toEqual([])
    driver.send("orders", ["a"])
    expect(driver.machine.takeWakened()).toEqual([2])
    expect(driver.machine.takeWakened()).toEqual([])
    driver.send("orders", ["b"], { delayMs: 1000 })
    expect(driver.machine.takeWakened()).toEqual([])
    driver.advance(1000)
    expect(driver.machine.takeWakened()).toEqual([2])
    const received = driver.receive("orders", 2)
    driver.delete("orders", received.slice(0, 1))
    expect(driver.machine.takeWakened()).toEqual([])
    const startConsumeAtMs = driver.nowMs - 1000
    driver.run((builder) => {
      builder.addAdmin({ kind: "rewindQueue", queueName: "orders", startConsumeAtMs })
    })
    expect(driver.machine.takeWakened()).toEqual([2])
    driver.advance(30_000)
    expect(driver.machine.takeWakened()).toEqual([1])
  })

  test("a queue that was full of messages in work is among them when there is room again", () => {
    const driver = new MachineDriver({ limits: { inflightPerQueue: 1 } })
    driver.create("orders")
    driver.send("orders", ["a", "b"])
    const received = driver.receive("orders")
    driver.machine.takeWakened()
    expect(
      driver.run((builder) => {
        builder.addReceive({ queueId: 1, maxCount: 1, visibilityTimeoutMs: -1 })
      }).refusal,
    ).toBe("tooManyUnacked")
    driver.delete("orders", received)
    expect(driver.machine.takeWakened()).toEqual([1])
  })

  test("a deleted queue is not among them", () => {
    const driver = new MachineDriver()
    driver.create("orders")
    driver.send("orders", ["a"])
    driver.run((builder) => {
      builder.addAdmin({ kind: "deleteQueue", queueName: "orders" })
    })
    expect(driver.machine.takeWakened()).toEqual([])
  })
})

describe("log cleaning", () => {
  test("knows which entries still hold something, dead letters and rewindable messages included", () => {
    const driver = new MachineDriver()
    driver.create("dead")
    driver.create("orders", {
      rewindMs: 60_000,
      deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 1 },
    })
    expect(driver.machine.oldestLiveIndex()).toBeUndefined()
    for (const body of ["moved", "kept", "waiting"]) driver.send("orders", [body])
    const [, kept] = driver.receive("orders", 2)
    driver.delete("orders", kept === undefined ? [] : [kept])
    driver.advance(30_000)
    const live: number[] = []
    driver.machine.visitLive({ fromIndex: 1, toIndex: 100 }, (index) => live.push(index))
    expect(live.sort()).toEqual([3, 4, 5])
    driver.delete("dead", driver.receive("dead"))
    expect(driver.machine.oldestLiveIndex()).toBe(4)
    driver.advance(30_000)
    expect(driver.machine.oldestLiveIndex()).toBe(5)
  })
})

describe("records", () => {
  test("what changes costs what changed", () => {
    const driver = new MachineDriver()
    for (let queue = 0; queue < 50; queue++) driver.create(`q${String(queue)}`)
    for (let queue = 0; queue < 50; queue++) driver.send(`q${String(queue)}`, ["a", "b"])
    expect(collect(driver.machine).changed.length).toBe(1 + 50 + 50)
    driver.delete("q7", driver.receive("q7"))
    // Meta, the queue, its chunk; the page of the slot that came and went is gone again.
    expect(
      collect(driver.machine)
        .changed.map((key) => key[0])
        .sort(),
    ).toEqual([0, 1, 2])
    expect(collect(driver.machine).changed.map((key) => key[0])).toEqual([0])
  })

  test("a queue and its messages leave no record behind", () => {
    const driver = new MachineDriver({ limits: { queueNameReuseMs: 0 } })
    driver.create("orders")
    driver.send("orders", ["a"], { clientMessageId: "x" })
    collect(driver.machine)
    driver.run((builder) => {
      builder.addAdmin({ kind: "deleteQueue", queueName: "orders" })
    })
    const { removed } = collect(driver.machine)
    expect(removed.map((key) => key[0]).sort()).toEqual([1, 2])
    driver.advance(300_000)
    driver.create("other")
    const kinds = new Set<number | undefined>()
    driver.machine.collectAll((key) => kinds.add(key[0]))
    // The page of client ids stays until it is full; the ids in it are expired.
    expect([...kinds].sort()).toEqual([0, 1, 4])
    expect(driver.machine.deduplicationCount).toBe(0)
  })

  test("keys sort by kind, then by number", () => {
    const driver = new MachineDriver()
    for (let queue = 0; queue < 300; queue++) driver.create(`q${String(queue)}`)
    driver.send("q299", ["a"], { clientMessageId: "x" })
    const ids: string[] = []
    driver.machine.collectAll((key) => ids.push(Buffer.from(key).toString("hex")))
    expect([...ids].sort()).toEqual(ids)
  })

  // Bytes of the meta record: version, then f64 each: 4 = first free slot, 5 = slots, 6 and 7 = ring of client ids.
  test.each([
    { what: "slots that no page has", field: 5, value: 2 ** 24 },
    { what: "half a slot", field: 5, value: 0.5 },
    { what: "a free slot that was never used", field: 4, value: 7 },
    { what: "client ids that no page has", field: 7, value: 2 ** 40 },
    { what: "a ring that begins before it begins", field: 6, value: -1 },
    { what: "a ring without an end", field: 7, value: Number.NaN },
  ])("a meta record that speaks of $what is refused before anything is made as large", ({ field, value }) => {
    const driver = new MachineDriver()
    driver.create("orders")
    driver.send("orders", ["a"], { clientMessageId: "x" })
    driver.receive("orders")
    const records: [Uint8Array, Uint8Array][] = []
    driver.machine.collectAll((key, bytes) => {
      if (bytes !== undefined) records.push([key, bytes])
    })
    const meta = records[0]?.[1].slice() ?? new Uint8Array(0)
    new DataView(meta.buffer).setFloat64(1 + field * 8, value, true)
    expect(() => {
      restoreWith(records, { index: 0, value: meta })
    }).toThrow(/^corrupt checkpoint/)
  })

  test("corrupt records are refused, whatever is cut off or changed in their heads", () => {
    const driver = new MachineDriver()
    driver.create("orders")
    driver.send("orders", ["a"], { clientMessageId: "x" })
    driver.receive("orders")
    const records: [Uint8Array, Uint8Array][] = []
    driver.machine.collectAll((key, value) => {
      if (value !== undefined) records.push([key, value])
    })
    for (const [index, [, value]] of records.entries()) {
      const shorter = value.slice(0, -1)
      const otherVersion = value.slice()
      otherVersion[0] = 99
      for (const bad of [shorter, otherVersion, new Uint8Array(0)]) {
        expect(
          () => {
            restoreWith(records, { index, value: bad })
          },
          `record ${String(index)}`,
        ).toThrow(RangeError)
      }
    }
    // Meta, queue, slots, client ids.
    for (const missing of [0, 1, 3, 4]) {
      expect(() => {
        restoreWith(records.filter((_, index) => index !== missing))
      }).toThrow()
    }
    expect(() => {
      new QueueMachine(defaultMachineLimits).restore(Uint8Array.of(77), new Uint8Array(1))
    }).toThrow("unknown kind")
  })
})

describe("structures shrink", () => {
  test("a burst of touched messages leaves nothing behind", () => {
    const driver = new MachineDriver()
    driver.create("orders")
    driver.send(
      "orders",
      Array.from({ length: 5000 }, () => "x"),
    )
    const received = Array.from({ length: 20 }, () => driver.receive("orders", 256)).flat()
    expect(received.length).toBe(5000)
    expect(driver.machine.touchedCount).toBe(5000)
    collect(driver.machine)
    driver.delete("orders", received)
    expect(driver.machine.touchedCount).toBe(0)
    const { removed } = collect(driver.machine)
    expect(removed.filter((key) => key[0] === 3).length).toBe(20)
    const kinds: (number | undefined)[] = []
    driver.machine.collectAll((key) => kinds.push(key[0]))
    expect(kinds).toEqual([0, 1])
  })

  test("a chunk takes messages for at most 2^32 ms", () => {
    const driver = new MachineDriver()
    driver.create("slow", { msgRetentionMs: 10 * 2 ** 32 })
    driver.send("slow", ["a"])
    driver.nowMs += 2 ** 32
    driver.send("slow", ["b"])
    const peeked = driver.machine.peek({ queueId: 1, fromSequence: 0, maxCount: 9 })
    expect(peeked?.enqueuedAtMs).toEqual([driver.nowMs - 2 ** 32, driver.nowMs])
  })

  test("a chunk takes messages of entries at most 2^31 apart, either way", () => {
    const driver = new MachineDriver()
    driver.create("dead")
    const deadLetterPolicy = { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 1 } as const
    driver.create("orders", { deadLetterPolicy, visibilityTimeoutMs: 1000 })
    driver.send("orders", ["old"])
    const [oldEntry] = entriesOf(driver.machine, 2)
    driver.receive("orders")
    driver.skipTo(2 ** 31 + 10)
    driver.send("dead", ["first"])
    driver.advance(1000)
    driver.receive("orders")
    driver.skipTo(2 ** 32 + 9)
    driver.send("dead", ["far", "as far"])
    driver.skipTo(2 ** 32 + 10)
    driver.send("dead", ["too far"])
    const held = [2 ** 31 + 10, oldEntry, 2 ** 32 + 9, 2 ** 32 + 9, 2 ** 32 + 10]
    expect(entriesOf(driver.machine, 1)).toEqual(held)
    const hash = driver.machine.stateHash()
    driver.restart()
    expect(entriesOf(driver.machine, 1)).toEqual(held)
    expect(driver.machine.stateHash()).toBe(hash)
  })
})

test("attributes of a created queue are told back", () => {
  const driver = new MachineDriver()
  driver.create("orders", { rewindMs: 1000 })
  const status = driver.machine.queueStatus(1)
  expect(status?.attributes).toEqual({ ...plainAttributes, rewindMs: 1000 })
  expect([status?.createdAtMs, status?.modifiedAtMs]).toEqual([driver.nowMs, driver.nowMs])
  expect(driver.machine.queueStatus(2)).toBeUndefined()
  expect(driver.machine.queueName(1)).toBe("orders")
})

function entriesOf(machine: QueueMachine, queueId: number): readonly number[] {
  return machine.peek({ queueId, fromSequence: 0, maxCount: 99 })?.entryIndexes ?? []
}

function collect(machine: QueueMachine): { changed: Uint8Array[]; removed: Uint8Array[] } {
  const changed: Uint8Array[] = []
  const removed: Uint8Array[] = []
  machine.collectDirty((key, value) => (value === undefined ? removed : changed).push(key))
  return { changed, removed }
}

function restoreWith(
  records: readonly (readonly [Uint8Array, Uint8Array])[],
  bad?: { readonly index: number; readonly value: Uint8Array },
): void {
  const machine = new QueueMachine(defaultMachineLimits)
  records.forEach(([key, value], index) => {
    machine.restore(key, bad?.index === index ? bad.value : value)
  })
  machine.finishRestore()
}
