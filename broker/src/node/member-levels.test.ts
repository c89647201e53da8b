import { expect, test } from "vitest"
import { encodePeerFrame, joinParts } from "../codec/peer-codec.ts"
import { encodeValue } from "../codec/value-codec.ts"
import { MemberLevels, OWN_LEVEL, TOPIC_LEVEL } from "./member-levels.ts"
import { PeerLink } from "./peer-link.ts"
import type { PeerLinkUser } from "./peer-link.ts"
import { TopicService } from "./topic-service.ts"

const MEMBERS = [1, 2, 3]

test("a level is reached when every other member has said so", () => {
  const levels = new MemberLevels()
  expect(levels.haveReached(TOPIC_LEVEL, [1], 1)).toBe(true)
  levels.said(2, TOPIC_LEVEL)
  expect(levels.haveReached(TOPIC_LEVEL, MEMBERS, 1)).toBe(false)
  levels.said(3, TOPIC_LEVEL - 1)
  expect(levels.haveReached(TOPIC_LEVEL, MEMBERS, 1)).toBe(false)
  levels.said(3, TOPIC_LEVEL + 5)
  expect(levels.haveReached(TOPIC_LEVEL, MEMBERS, 1)).toBe(true)
  // Put back to an older version.
  levels.said(2, TOPIC_LEVEL - 1)
  expect(levels.haveReached(TOPIC_LEVEL, MEMBERS, 1)).toBe(false)
})

test("a hello tells the level of who sends it; an older one names none, or nonsense", () => {
  const frames: Uint8Array[] = []
  const user = { helloReceived: () => undefined } as unknown as PeerLinkUser
  const transport = {
    send: (_peer: number, parts: readonly Uint8Array[]) => frames.push(joinParts(parts)) > 0,
    connected: () => true,
  }
  const link = new PeerLink({ setId: 0, user, logger: {} as never, transport: () => transport })
  link.sendHello(2, { httpAddress: "", lastIndex: 0, commitIndex: 0 })
  link.receive(2, frames[0] ?? new Uint8Array(0))
  expect(link.levels.haveReached(OWN_LEVEL, [1, 2], 1)).toBe(true)
  for (const level of [undefined, "9", Number.NaN]) {
    const value = encodeValue({ httpAddress: "", lastIndex: 0, commitIndex: 0, level })
    const parts = encodePeerFrame({
      kind: "forwardRequest",
      setId: 0,
      requestId: 0,
      timeoutMs: 0,
      useCase: "hello",
      value,
    })
    link.receive(2, joinParts(parts))
    expect(link.levels.haveReached(1, [1, 2], 1)).toBe(true)
    expect(link.levels.haveReached(TOPIC_LEVEL, [1, 2], 1)).toBe(false)
  }
})

test.each([
  { members: "one has said less", topicCount: 0, isReached: false, answer: "memberTooOld" },
  { members: "all can read it", topicCount: 0, isReached: true, answer: "proposed" },
  { members: "one is away, and a topic exists already", topicCount: 1, isReached: false, answer: "proposed" },
])("the first topic while $members: $answer", ({ topicCount, isReached, answer }) => {
  const answers: string[] = []
  const access = {
    machine: { listTopics: () => ({ totalCount: topicCount, topics: [] }) },
    change: () => answers.push("proposed"),
  }
  const { handlers } = new TopicService({
    access: access as never,
    metrics: { messagesPublished: () => undefined },
    sendRefusal: () => undefined,
    pushTransport: {},
    hasReached: (level) => level < TOPIC_LEVEL || isReached,
  })
  const attributes = { maxMsgBytes: 1_024, msgRetentionMs: 60_000, filterType: "tags" } as const
  const done = (reply: { readonly ok: boolean; readonly error?: string }): boolean =>
    answers.push(reply.error ?? "ok") > 0
  handlers.createTopic({ topicName: "news", attributes }, { done } as never)
  expect(answers).toEqual([answer])
})
