import { expect, test } from "vitest"
import { AccessKey } from "../core/queue/access-keys.ts"
import { AccessControl } from "./access-control.ts"
import { OPERATOR, readCaller, STRANGER } from "./caller.ts"
import { CLOSED_VAULT } from "./key-mint.ts"
import type { Caller } from "./caller.ts"

const FACTS = { id: 1, accountName: "shop", sealedSecret: "", createdAtMs: 0 }
/** One that a later version wrote down, and one of this. */
const PERMISSIONS = ["juggle:queue:*", "send:queue:*:extra", "send:queue:orders"]

const control = new AccessControl({
  findKey: (secretId) =>
    secretId === "AKIDknown" ? new AccessKey({ ...FACTS, secretId, permissions: PERMISSIONS }) : undefined,
  vault: CLOSED_VAULT,
})

function refusalOf(caller: Caller | undefined, queueName = "orders"): string | undefined {
  return control.admit({ name: "sendMessages", request: { queueName, messages: [] }, caller }).error
}

test("who is not known may do nothing, and neither may a key that is gone", () => {
  expect(refusalOf(OPERATOR)).toBeUndefined()
  expect(refusalOf({ kind: "key", secretId: "AKIDknown" })).toBeUndefined()
  expect(refusalOf(undefined)).toBe("permissionDenied")
  expect(refusalOf(STRANGER)).toBe("secretIdUnknown")
  expect(refusalOf({ kind: "key", secretId: "AKIDgone" })).toBe("secretIdUnknown")
})

test("a permission that this version does not know permits nothing", () => {
  expect(refusalOf({ kind: "key", secretId: "AKIDknown" }, "other")).toBe("permissionDenied")
})

test("a caller from another node is read, and anything else is nobody", () => {
  expect(readCaller({ kind: "operator" })).toBe(OPERATOR)
  expect(readCaller({ kind: "key", secretId: "AKIDknown", more: 1 })).toEqual({ kind: "key", secretId: "AKIDknown" })
  for (const wrong of [undefined, null, "operator", 7, {}, { kind: "key" }, { kind: "node" }, { secretId: "A" }]) {
    expect(readCaller(wrong)).toBeUndefined()
  }
})
