/** The signature of gRPC calls: a fixed example, and that every part of it counts. */
import { createHmac } from "node:crypto"
import { expect, test } from "vitest"
import { bytesHash, callText, signCall, verifyCall } from "./call-signature.ts"
import type { SignableCall } from "./call-signature.ts"

const CALL: SignableCall = {
  path: "/opencmq.v1.MessageService/Send",
  secretId: "AKIDexample",
  timestamp: "1700000000",
  nonce: "123456789",
  contentHash: bytesHash(new Uint8Array(0)),
}

test("what is signed are six lines, and the HMAC is plain", () => {
  const text =
    "OPENCMQ-GRPC-HMAC-SHA256\n/opencmq.v1.MessageService/Send\nAKIDexample\n1700000000\n123456789\n" +
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  expect(callText(CALL)).toBe(text)
  expect(signCall(CALL, "key")).toBe(createHmac("sha256", "key").update(text).digest("base64"))
})

test("the right signature fits, and no other key, call or text does", () => {
  const signature = signCall(CALL, "key")
  expect(signature).toHaveLength(44)
  expect(verifyCall(CALL, { signature, secretKey: "key" })).toBe(true)
  expect(verifyCall(CALL, { signature, secretKey: "other" })).toBe(false)
  for (const part of Object.keys(CALL)) {
    expect(verifyCall({ ...CALL, [part]: "other" }, { signature, secretKey: "key" }), part).toBe(false)
  }
  expect(verifyCall({ ...CALL, contentHash: "" }, { signature, secretKey: "key" })).toBe(false)
  for (const wrong of ["", "x", `${signature}=`, "ä".repeat(22)]) {
    expect(verifyCall(CALL, { signature: wrong, secretKey: "key" })).toBe(false)
  }
})
