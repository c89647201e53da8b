import { randomBytes } from "node:crypto"
import { expect, test } from "vitest"
import { MasterKeyVault } from "./master-key-vault.ts"

const MASTER_KEY = randomBytes(32).toString("base64")

test("a minted key opens again with the same master key, and shows its secret to nobody else", () => {
  const vault = new MasterKeyVault(MASTER_KEY)
  const { secretId, secretKey, sealedSecret } = vault.mint()
  expect(secretId).toMatch(/^AKID[A-Za-z0-9]{32}$/)
  expect(Buffer.from(secretKey, "base64url")).toHaveLength(32)
  expect(new MasterKeyVault(MASTER_KEY).open(secretId, sealedSecret)).toBe(secretKey)
  expect(sealedSecret).not.toContain(secretKey)
  expect(sealedSecret).not.toContain(Buffer.from(secretKey).toString("base64").slice(0, 20))
  expect(new MasterKeyVault(randomBytes(32).toString("base64")).open(secretId, sealedSecret)).toBeUndefined()
})

test("no two keys are alike, nor are two seals", () => {
  const vault = new MasterKeyVault(MASTER_KEY)
  const keys = Array.from({ length: 50 }, () => vault.mint())
  for (const field of ["secretId", "secretKey", "sealedSecret"] as const) {
    expect(new Set(keys.map((key) => key[field])).size).toBe(50)
  }
})

test("a sealed secret belongs to its SecretId, and a changed one opens to nothing", () => {
  const vault = new MasterKeyVault(MASTER_KEY)
  const [one, other] = [vault.mint(), vault.mint()]
  expect(vault.open(one.secretId, other.sealedSecret)).toBeUndefined()
  const [version, fingerprint, text = ""] = one.sealedSecret.split(".")
  const bytes = Buffer.from(text, "base64")
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    const sealed = [version, fingerprint, changed.toString("base64")].join(".")
    expect(vault.open(one.secretId, sealed), `byte ${String(at)}`).toBeUndefined()
  }
  for (const wrong of [
    "",
    "1",
    "1.",
    `1.${vault.fingerprint}.`,
    `1.${vault.fingerprint}.AAAA`,
    `2${one.sealedSecret}`,
  ]) {
    expect(vault.open(one.secretId, wrong), wrong).toBeUndefined()
  }
})

test("each account has a handle key of its own, the same on every node", () => {
  const [here, there] = [new MasterKeyVault(MASTER_KEY), new MasterKeyVault(MASTER_KEY)]
  expect(here.handleKeyOf("shop")).toEqual(there.handleKeyOf("shop"))
  expect(here.handleKeyOf("shop")).not.toEqual(here.handleKeyOf("bank"))
  expect(here.fingerprint).toMatch(/^[0-9a-f]{8}$/)
})

test("a master key has 32 bytes", () => {
  expect(() => new MasterKeyVault("c2hvcnQ=")).toThrow(RangeError)
})
