/** Every decoder against bad inputs. A failure prints the seed and the input in hex: docs/fuzzing.md says how to go on. */
import { randomInt } from "node:crypto"
import { describe, expect, test } from "vitest"
import { allTargets } from "./all-targets.ts"
import { fuzz, inputOf } from "./fuzz-run.ts"
import { demand, refusesWith } from "./fuzz-target.ts"
import type { FuzzTarget } from "./fuzz-target.ts"
import { INPUTS_PER_BLOCK, Mutator } from "./mutator.ts"

const INPUTS = 200_000
/** Of every run but those of decoders that are too slow for all inputs: they go on elsewhere each time. */
const SEED = 1
const SEED_MAX = 2 ** 32 - 1

const targets = await allTargets()

describe("no input makes a decoder throw what it should not, ask for too much memory, or run for ever", () => {
  test.each(targets.map((target) => ({ name: target.name, target })))("$name", ({ target }) => {
    const seed = target.inputsInTest === undefined ? SEED : randomInt(SEED_MAX)
    const report = fuzz(target, { seed, inputs: target.inputsInTest ?? INPUTS })
    expect(report).toMatchObject({ violation: undefined })
    // An input that is never taken, or always, tests one half of a decoder only.
    expect(report.valid).toBeGreaterThan(0)
    expect(report.refused).toBeGreaterThan(0)
  })

  test("the inputs that others start from are valid", () => {
    const refused = targets.filter(({ seeds, run }) => !seeds.some((seed) => run(Buffer.from(seed)) === "valid"))
    expect(refused.map(({ name }) => name)).toEqual([])
  })
})

class Refused extends Error {}

const planted: FuzzTarget = {
  name: "planted",
  seeds: [Uint8Array.of(4, 0, 1, 2, 3, 4), Uint8Array.of(1, 0, 9)],
  allocationBytesMax: 64,
  run: (input) =>
    refusesWith(Refused, () => {
      if (input.length < 2 || input.readUInt16LE(0) > input.length - 2) throw new Refused()
    }),
}

describe("a planted bug is found, and found again by its number", () => {
  test.each([
    {
      what: "reads beyond the end",
      rule: "error",
      run: (input: Buffer) => refusesWith(Refused, () => void input.readUInt16LE(0)),
    },
    {
      what: "believes a length before it allocates",
      rule: "allocation",
      run: (input: Buffer) =>
        refusesWith(Refused, () => void (input.length >= 2 && Buffer.alloc(input.readUInt16LE(0)))),
    },
    {
      what: "believes a count before it makes a column",
      rule: "allocation",
      run: (input: Buffer) =>
        refusesWith(Refused, () => void (input.length >= 2 && new Float64Array(input.readUInt16LE(0)))),
    },
    {
      what: "says something that is in no table",
      rule: "result",
      run: (input: Buffer) =>
        refusesWith(Refused, () => {
          demand(input[0] !== 0xff, "no such answer")
        }),
    },
    {
      what: "does not move on",
      rule: "hang",
      run: (input: Buffer) => {
        for (let at = 0; at < input.length; at += input[at] ?? 1);
        return "valid" as const
      },
    },
  ])("that $what", ({ rule, run }) => {
    const target = { ...planted, run }
    const { violation } = fuzz(target, { seed: 3, inputs: 20_000, hangMs: 200 })
    expect(violation).toMatchObject({ rule })
    expect(inputOf(target, 3, violation?.number ?? 0).toString("hex")).toBe(violation?.inputHex)
  })

  test("and a decoder without one passes", () => {
    expect(fuzz(planted, { seed: 3, inputs: 20_000 })).toMatchObject({ inputs: 20_000, violation: undefined })
  })
})

describe("inputs", () => {
  test("follow from the seed and their number alone", () => {
    const inOrder = new Mutator(planted.seeds, 5)
    const list = Array.from({ length: INPUTS_PER_BLOCK + 5 }, (_, number) => inOrder.input(number).toString("hex"))
    const places = [INPUTS_PER_BLOCK + 4, 7, 900, 3]
    expect(places.map((number) => new Mutator(planted.seeds, 5).input(number).toString("hex"))).toEqual(
      places.map((number) => list[number]),
    )
    expect(new Mutator(planted.seeds, 6).input(7).toString("hex")).not.toBe(list[7])
  })

  test("are the valid ones too, longer ones and shorter ones", () => {
    const mutator = new Mutator(planted.seeds, 5)
    const list = Array.from({ length: 2_000 }, (_, number) => Buffer.from(mutator.input(number)))
    expect(list.some((input) => input.equals(planted.seeds[0] ?? input))).toBe(true)
    expect(list.some((input) => input.length === 0)).toBe(true)
    expect(list.some((input) => input.length > 100)).toBe(true)
  })
})
