import { expect, test } from "vitest"
import { readEndpoint } from "./endpoint.ts"

function refusalOf(text: string): string {
  const read = readEndpoint(text)
  return read.ok ? `taken: ${read.value.host}:${String(read.value.port)}${read.value.path}` : read.error
}

test("an endpoint is read into the parts of a request", () => {
  expect(readEndpoint("http://Hooks.Example:8080/cmq/in?queue=a%20b#part")).toEqual({
    ok: true,
    value: {
      isHttps: false,
      host: "hooks.example",
      isAddress: false,
      port: 8080,
      path: "/cmq/in?queue=a%20b",
      hostHeader: "hooks.example:8080",
    },
  })
  expect(readEndpoint("HTTP://[2606:4700:0:0::1111]")).toMatchObject({
    value: { host: "2606:4700::1111", isAddress: true, port: 80, path: "/", hostHeader: "[2606:4700::1111]" },
  })
  expect(readEndpoint("http://example.com.:80/")).toMatchObject({ value: { host: "example.com", port: 80 } })
  expect(readEndpoint("http://bücher.example/")).toMatchObject({ value: { host: "xn--bcher-kva.example" } })
})

test("the path is ASCII without blanks, whatever was given", () => {
  const read = readEndpoint("http://hooks.example/队列/\u{1f9e7}?标签=a|b")
  expect(read.ok && /^[!-~]+$/.test(read.value.path)).toBe(true)
})

test("https is taken with the operator's consent only", () => {
  expect(refusalOf("https://hooks.example/")).toBe("endpointIllegal")
  expect(readEndpoint("https://hooks.example/", { isHttpsAllowed: true })).toMatchObject({
    value: { isHttps: true, port: 443, hostHeader: "hooks.example" },
  })
})

test("500 characters are taken, 501 are not", () => {
  const path = "http://hooks.example/".padEnd(500, "a")
  expect(refusalOf(path)).toMatch(/^taken/)
  expect(refusalOf(`${path}a`)).toBe("endpointInvalid")
})

const REFUSED = {
  endpointHasBlanks: [
    "http://hooks.example/a b",
    " http://hooks.example/",
    "http://hooks.example/\n",
    "http://127.0.\t0.1/",
    "http://hooks.example/\r\nx-header: 1",
    "http://hooks.example\u0000.evil.example/",
    "http://hooks.example/\u3000",
    "http://hooks.example/\u007f",
    "http://hooks\u200b.example/",
  ],
  endpointInvalid: [
    "",
    "hooks.example",
    "queue-name",
    "ftp://hooks.example/",
    "file:///etc/hosts",
    "gopher://hooks.example/",
    "http:hooks.example",
    "http:/hooks.example",
    "http:///hooks.example",
    "http:\\\\hooks.example/",
    "http://",
    "http://?",
    "http://hooks.example\\@other.example/",
    "//hooks.example/",
    "http://hooks.example:65536/",
    "http://hooks.example:8o/",
    "http://[::1/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://1.2.3.4.5/",
    "http://256.1.1.1/",
    "http://4294967296/",
    "http://127.0.0.1%00/",
    "http://127.0.0.09/",
    "http://[::ffff:0177.0.0.1]/",
  ],
  endpointIllegal: [
    "http://user@hooks.example/",
    "http://user:password@hooks.example/",
    "http://@hooks.example/",
    "http://hooks.example@127.0.0.1/",
    "http://hooks.example:0/",
    "http://hooks..example/",
    "http://hooks.example../",
    "http://./",
    "http://*.example/",
    `http://${"a".repeat(64)}.example/`,
    `http://${"abcdefg.".repeat(32)}example/`,
  ],
} as const

test.each(Object.entries(REFUSED).flatMap(([refusal, texts]) => texts.map((text) => [text, refusal] as const)))(
  "%j is refused: %s",
  (text, refusal) => {
    expect(refusalOf(text)).toBe(refusal)
  },
)
