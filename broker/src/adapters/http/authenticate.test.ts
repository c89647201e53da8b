import { createHmac } from "node:crypto"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { makePrometheusMetrics } from "../system/prometheus-metrics.ts"
import { AUTHENTICATION_DEFAULTS, Authenticator } from "./authenticate.ts"
import type { AuthenticationOptions } from "./authenticate.ts"
import { operatorKeys } from "../../../test/conformance/kit/keys.ts"
import { readForm } from "./form.ts"
import type { HttpRequest } from "./http-message.ts"

const LIMITS = { maxParameters: 512 }

interface Asked {
  readonly body: string | Uint8Array
  readonly host?: string
  readonly path?: string
}

function makeAuthenticator(nowSeconds: number, changes: Partial<AuthenticationOptions> = {}): (asked: Asked) => string {
  const authenticator = new Authenticator({
    keys: operatorKeys(
      new Map([
        ["AKIDexample0000000000000000000000000", "fakeSecretKeyForTheWorkedExample"],
        ["AKIDPcYDclDJCn8D0Xypa4f3pKYUCVYLn3zT", "pPgfLipfEXZ7VcRzhAMIyPaU7UbQyFFx"],
      ]),
    ),
    clock: { wallMs: () => nowSeconds * 1000, monotonicMs: () => 0 },
    metrics: makePrometheusMetrics({ version: "", commit: "", nodeId: 1, queueSeriesMax: 1, withProcess: false }),
    options: { ...AUTHENTICATION_DEFAULTS, ...changes },
  })
  return ({ body, host = "127.0.0.1:8080", path = "/v2/index.php" }) => {
    const bytes = Buffer.from(body as string)
    const form = readForm(new Uint8Array(0), bytes, LIMITS)
    if (!form.ok) return form.refusal.error
    const request: HttpRequest = {
      method: "POST",
      path,
      query: new Uint8Array(0),
      header: () => host,
      body: bytes,
      remoteAddress: () => "",
    }
    const known = authenticator.check(request, form.params, "SendMessage")
    return "error" in known ? known.error : "authentic"
  }
}

describe("published requests, byte for byte (cmq-api.md §1)", () => {
  const worked =
    "Action=BatchSendMessage&Nonce=8675309&RequestClient=clone_test_0.1&SecretId=AKIDexample0000000000000000000000000" +
    "&SignatureMethod=HmacSHA256&Timestamp=1700000000&clientRequestId=42&delaySeconds=0&msgBody.1=hello+world" +
    "&msgBody.2=a%2Bb%3Dc%26d%2F%E4%BD%A0%E5%A5%BD&queueName=demo-q" +
    "&Signature=A37dnMyo0vauGGft0P53CB3QSbKoVIKJt2R%2BZXoo9ps%3D"

  test("the worked example, SHA-256", () => {
    expect(makeAuthenticator(1_700_000_000)({ body: worked })).toBe("authentic")
  })

  test("the worked example, SHA-1", () => {
    const body = worked
      .replace("HmacSHA256", "HmacSHA1")
      .replace(/Signature=A37.*$/, `Signature=${encodeURIComponent("LPwJFJMqO1EY16ZyYnii6lcHeKg=")}`)
    expect(makeAuthenticator(1_700_000_000)({ body })).toBe("authentic")
  })

  test("Tencent's own vector, SHA-1, Nonce of 19 digits", () => {
    const body =
      "Action=SendMessage&Nonce=2889712707386595659&RequestClient=SDK_Python_1.3" +
      "&SecretId=AKIDPcYDclDJCn8D0Xypa4f3pKYUCVYLn3zT&SignatureMethod=HmacSHA1&Timestamp=1534154812" +
      "&clientRequestId=1231231231&delaySeconds=0&msgBody=msg&queueName=test1" +
      `&Signature=${encodeURIComponent("C16WEtEXsD5v5tnaUMLAbZewXhI=")}`
    const ask = makeAuthenticator(1_534_154_812)
    expect(ask({ body, host: "cmq-queue-gz.api.tencentyun.com" })).toBe("authentic")
    expect(ask({ body, host: "cmq-queue-gz.api.tencentyun.com" })).toBe("nonceReplayed")
    expect(ask({ body, host: "cmq-queue-gz.api.tencentyun.com:80" })).toBe("authenticationFailed")
    expect(ask({ body, host: "cmq-queue-gz.api.tencentyun.com", path: "/" })).toBe("authenticationFailed")
  })

  test("the window is closed at both ends, and 0 turns it off", () => {
    for (const [nowSeconds, answer] of [
      [1_700_007_200, "authentic"],
      [1_699_992_800, "authentic"],
      [1_700_007_201, "requestExpired"],
      [1_699_992_799, "requestExpired"],
    ] as const) {
      expect(makeAuthenticator(nowSeconds)({ body: worked })).toBe(answer)
    }
    expect(makeAuthenticator(0, { timestampWindowSeconds: 0 })({ body: worked })).toBe("authentic")
  })

  test("a copy is still a copy with its signature spelled otherwise, or it is not authentic", () => {
    const ask = makeAuthenticator(1_700_000_000)
    expect(ask({ body: worked })).toBe("authentic")
    for (const spelled of [
      "A37dnMyo0vauGGft0P53CB3QSbKoVIKJt2R-ZXoo9ps%3D",
      "A37dnMyo0vauGGft0P53CB3QSbKoVIKJt2R%2BZXoo9pt%3D",
    ]) {
      expect(ask({ body: worked.replace(/Signature=A37.*$/, `Signature=${spelled}`) })).toBe("authenticationFailed")
    }
    // The order of parameters and the way of escaping are not signed: still the same request.
    expect(ask({ body: worked.split("&").toReversed().join("&") })).toBe("nonceReplayed")
    expect(ask({ body: worked.replace("hello+world", "%68ello%20world") })).toBe("nonceReplayed")
  })
})

describe("any request", () => {
  // SIGNATURE_FUZZ_RUNS for a long run.
  const numRuns = Number(process.env["SIGNATURE_FUZZ_RUNS"] ?? 3_000)
  const fixed = { SecretId: "AKIDexample0000000000000000000000000", Timestamp: "1700000000", Nonce: "1234567" }
  const name = fc
    .stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,12}$/)
    .filter((text) => !(text in fixed) && text !== "Signature")
  const value = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.constantFrom("@", "@x", "a=b&c=d", "", " ", "\u0000", "😀"),
  )
  const plain = fc.dictionary(name, value, { maxKeys: 12 })
  const ask = makeAuthenticator(1_700_000_000, { nonceReplay: false })

  /** Signed by the words of the documentation, without our code. */
  function bodyOf(params: Readonly<Record<string, string>>, isAtOmitted: boolean): string {
    const all = Object.entries({ ...params, Action: "X", SignatureMethod: "HmacSHA256", ...fixed })
    const signed = all
      .filter(([, text]) => !isAtOmitted || !text.startsWith("@"))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, text]) => `${key.replaceAll("_", ".")}=${text}`)
    const text = `POST127.0.0.1:8080/v2/index.php?${signed.join("&")}`
    const signature = createHmac("sha256", "fakeSecretKeyForTheWorkedExample").update(text).digest("base64")
    return new URLSearchParams([...all, ["Signature", signature]]).toString()
  }

  /** What the common table would refuse for its form is not what is asked here. */
  const isFormRefusal = (answer: string): boolean => answer.startsWith("parameter")

  test(
    "signed by the documentation's words it is authentic, with and without the @ rule",
    { timeout: 3_600_000 },
    () => {
      fc.assert(
        fc.property(plain, fc.boolean(), (params, isAtOmitted) => {
          const answer = ask({ body: bodyOf(params, isAtOmitted) })
          return answer === "authentic" || isFormRefusal(answer)
        }),
        { numRuns },
      )
    },
  )

  test("with one byte of its form changed it is refused, or means the same", { timeout: 3_600_000 }, () => {
    const before = (body: string): string =>
      JSON.stringify([...new URLSearchParams(body)].filter(([, text]) => !text.startsWith("@")))
    fc.assert(
      fc.property(plain, fc.nat(), fc.integer({ min: 0x21, max: 0x7e }), (params, at, byte) => {
        const body = bodyOf(params, false)
        const place = at % body.length
        const changed = body.slice(0, place) + String.fromCharCode(byte) + body.slice(place + 1)
        const answer = ask({ body: changed })
        // `_` and `.` in names are one to the signature, as CMQ has it.
        const isSame = before(changed).replaceAll("_", ".") === before(body).replaceAll("_", ".")
        return answer !== "authentic" || isSame
      }),
      { numRuns },
    )
  })
})
