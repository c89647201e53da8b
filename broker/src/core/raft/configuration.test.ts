import { expect, test } from "vitest"
import { createRandom } from "../random.ts"
import {
  allMembers,
  allVoters,
  applyConfigurationChanges,
  checkConfiguration,
  isJoint,
  leaveJointConfiguration,
  simpleConfiguration,
} from "./configuration.ts"
import { decodeConfiguration, encodeConfiguration } from "./configuration-codec.ts"
import { ConfigurationHistory } from "./configuration-history.ts"
import type { Configuration, ConfigurationChange } from "./types.ts"

const add = (nodeId: number): ConfigurationChange => ({ kind: "addVoter", nodeId })
const learn = (nodeId: number): ConfigurationChange => ({ kind: "addLearner", nodeId })
const remove = (nodeId: number): ConfigurationChange => ({ kind: "remove", nodeId })

interface Row {
  name: string
  from: Configuration
  changes: ConfigurationChange[]
  to: Partial<Configuration> | string
}

const THREE = simpleConfiguration([1, 2, 3])
const JOINT: Configuration = { voters: [1, 2], votersOutgoing: [1, 3], learners: [], learnersNext: [] }

const ROWS: Row[] = [
  { name: "one voter more", from: THREE, changes: [add(4)], to: { voters: [1, 2, 3, 4] } },
  { name: "one voter less", from: THREE, changes: [remove(3)], to: { voters: [1, 2] } },
  { name: "a learner", from: THREE, changes: [learn(4)], to: { voters: [1, 2, 3], learners: [4] } },
  { name: "two learners", from: THREE, changes: [learn(5), learn(4)], to: { voters: [1, 2, 3], learners: [4, 5] } },
  { name: "promotion", from: simpleConfiguration([1], [2]), changes: [add(2)], to: { voters: [1, 2] } },
  { name: "demotion of one", from: THREE, changes: [learn(3)], to: { voters: [1, 2], learners: [3] } },
  {
    name: "demotion of two is joint",
    from: THREE,
    changes: [learn(2), learn(3)],
    to: { voters: [1], votersOutgoing: [1, 2, 3], learnersNext: [2, 3] },
  },
  {
    name: "an exchange is joint",
    from: THREE,
    changes: [add(4), remove(3)],
    to: { voters: [1, 2, 4], votersOutgoing: [1, 2, 3] },
  },
  {
    name: "two voters more are joint",
    from: simpleConfiguration([1], [9]),
    changes: [add(2), add(3)],
    to: { voters: [1, 2, 3], votersOutgoing: [1], learners: [9] },
  },
  {
    name: "a voter that is there, beside a real change",
    from: THREE,
    changes: [add(1), add(4)],
    to: { voters: [1, 2, 3, 4] },
  },
  { name: "removal of a learner", from: simpleConfiguration([1], [2]), changes: [remove(2)], to: { voters: [1] } },
  { name: "no change", from: THREE, changes: [], to: "nothingToDo" },
  { name: "a voter that is there", from: THREE, changes: [add(1)], to: "nothingToDo" },
  { name: "a learner that is there", from: simpleConfiguration([1], [2]), changes: [learn(2)], to: "nothingToDo" },
  { name: "removal of nobody", from: THREE, changes: [remove(9)], to: "unknownNode" },
  { name: "removal of all", from: THREE, changes: [remove(1), remove(2), remove(3)], to: "noVoters" },
  { name: "demotion of the last", from: simpleConfiguration([1]), changes: [learn(1)], to: "noVoters" },
  { name: "a node twice", from: THREE, changes: [add(4), remove(4)], to: "duplicateNode" },
  { name: "node 0", from: THREE, changes: [add(0)], to: "badNodeId" },
  { name: "half a node", from: THREE, changes: [add(1.5)], to: "badNodeId" },
  { name: "a node id that fits no frame", from: THREE, changes: [add(65_536)], to: "badNodeId" },
  { name: "anything while joint", from: JOINT, changes: [add(4)], to: "alreadyJoint" },
]

test.each(ROWS)("a change: $name", ({ from, changes, to }) => {
  const outcome = applyConfigurationChanges(from, changes)
  if (typeof to === "string") expect(outcome).toEqual({ ok: false, problem: to })
  else {
    const empty = { voters: [], votersOutgoing: [], learners: [], learnersNext: [] }
    expect(outcome).toEqual({ ok: true, configuration: { ...empty, ...to } })
  }
})

test("a set has a bounded number of members", () => {
  const many = Array.from({ length: 70 }, (_, place) => learn(place + 10))
  expect(applyConfigurationChanges(THREE, many)).toEqual({ ok: false, problem: "tooManyMembers" })
})

test("random changes keep every invariant, and joint ones end where they should", () => {
  const random = createRandom(5)
  let configuration = simpleConfiguration([1, 2, 3])
  let jointCount = 0
  for (let round = 0; round < 3000; round++) {
    const changes = Array.from({ length: 1 + random.nextInt(3) }, () => {
      return [add, learn, remove][random.nextInt(3)]?.(1 + random.nextInt(7)) ?? add(1)
    })
    const outcome = applyConfigurationChanges(configuration, changes)
    if (!outcome.ok) continue
    const next = outcome.configuration
    checkConfiguration(next)
    expect(decodeConfiguration(encodeConfiguration(next))).toEqual(next)
    for (const member of allVoters(configuration)) {
      const isRemoved = changes.some((change) => change.kind === "remove" && change.nodeId === member)
      expect(allMembers(next).includes(member) || isRemoved).toBe(true)
    }
    if (isJoint(next)) jointCount++
    configuration = isJoint(next) ? leaveJointConfiguration(next) : next
    checkConfiguration(configuration)
  }
  expect(jointCount).toBeGreaterThan(100)
})

test("the bytes of a configuration are these, for all time", () => {
  const configuration = { voters: [1, 300], votersOutgoing: [1, 2], learners: [4], learnersNext: [2] }
  expect([...encodeConfiguration(configuration)]).toEqual([1, 2, 0, 1, 1, 44, 2, 0, 1, 0, 2, 1, 0, 4, 1, 0, 2])
  expect([...encodeConfiguration(simpleConfiguration([1, 2, 3]))]).toEqual([1, 3, 0, 1, 0, 2, 0, 3, 0, 0, 0])
})

test("bytes that are not a configuration are a bug", () => {
  const good = encodeConfiguration(THREE)
  expect(() => decodeConfiguration(new Uint8Array(0))).toThrow("format")
  expect(() => decodeConfiguration(Uint8Array.from([2, ...good.slice(1)]))).toThrow("format")
  expect(() => decodeConfiguration(good.slice(0, -1))).toThrow("whole")
  expect(() => decodeConfiguration(Uint8Array.from([...good, 0]))).toThrow("nothing follows")
})

test("the history: in force is the last, truncation brings back the one before, compaction forgets", () => {
  const history = new ConfigurationHistory({ index: 0, configuration: THREE }, [])
  history.append({ index: 5, configuration: simpleConfiguration([1, 2]) })
  history.append({ index: 9, configuration: simpleConfiguration([1]) })
  expect(history.latest.index).toBe(9)
  expect([4, 5, 8, 9, 20].map((index) => history.at(index).index)).toEqual([0, 5, 5, 9, 9])
  history.truncate(8)
  expect(history.latest).toEqual({ index: 5, configuration: simpleConfiguration([1, 2]) })
  history.compact(7)
  expect(history.previous).toBeUndefined()
  expect(() => history.at(4)).toThrow("below the base")
  history.truncate(0)
  expect(history.latest.index).toBe(5)
})
