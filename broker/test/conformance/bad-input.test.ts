/** Whatever is wrong with a request gets its documented code and changes nothing (issue 2, "Bad input"). */
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { CmqClient, codeOf } from "./kit/client.ts"
import type { Params, Wire } from "./kit/client.ts"
import { SECRET_ID, SECRET_KEY, SERVERS, openFace } from "./kit/face.ts"
import type { TestFace } from "./kit/face.ts"
import { ANY_STRING } from "./kit/matchers.ts"

const QUEUE = "bad-input"

describe.each(SERVERS)("over %s", (server) => {
  let face: TestFace
  let client: CmqClient

  beforeAll(async () => {
    face = await openFace(server)
    client = new CmqClient(face.port)
    await client.ok("CreateQueue", { queueName: QUEUE })
  })
  afterAll(async () => {
    // Nothing of all that was wrong has stored, deleted or created anything.
    expect(await client.ok("GetQueueAttributes", { queueName: QUEUE })).toMatchObject({
      activeMsgNum: 0,
      inactiveMsgNum: 0,
    })
    expect(await client.ok("ListQueue")).toMatchObject({ totalCount: 1 })
    expect(face.logger.lines).toEqual([])
    await face.close()
  })

  // --- Parameters -----------------------------------------------------------------------------------------

  const name = { queueName: QUEUE }
  const wrong: readonly (readonly [string, Params, string])[] = [
    ["NoSuchAction", {}, "4000/10430"],
    ["__proto__", {}, "4000/10430"],
    ["constructor", {}, "4000/10430"],
    ["CreateTopics", {}, "4000/10430"],
    ["", {}, "4000/10280"],
    ["CreateQueue", {}, "4000/10390"],
    ["CreateQueue", { queueName: "" }, "4000/10390"],
    ["CreateQueue", { queueName: "1starts-with-digit" }, "4000/10020"],
    ["CreateQueue", { queueName: "n".repeat(65) }, "4000/10020"],
    ["CreateQueue", { queueName: "a/b" }, "4000/10020"],
    ["CreateQueue", { queueName: "队列" }, "4000/10020"],
    ["CreateQueue", name, "4460/10210"],
    ["CreateQueue", { queueName: QUEUE.toUpperCase() }, "4460/10210"],
    ["CreateQueue", { queueName: "x", maxMsgHeapNum: 999_999 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", maxMsgHeapNum: 1_000_000_001 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", pollingWaitSeconds: 31 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", pollingWaitSeconds: -1 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", visibilityTimeout: 0 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", visibilityTimeout: 43_201 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", maxMsgSize: 1_023 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", maxMsgSize: 1_048_577 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", msgRetentionSeconds: 59 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", msgRetentionSeconds: 1_296_001 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", rewindSeconds: 1_296_001 }, "4000/10350"],
    ["CreateQueue", { queueName: "x", msgRetentionSeconds: 60, rewindSeconds: 61 }, "4000/10700"],
    ["CreateQueue", { queueName: "x", visibilityTimeout: "30s" }, "4000/10360"],
    ["CreateQueue", { queueName: "x", visibilityTimeout: "3e1" }, "4000/10360"],
    ["CreateQueue", { queueName: "x", visibilityTimeout: "" }, "4000/10360"],
    ["CreateQueue", { queueName: "x", visibilityTimeout: "99999999999999999999" }, "4000/10350"],
    ["CreateQueue", { queueName: "x", deadLetterPolicy: "{" }, "4000/20031"],
    ["CreateQueue", { queueName: "x", deadLetterPolicy: "[]" }, "4000/20031"],
    ["CreateQueue", { queueName: "x", deadLetterPolicy: '{"__proto__":{"deadLetterQueue":"q"}}' }, "4000/20031"],
    ["SetQueueAttributes", { ...name, rewindSeconds: 345_601 }, "4000/10700"],
    ["SetQueueAttributes", { queueName: "missing" }, "4440/10100"],
    ["GetQueueAttributes", { queueName: "missing" }, "4440/10100"],
    ["ListQueue", { limit: 0 }, "4000/10350"],
    ["ListQueue", { limit: 101 }, "4000/10350"],
    ["ListQueue", { offset: -1 }, "4000/10350"],
    ["ListQueue", { searchWord: "w".repeat(65) }, "4000/10350"],
    ["SendMessage", name, "4000/10390"],
    ["SendMessage", { ...name, msgBody: "" }, "4000/10120"],
    ["SendMessage", { ...name, msgBody: "x".repeat(65_537) }, "4400/10230"],
    ["SendMessage", { ...name, msgBody: "x".repeat(1_048_577) }, "4400/10230"],
    ["SendMessage", { ...name, msgBody: "x", delaySeconds: 3_601 }, "4000/10692"],
    ["SendMessage", { ...name, msgBody: "x", delaySeconds: "soon" }, "4000/10360"],
    ["SendMessage", { queueName: "missing", msgBody: "x" }, "4440/10100"],
    ["SendMessage", { ...name, msgBody: "x", clientMessageId: "i".repeat(129) }, "4000/10350"],
    ["SendMessage", { ...name, msgBody: "x", "attribute.1.name": "a b", "attribute.1.value": "" }, "4000/20022"],
    ["SendMessage", { ...name, msgBody: "x", "attribute.1.value": "v" }, "4000/10390"],
    ["BatchSendMessage", name, "4000/10390"],
    ["BatchSendMessage", { ...name, msgBody: Array.from({ length: 17 }, () => "x") }, "4000/10370"],
    ["BatchSendMessage", { ...name, "msgBody.1": "a", "msgBody.3": "c" }, "4000/10380"],
    ["BatchSendMessage", { ...name, "msgBody.2": "a" }, "4000/10380"],
    ["BatchSendMessage", { ...name, "msgBody.x": "a" }, "4000/10310"],
    ["BatchSendMessage", { ...name, msgBody: ["a", "", "c"] }, "4000/10120"],
    ["BatchSendMessage", { ...name, msgBody: Array.from({ length: 16 }, () => "x".repeat(65_537)) }, "4470/10300"],
    ["ReceiveMessage", { ...name, pollingWaitSeconds: 31 }, "4000/10350"],
    ["ReceiveMessage", { queueName: "missing" }, "4440/10100"],
    ["BatchReceiveMessage", name, "4000/10390"],
    ["BatchReceiveMessage", { ...name, numOfMsg: 0 }, "4000/10350"],
    ["BatchReceiveMessage", { ...name, numOfMsg: 17 }, "4000/10350"],
    ["DeleteMessage", name, "4000/10390"],
    ["DeleteMessage", { ...name, receiptHandle: "9" }, "4430/10260"],
    ["DeleteMessage", { queueName: "missing", receiptHandle: "9" }, "4440/10100"],
    ["BatchDeleteMessage", { ...name, receiptHandle: Array.from({ length: 17 }, () => "1") }, "4000/10370"],
    ["ChangeMessageVisibility", { ...name, receiptHandle: "9", visibilityTimeout: 43_201 }, "4000/10350"],
    ["RewindQueue", { ...name, startConsumeTime: 1 }, "6050/10670"],
    ["RewindQueue", { ...name, startConsumeTime: 1, dryRun: 1 }, "6050/10670"],
    ["RewindQueue", { ...name, startConsumeTime: 1, dryRun: 2 }, "4000/10350"],
    ["RewindQueue", { ...name, startConsumeTime: "yesterday" }, "4000/10360"],
    ["PeekMessage", { ...name, startSeq: -1 }, "4000/10350"],
  ]

  test.each(
    wrong.map(([action, params, code]) => ({ action, params, code, shown: JSON.stringify(params).slice(0, 80) })),
  )("$action $shown is $code", async ({ action, params, code }) => {
    const answer = await client.call(action, params)
    expect(answer.status).toBe(200)
    expect(codeOf(answer)).toBe(code)
    expect(answer.json["requestId"]).toEqual(ANY_STRING)
  })

  test("a refusal names the parameter", async () => {
    expect((await client.call("SendMessage", name)).json["message"]).toBe("(10390)lacked of required parameter msgBody")
    expect((await client.call("Nonsense")).json["message"]).toBe("(10430)action name Nonsense is not existed")
  })

  test("a parameter named __proto__ is ignored like any other", async () => {
    const answer = await client.call("ListQueue", JSON.parse('{"__proto__":"x","constructor":"y"}') as Params)
    expect(answer.json["code"]).toBe(0)
  })

  // --- Form -----------------------------------------------------------------------------------------------

  /** The request with its body changed after signing. */
  function tampered(change: (body: string) => string | Uint8Array): Promise<string> {
    const wire = client.wire("SendMessage", { queueName: QUEUE, msgBody: "x" })
    return client.send({ ...wire, body: change(String(wire.body)) }).then(codeOf)
  }

  test.each([
    ["a duplicate parameter", (body: string) => `${body}&msgBody=y`, "4000/10330"],
    ["a duplicate behind an escape", (body: string) => `${body}&%6dsgBody=y`, "4000/10330"],
    ["a broken escape", (body: string) => body.replace("msgBody=x", "msgBody=%zz"), "4000/10420"],
    ["an escape cut off", (body: string) => `${body}&z=%`, "4000/10420"],
    ["bytes that are not UTF-8", (body: string) => body.replace("msgBody=x", "msgBody=%ff%fe"), "4000/20021"],
    ["a surrogate", (body: string) => body.replace("msgBody=x", "msgBody=%ED%A0%80"), "4000/20021"],
    ["raw bytes that are not UTF-8", (body: string) => Buffer.from(`${body}&z=\xff`, "latin1"), "4000/20021"],
    ["a line break in a name", (body: string) => `${body}&a%0d%0ab=1`, "4000/10310"],
    ["513 parameters", () => Array.from({ length: 513 }, (_, i) => `p${String(i)}=`).join("&"), "4000/10420"],
    ["a long value of a short parameter", (body: string) => `${body}&Region=${"x".repeat(20_000)}`, "4000/10350"],
    ["nothing at all", () => "", "4000/10280"],
    ["JSON", () => '{"Action":"ListQueue"}', "4000/10280"],
  ])("%s", async (_what, change, code) => {
    expect(await tampered(change)).toBe(code)
  })

  test.each(["PUT", "DELETE", "PATCH", "OPTIONS"])("the method %s", async (method) => {
    const wire = { ...client.wire("ListQueue"), method }
    const answer = await client.send(wire)
    expect(answer.status).toBe(200)
    expect(codeOf(answer)).toBe("4000/10410")
    expect(answer.json["message"]).toBe(`(10410)unexpected http ${method} only GET or POST is supported`)
  })

  test("a body above the limit is refused while it comes in, and the connection ends", async () => {
    const wire: Wire = { ...client.wire("ListQueue"), body: "x".repeat(5_000_000) }
    const answer = await client.send(wire).catch((error: unknown) => error as Error)
    // The reply may be lost when the client is still writing; a broken connection is the other honest outcome.
    if (answer instanceof Error) expect(answer.message).toMatch(/ECONNRESET|EPIPE|hang up/)
    else expect(codeOf(answer)).toBe("4000/10420")
    expect(await client.code("ListQueue")).toBe("0")
  })

  test("an address above the limit", async () => {
    const wire = client.with({ method: "GET" }).wire("ListQueue")
    const answer = await client.send({ ...wire, target: `${wire.target}&z=${"x".repeat(66_000)}` })
    // uWebSockets.js refuses a request line that comes in pieces by itself (docs/cmq-differences.md).
    if (server === "uws" && answer.status !== 200) expect([431, 505]).toContain(answer.status)
    else expect(codeOf(answer)).toBe("4000/10420")
  })

  test("other paths are not found", async () => {
    for (const target of ["/v2/index.php/v2/index.php", "/v2", "/index.php", "//", "/%2e"]) {
      expect((await client.send({ ...client.wire("ListQueue"), target })).status).toBe(404)
    }
  })

  // --- Who asks -------------------------------------------------------------------------------------------

  test.each(["SecretId", "Timestamp", "Nonce"])("without %s", async (missing) => {
    const params = client.common("ListQueue", {})
    params.delete(missing)
    const answer = await client.send(client.encode(client.signed(params)))
    expect(answer.json["message"]).toBe(`(10390)lacked of required parameter ${missing}`)
  })

  test("without Signature", async () => {
    expect(codeOf(await client.send(client.encode(client.common("ListQueue", {}))))).toBe("4000/10390")
  })

  test("appId instead of a signature, where that is not allowed", async () => {
    const params = new Map([
      ["Action", "ListQueue"],
      ["appId", "1"],
    ])
    expect(codeOf(await client.send(client.encode(params)))).toBe("4000/10390")
  })

  test.each([
    ["Timestamp", "now", "4000/10360"],
    ["Timestamp", "-5", "4000/10350"],
    ["Nonce", "abc", "4000/10360"],
    ["Nonce", "-1", "4000/10360"],
    ["Nonce", "1".repeat(21), "4000/10360"],
  ])("%s = %s", async (parameter, value, code) => {
    const params = client.common("ListQueue", {})
    params.set(parameter, value)
    expect(codeOf(await client.send(client.encode(client.signed(params))))).toBe(code)
  })

  test("a wrong key and an unknown id get the same answer, which shows nothing", async () => {
    const wrongKey = new CmqClient(face.port, {}, { secretId: SECRET_ID, secretKey: "wrong" })
    const unknown = new CmqClient(face.port, {}, { secretId: "AKIDnobody", secretKey: SECRET_KEY })
    const answers = [await wrongKey.call("ListQueue"), await unknown.call("ListQueue")]
    for (const { json } of answers) {
      expect(json).toEqual({ code: 4100, message: "(10030)authentication failed", requestId: ANY_STRING })
    }
  })

  test("an id that does not begin with AKID", async () => {
    const odd = new CmqClient(face.port, {}, { secretId: "nobody", secretKey: SECRET_KEY })
    expect(await odd.code("ListQueue")).toBe("4000/10450")
  })

  test.each([
    ["another body", (body: string) => body.replace("msgBody=x", "msgBody=y")],
    ["a parameter more", (body: string) => `${body}&delaySeconds=9`],
    ["a parameter less", (body: string) => body.replace(/&?msgBody=x/, "")],
    ["a truncated signature", (body: string) => body.replace(/Signature=[^&]*/, "Signature=abc")],
    ["an empty-looking signature", (body: string) => body.replace(/Signature=[^&]*/, "Signature=%20")],
    [
      "a signature in other letters",
      (body: string) => body.replace(/Signature=(.)/, (_all, c: string) => `Signature=${c === "A" ? "B" : "A"}`),
    ],
    ["another hash", (body: string) => body.replace("HmacSHA256", "HmacSHA1")],
  ])("%s than was signed", async (_what, change) => {
    expect(await tampered(change)).toBe("4100/10030")
  })

  test("signed for another path, host or method", async () => {
    const wire = client.wire("ListQueue")
    expect(codeOf(await client.send({ ...wire, target: "/" }))).toBe("4100/10030")
    expect(codeOf(await client.send({ ...wire, headers: { ...wire.headers, host: "elsewhere" } }))).toBe("4100/10030")
    const asGet = { ...wire, method: "GET", target: `${wire.target}?${String(wire.body)}`, body: "" }
    expect(codeOf(await client.send(asGet))).toBe("4100/10030")
  })

  test("the same request twice is a copy, whatever its action; nothing is done the second time", async () => {
    for (const action of ["ListQueue", "CreateQueue", "SendMessage"]) {
      const wire = client.wire(action, { queueName: QUEUE, msgBody: "x" })
      const first = codeOf(await client.send(wire))
      expect(first).toBe(action === "CreateQueue" ? "4460/10210" : "0")
      const second = await client.send(wire)
      expect(codeOf(second)).toBe("4500/20011")
    }
    expect(await client.ok("ClearQueue", { queueName: QUEUE })).toMatchObject({ code: 0 })
  })

  test("equal receives with a weak nonce are no copies: such clients draw from 10,000 numbers", async () => {
    for (const [nonce, code] of [
      ["4711", "7000/10200"],
      ["4711000", "4500/20011"],
    ] as const) {
      const params = client.common("ReceiveMessage", { queueName: QUEUE })
      params.set("Nonce", nonce)
      const wire = client.encode(client.signed(params))
      expect(codeOf(await client.send(wire))).toBe("7000/10200")
      expect(codeOf(await client.send(wire))).toBe(code)
    }
  })

  test("a Timestamp outside the window, either way, and the server's time in the answer", async () => {
    for (const [offset, code] of [
      [-7_190, "0"],
      [7_190, "0"],
      [-7_210, "4200/20010"],
      [7_210, "4200/20010"],
    ] as const) {
      const params = client.common("ListQueue", {})
      const now = Math.floor(Date.now() / 1000)
      params.set("Timestamp", String(now + offset))
      const answer = await client.send(client.encode(client.signed(params)))
      expect(codeOf(answer)).toBe(code)
      if (code !== "0")
        expect(answer.json["message"]).toMatch(new RegExp(`time, which is ${String(now).slice(0, -1)}\\d$`))
    }
  })

  // --- Anything -------------------------------------------------------------------------------------------

  test("any body, signed or not, gets a JSON reply with status 200", async () => {
    const piece = fc.constantFrom(
      "Action=",
      "SendMessage",
      "&",
      "=",
      "queueName=bad-input",
      "msgBody.1=",
      "%",
      "%00",
      "é",
      "SecretId=AKID",
      "\u0000",
    )
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(piece).map((parts) => Buffer.from(parts.join(""))),
    )
    await fc.assert(
      fc.asyncProperty(body, async (bytes) => {
        const answer = await client.send({ ...client.wire("ListQueue"), body: bytes })
        expect(answer.status).toBe(200)
        expect(answer.json["code"]).toBe(4000)
      }),
      { numRuns: 300 },
    )
  })

  test("any parameters signed by an independent client are authentic", async () => {
    const parameter = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,12}$/)
    const value = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("@", "@x", "a=b&c", "", " ", "\u0000"))
    await fc.assert(
      fc.asyncProperty(fc.dictionary(parameter, value), fc.boolean(), async (extra, isGet) => {
        const { offset: _offset, limit: _limit, searchWord: _searchWord, ...params } = extra
        const style = { method: isGet ? "GET" : "POST", blank: isGet ? "+" : "%20" } as const
        const wire = client.with(style).wire("DeleteMessage", params)
        expect(codeOf(await client.send(wire))).toMatch(/^4000\/10390$|^4000\/10360$|^4000\/10350$/)
      }),
      { numRuns: 300 },
    )
  })
})

describe.each(SERVERS)("with options, over %s", (server) => {
  test("in development mode a refusal shows the string that the server signed", async () => {
    const face = await openFace(server, { authentication: { isDevelopment: true } })
    const client = new CmqClient(face.port, {}, { secretId: SECRET_ID, secretKey: "wrong" })
    const { json } = await client.call("SendMessage", { queueName: "q", msgBody: "x".repeat(10_000) })
    const message = String(json["message"])
    expect(message).toContain(
      `(10030)authentication failed, the server signed with sha256 this string: POST127.0.0.1:${String(face.port)}/v2/index.php?Action=SendMessage&Nonce=`,
    )
    expect(message.length).toBeLessThan(4_300)
    expect(message).not.toContain(SECRET_KEY)
    await face.close()
  })

  test("without the replay memory copies pass; without the AKID rule other ids do; a full memory refuses", async () => {
    const face = await openFace(server, { authentication: { nonceReplay: false, isAkidRequired: false } })
    const client = new CmqClient(face.port)
    const wire = client.wire("ListQueue")
    expect([codeOf(await client.send(wire)), codeOf(await client.send(wire))]).toEqual(["0", "0"])
    const odd = new CmqClient(face.port, {}, { secretId: "odd", secretKey: SECRET_KEY })
    expect(await odd.code("ListQueue")).toBe("4100/10030")
    await face.close()
    const tight = await openFace(server, { authentication: { nonceEntriesPerKey: 2 } })
    const me = new CmqClient(tight.port)
    expect([await me.code("ListQueue"), await me.code("ListQueue"), await me.code("ListQueue")]).toEqual([
      "0",
      "0",
      "4420/10250",
    ])
    await tight.close()
  })

  test("appId alone is enough where anonymous requests are allowed; a signature that is there must be right", async () => {
    const face = await openFace(server, { authentication: { allowAnonymous: true } })
    const client = new CmqClient(face.port)
    const anonymous = new Map([
      ["Action", "ListQueue"],
      ["appId", "1255"],
      ["clientRequestId", "9"],
    ])
    expect((await client.send(client.encode(anonymous))).json).toMatchObject({ code: 0, clientRequestId: 9 })
    const wrong = new CmqClient(face.port, {}, { secretId: SECRET_ID, secretKey: "wrong" })
    expect(await wrong.code("ListQueue", { appId: 1 })).toBe("4100/10030")
    await face.close()
  })

  test("a clock that jumps makes requests late", async () => {
    const face = await openFace(server)
    const client = new CmqClient(face.port)
    face.clock.aheadMs = 7_300_000
    expect(await client.code("ListQueue")).toBe("4200/20010")
    await face.close()
  })
})
