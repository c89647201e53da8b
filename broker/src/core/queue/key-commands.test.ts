import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { MachineDriver } from "../../../test/transcripts/queue/machine-driver.ts"
import type { CreateKey, RevokeKey, RotateKey } from "./command.ts"

const SOME = { permissions: ["send:queue:*"], sealedSecret: "sealed" }

function run(driver: MachineDriver, command: CreateKey | RotateKey | RevokeKey): string | undefined {
  driver.run((builder) => {
    builder.addAdmin(command)
  })
  return driver.outcome.refusal
}

function create(driver: MachineDriver, secretId: string, accountName: string): string | undefined {
  return run(driver, { kind: "createKey", secretId, accountName, ...SOME })
}

function listed(driver: MachineDriver, searchWord = ""): string[] {
  const { page } = driver.machine.listKeys({ searchWord, offset: 0, limit: 100 })
  return page.map(({ accountName, secretId }) => `${accountName}/${secretId}`)
}

describe("key pairs", () => {
  test("an account has two at most, a rotated one may do the same, and a revoked one is gone", () => {
    const driver = new MachineDriver()
    expect(create(driver, "A1", "shop")).toBeUndefined()
    expect(run(driver, { kind: "rotateKey", secretId: "A1", newSecretId: "A2", sealedSecret: "s2" })).toBeUndefined()
    expect(driver.machine.findKey("A2")).toMatchObject({ ...SOME, accountName: "shop", sealedSecret: "s2" })
    expect(create(driver, "A3", "shop")).toBe("accountKeyLimitReached")
    expect(run(driver, { kind: "rotateKey", secretId: "A2", newSecretId: "A3", sealedSecret: "" })).toBe(
      "accountKeyLimitReached",
    )
    expect(run(driver, { kind: "revokeKey", secretId: "A1" })).toBeUndefined()
    expect(driver.machine.findKey("A1")).toBeUndefined()
    expect(run(driver, { kind: "revokeKey", secretId: "A1" })).toBe("keyNotFound")
    expect(run(driver, { kind: "rotateKey", secretId: "A1", newSecretId: "A3", sealedSecret: "" })).toBe("keyNotFound")
    expect(create(driver, "A3", "shop")).toBeUndefined()
  })

  test("a SecretId stands for one key, and the set has room for so many", () => {
    const driver = new MachineDriver({ limits: { keyCount: 2 } })
    create(driver, "A1", "shop")
    expect(create(driver, "A1", "other")).toBe("keyAlreadyExists")
    expect(run(driver, { kind: "rotateKey", secretId: "A1", newSecretId: "A1", sealedSecret: "" })).toBe(
      "keyAlreadyExists",
    )
    create(driver, "B1", "bank")
    expect(create(driver, "C1", "third")).toBe("keyLimitReached")
    expect(listed(driver)).toEqual(["bank/B1", "shop/A1"])
    expect(listed(driver, "sho")).toEqual(["shop/A1"])
  })
})

/** The same in a few lines: account by SecretId, in a map. */
function modelOutcome(model: Map<string, string>, command: CreateKey | RotateKey | RevokeKey): string | undefined {
  const account = model.get(command.secretId)
  if (command.kind === "revokeKey") return model.delete(command.secretId) ? undefined : "keyNotFound"
  if (command.kind === "rotateKey" && account === undefined) return "keyNotFound"
  const [name, id] =
    command.kind === "createKey" ? [command.accountName, command.secretId] : [account ?? "", command.newSecretId]
  if (model.has(id)) return "keyAlreadyExists"
  if (model.size >= 4) return "keyLimitReached"
  if ([...model.values()].filter((each) => each === name).length >= 2) return "accountKeyLimitReached"
  model.set(id, name)
  return undefined
}

test("against a model, with restarts from whole states and from what changed", () => {
  const secretId = fc.constantFrom("A", "B", "C", "D", "E", "F")
  const account = fc.constantFrom("shop", "bank", "post")
  const command = fc.oneof(
    fc.record({ kind: fc.constant("createKey" as const), secretId, accountName: account }).map((each) => ({
      ...each,
      ...SOME,
    })),
    fc.record({
      kind: fc.constant("rotateKey" as const),
      secretId,
      newSecretId: secretId,
      sealedSecret: fc.string({ maxLength: 9 }),
    }),
    fc.record({ kind: fc.constant("revokeKey" as const), secretId }),
  )
  const step = fc.oneof({ weight: 8, arbitrary: command }, fc.constantFrom("restart" as const, "checkpoint" as const))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const driver = new MachineDriver({ limits: { keyCount: 4 } })
      const model = new Map<string, string>()
      const stored = new Map<string, readonly [Uint8Array, Uint8Array]>()
      const checkpoint = (): void => {
        driver.machine.collectDirty((key, value) => {
          if (value === undefined) stored.delete(String(key))
          else stored.set(String(key), [key, value])
        })
      }
      checkpoint()
      for (const each of steps) {
        if (each === "restart") {
          checkpoint()
          const hash = driver.machine.stateHash()
          driver.restart(stored.values())
          expect(driver.machine.stateHash()).toBe(hash)
        } else if (each === "checkpoint") checkpoint()
        else expect(run(driver, each)).toBe(modelOutcome(model, each))
        const expected = [...model].map(([id, name]) => `${name}/${id}`).sort()
        expect(listed(driver)).toEqual(expected)
      }
    }),
    { numRuns: 100 },
  )
})
