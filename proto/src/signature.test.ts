import { createHmac } from "node:crypto"
import fc from "fast-check"
import { expect, test } from "vitest"
import { canonicalString, sign, signText, signatureHash, verify } from "./signature.ts"
import type { SignableRequest } from "./signature.ts"

function request(parts: Partial<SignableRequest>, params: Record<string, string>): SignableRequest {
  return {
    method: "POST",
    host: "127.0.0.1:8080",
    path: "/v2/index.php",
    ...parts,
    params: new Map(Object.entries(params)),
  }
}

const KEY = "fakeSecretKeyForTheWorkedExample"

// Not in sorted order on purpose.
const WORKED_EXAMPLE = {
  queueName: "demo-q",
  "msgBody.2": "a+b=c&d/你好",
  "msgBody.1": "hello world",
  delaySeconds: "0",
  clientRequestId: "42",
  Timestamp: "1700000000",
  SignatureMethod: "HmacSHA256",
  SecretId: "AKIDexample0000000000000000000000000",
  RequestClient: "clone_test_0.1",
  Nonce: "8675309",
  Action: "BatchSendMessage",
}

function signed(unsigned: SignableRequest, signature: string): SignableRequest {
  return { ...unsigned, params: new Map([...unsigned.params, ["Signature", signature]]) }
}

test("the published vector of the signature page", () => {
  const published = request(
    { host: "cmq-queue-gz.api.tencentyun.com" },
    {
      Action: "SendMessage",
      Nonce: "2889712707386595659",
      RequestClient: "SDK_Python_1.3",
      SecretId: "AKIDPcYDclDJCn8D0Xypa4f3pKYUCVYLn3zT",
      SignatureMethod: "HmacSHA1",
      Timestamp: "1534154812",
      clientRequestId: "1231231231",
      delaySeconds: "0",
      msgBody: "msg",
      queueName: "test1",
    },
  )
  const secretKey = "pPgfLipfEXZ7VcRzhAMIyPaU7UbQyFFx"
  expect(sign(published, secretKey)).toBe("C16WEtEXsD5v5tnaUMLAbZewXhI=")
  expect(verify(signed(published, "C16WEtEXsD5v5tnaUMLAbZewXhI="), secretKey)).toEqual({
    isValid: true,
    hash: "sha1",
    canonicalString:
      "POSTcmq-queue-gz.api.tencentyun.com/v2/index.php?Action=SendMessage&Nonce=2889712707386595659&RequestClient=SDK_Python_1.3&SecretId=AKIDPcYDclDJCn8D0Xypa4f3pKYUCVYLn3zT&SignatureMethod=HmacSHA1&Timestamp=1534154812&clientRequestId=1231231231&delaySeconds=0&msgBody=msg&queueName=test1",
  })
})

test("the worked example, with both hashes", () => {
  const sha256 = request({}, WORKED_EXAMPLE)
  expect(canonicalString(sha256)).toBe(
    "POST127.0.0.1:8080/v2/index.php?Action=BatchSendMessage&Nonce=8675309&RequestClient=clone_test_0.1&SecretId=AKIDexample0000000000000000000000000&SignatureMethod=HmacSHA256&Timestamp=1700000000&clientRequestId=42&delaySeconds=0&msgBody.1=hello world&msgBody.2=a+b=c&d/你好&queueName=demo-q",
  )
  expect(sign(sha256, KEY)).toBe("A37dnMyo0vauGGft0P53CB3QSbKoVIKJt2R+ZXoo9ps=")
  expect(sign(request({}, { ...WORKED_EXAMPLE, SignatureMethod: "HmacSHA1" }), KEY)).toBe(
    "LPwJFJMqO1EY16ZyYnii6lcHeKg=",
  )
})

test("the TCP protocol's authentication", () => {
  const text = "10.0.0.5@DEFAULT" + "AKIDexample0000000000000000000000000"
  expect(signText(text, KEY, "sha1")).toBe("VFyo8wszFcUA3iQCRSDMFEKwXQk=")
  expect(signText(text, KEY, "sha256")).toBe("jpU0PTKR8mm2aVba/vPvmj51rFGCqeCmyO7rP3+ntCk=")
})

test("HmacSHA256 and the literal sha256 mean SHA-256; absent and anything else mean SHA-1", () => {
  expect(["HmacSHA256", "sha256"].map(signatureHash)).toEqual(["sha256", "sha256"])
  expect([undefined, "", "HmacSHA1", "sha1", "nonsense"].map(signatureHash)).toEqual(Array(5).fill("sha1"))
})

test("names sort by code unit: capitals first, msgBody.10 before msgBody.2", () => {
  const text = canonicalString(
    request({ method: "get" }, { "msgBody.2": "c", "msgBody.10": "b", "msgBody.1": "a", Zone: "z", queueName: "q" }),
  )
  expect(text).toBe("GET127.0.0.1:8080/v2/index.php?Zone=z&msgBody.1=a&msgBody.10=b&msgBody.2=c&queueName=q")
})

test("an underscore in a name is signed as a dot, after sorting; empty values stay", () => {
  const text = canonicalString(request({ path: "/" }, { a_b: "1_1", "a.a": "2", a0: "3", routingKey: "" }))
  expect(text).toBe("POST127.0.0.1:8080/?a.a=2&a0=3&a.b=1_1&routingKey=")
})

test("a value that begins with @ may be signed or left out on POST, but must be signed on GET", () => {
  const params = { Action: "SendMessage", msgBody: "@all", queueName: "q" }
  for (const method of ["POST", "GET"]) {
    const whole = request({ method }, params)
    const omitted = request({ method }, { Action: "SendMessage", queueName: "q" })
    expect(verify(signed(whole, sign(whole, KEY)), KEY).isValid).toBe(true)
    expect(verify(signed(whole, sign(omitted, KEY)), KEY).isValid).toBe(method === "POST")
  }
})

test("the @ that is left out shows in the string that fitted", () => {
  const omitted = canonicalString(request({}, { Action: "A", msgBody: "@x" }), { isAtOmitted: true })
  expect(omitted).toBe("POST127.0.0.1:8080/v2/index.php?Action=A")
  expect(
    verify(signed(request({}, { Action: "A", msgBody: "@x" }), signText(omitted, KEY, "sha1")), KEY),
  ).toMatchObject({
    isValid: true,
    canonicalString: omitted,
  })
})

test("a name that begins with an underscore may be signed either way", () => {
  const params = { _my_tag: "1", a_b: "2", msgBody: "@" }
  const unsigned = request({}, params)
  for (const dialect of [{}, { isLeadingUnderscoreKept: true }, { isAtOmitted: true, isLeadingUnderscoreKept: true }]) {
    const signature = signText(canonicalString(unsigned, dialect), KEY, "sha1")
    expect(verify(signed(unsigned, signature), KEY).isValid, JSON.stringify(dialect)).toBe(true)
  }
  expect(canonicalString(unsigned, { isLeadingUnderscoreKept: true })).toContain("?_my_tag=1&a.b=2&")
})

test("what does not fit is refused, with the standard string to compare with", () => {
  const unsigned = request({}, WORKED_EXAMPLE)
  const right = sign(unsigned, KEY)
  const wrong = [
    "",
    "x",
    right.slice(1),
    `${right} `,
    right.toLowerCase(),
    "LPwJFJMqO1EY16ZyYnii6lcHeKg=",
    "你".repeat(44),
  ]
  for (const signature of wrong) {
    expect(verify(signed(unsigned, signature), KEY), signature).toEqual({
      isValid: false,
      hash: "sha256",
      canonicalString: canonicalString(unsigned),
    })
  }
  expect(verify(unsigned, KEY).isValid).toBe(false)
  expect(verify(signed(unsigned, right), "other key").isValid).toBe(false)
})

const params = fc
  .dictionary(fc.string({ minLength: 1 }), fc.string({ unit: "binary" }))
  .map((each) => new Map(Object.entries(each)))
const anyRequest = fc.record({
  method: fc.constantFrom("GET", "POST"),
  host: fc.constantFrom("h", "h:1", "cmq-queue-gz.api.qcloud.com"),
  path: fc.constantFrom("/", "/v2/index.php"),
  params,
})

test("property: what sign signs, verify accepts, whatever the order of the parameters", () => {
  fc.assert(
    fc.property(anyRequest, fc.string(), fc.boolean(), (unsigned, secretKey, isSha256) => {
      const withMethod = {
        ...unsigned,
        params: new Map([...unsigned.params, ["SignatureMethod", isSha256 ? "HmacSHA256" : "HmacSHA1"]]),
      }
      const shuffled = { ...withMethod, params: new Map([...withMethod.params].reverse()) }
      expect(verify(signed(shuffled, sign(withMethod, secretKey)), secretKey).isValid).toBe(true)
    }),
  )
})

test("property: a changed value, name, host, path or method breaks the signature", () => {
  fc.assert(
    fc.property(anyRequest, fc.constantFrom("value", "name", "host", "path", "method"), (unsigned, part) => {
      const base = { ...unsigned, params: new Map([...unsigned.params, ["msgBody", "text"]]) }
      const signature = sign(base, KEY)
      const changed = {
        method: part === "method" ? (base.method === "GET" ? "POST" : "GET") : base.method,
        host: part === "host" ? `${base.host}0` : base.host,
        path: part === "path" ? `${base.path}x` : base.path,
        params: new Map(base.params),
      }
      if (part === "value") changed.params.set("msgBody", "text2")
      if (part === "name") changed.params.set("msgBodyExtra", "")
      expect(verify(signed(changed, signature), KEY).isValid).toBe(false)
    }),
  )
})

test("property: the canonical string agrees with a slow and plain one", () => {
  fc.assert(
    fc.property(anyRequest, (unsigned) => {
      const pairs = [...unsigned.params].filter(([name]) => name !== "Signature")
      pairs.sort(([left], [right]) => (left < right ? -1 : 1))
      const slow =
        unsigned.method +
        unsigned.host +
        unsigned.path +
        "?" +
        pairs.map(([name, value]) => name.split("_").join(".") + "=" + value).join("&")
      expect(canonicalString(unsigned)).toBe(slow)
      expect(sign(unsigned, "k")).toBe(createHmac("sha1", "k").update(slow).digest("base64"))
    }),
  )
})

test("a megabyte is signed in one pass", () => {
  const large: Record<string, string> = {}
  for (let index = 0; index < 16; index++) large[`msgBody.${String(index)}`] = "x".repeat(65_536)
  const unsigned = request({}, large)
  expect(verify(signed(unsigned, sign(unsigned, KEY)), KEY).isValid).toBe(true)
})
