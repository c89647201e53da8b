import { expect, test } from "vitest"
import fc from "fast-check"
import { DeadlineList } from "./deadline-list.ts"

test("gives what a sorted list would give, whatever is added and removed", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), at: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ kind: fc.constant("remove" as const), at: fc.nat(100) }),
    fc.record({ kind: fc.constant("take" as const), at: fc.integer({ min: 0, max: 50 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const list = new DeadlineList<{ readonly at: number }>()
      let model: { readonly at: number }[] = []
      for (const { kind, at } of steps) {
        if (kind === "add") {
          const item = { at }
          list.add(at, item)
          model.push(item)
        } else if (kind === "remove") {
          const item = model[at % Math.max(1, model.length)]
          if (item !== undefined) list.remove(item)
          model = model.filter((each) => each !== item)
        } else {
          const due = Math.min(...model.map((each) => each.at))
          const taken = list.takeDue(at)
          expect(taken?.at).toBe(due <= at ? due : undefined)
          model = model.filter((each) => each !== taken)
        }
        expect(list.count).toBe(model.length)
      }
      expect(list.earliestMs()).toBe(model.length === 0 ? undefined : Math.min(...model.map((each) => each.at)))
    }),
  )
})
