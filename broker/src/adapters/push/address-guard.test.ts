import { BlockList } from "node:net"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { judgeAddresses, judgeEndpoint } from "./address-guard.ts"
import { ALLOW_ENTRIES_MAX, NOTHING_ALLOWED, readAllowList } from "./allow-list.ts"
import type { AllowList } from "./allow-list.ts"
import { readEndpoint } from "./endpoint.ts"
import type { Endpoint } from "./endpoint.ts"

function endpointOf(text: string): Endpoint {
  const read = readEndpoint(text)
  if (!read.ok) throw new Error(`${text}: ${read.error}`)
  return read.value
}

function allow(...entries: string[]): AllowList {
  const read = readAllowList(entries)
  if (!read.ok) throw new Error(`${read.entry}: ${read.problem}`)
  return read.value
}

function judgeName(addresses: readonly string[], allowList = NOTHING_ALLOWED, name = "http://hooks.example/"): string {
  const verdict = judgeAddresses(endpointOf(name), addresses, allowList)
  return verdict.kind === "allowed" ? "allowed" : verdict.reason
}

function judgeText(text: string, allowList = NOTHING_ALLOWED): string {
  const verdict = judgeEndpoint(endpointOf(text), allowList)
  return verdict.kind === "allowed" ? "allowed" : verdict.reason
}

// Each is a way in which one person or another got past a guard. Reasons from the registries, not from the code.
const FORBIDDEN_ENDPOINTS: readonly (readonly [spelling: string, reason: string])[] = [
  ["http://127.0.0.1/", "loopback"],
  ["http://127.0.0.1./", "loopback"],
  ["http://127.0.0.1:8080/", "loopback"],
  ["http://127.1/", "loopback"],
  ["http://127.0.1/", "loopback"],
  ["http://127.255.255.254/", "loopback"],
  ["http://2130706433/", "loopback"],
  ["http://2130706433./", "loopback"],
  ["http://017700000001/", "loopback"],
  ["http://0177.0.0.1/", "loopback"],
  ["http://0177.0.0.01/", "loopback"],
  ["http://00000177.1/", "loopback"],
  ["http://0x7f000001/", "loopback"],
  ["http://0X7F.0x0.0x0.0x1/", "loopback"],
  ["http://0x7f.1/", "loopback"],
  ["http://0x7f.0.0.01/", "loopback"],
  ["http://127%2e0%2e0%2e1/", "loopback"],
  ["http://%31%32%37.0.0.1/", "loopback"],
  ["http://１２７.０.０.１/", "loopback"],
  ["http://①②⑦.⓪.⓪.①/", "loopback"],
  ["http://\u{1d7d9}27.0.0.1/", "loopback"],
  ["http://127。0。0。1/", "loopback"],
  ["http://127．0｡0.1/", "loopback"],
  ["http://0/", "unspecified"],
  ["http://0.0.0.0/", "unspecified"],
  ["http://0x/", "unspecified"],
  ["http://00/", "unspecified"],
  ["http://0.1.2.3/", "unspecified"],
  ["http://10.0.0.1/", "private"],
  ["http://10.255.255.255/", "private"],
  ["http://012.1/", "private"],
  ["http://167772161/", "private"],
  ["http://172.16.0.1/", "private"],
  ["http://172.31.255.255/", "private"],
  ["http://0xac.0x10.1/", "private"],
  ["http://192.168.1.1/", "private"],
  ["http://0300.0250.1/", "private"],
  ["http://100.64.0.1/", "shared"],
  ["http://100.100.100.200/", "shared"],
  ["http://100.127.255.255/", "shared"],
  ["http://169.254.169.254/", "linkLocal"],
  ["http://169.254.0.23/", "linkLocal"],
  ["http://2852039166/", "linkLocal"],
  ["http://0xa9fea9fe/", "linkLocal"],
  ["http://0251.0376.0251.0376/", "linkLocal"],
  ["http://169.254.43518/", "linkLocal"],
  ["http://192.0.0.192/", "reserved"],
  ["http://168.63.129.16/", "metadata"],
  ["http://192.0.2.1/", "documentation"],
  ["http://198.51.100.7/", "documentation"],
  ["http://203.0.113.9/", "documentation"],
  ["http://198.18.0.1/", "benchmarking"],
  ["http://198.19.255.255/", "benchmarking"],
  ["http://192.88.99.1/", "reserved"],
  ["http://224.0.0.1/", "multicast"],
  ["http://239.255.255.250/", "multicast"],
  ["http://240.0.0.1/", "reserved"],
  ["http://255.255.255.255/", "broadcast"],
  ["http://4294967295/", "broadcast"],
  ["http://[::]/", "unspecified"],
  ["http://[::1]/", "loopback"],
  ["http://[0:0:0:0:0:0:0:1]/", "loopback"],
  ["http://[0000::0001]:8080/", "loopback"],
  ["http://[::ffff:127.0.0.1]/", "loopback"],
  ["http://[::ffff:7f00:1]/", "loopback"],
  ["http://[0:0:0:0:0:FFFF:7F00:0001]/", "loopback"],
  ["http://[::ffff:10.1.2.3]/", "private"],
  ["http://[::ffff:a9fe:a9fe]/", "linkLocal"],
  ["http://[::ffff:0.0.0.0]/", "unspecified"],
  ["http://[::127.0.0.1]/", "embedded"],
  ["http://[::7f00:1]/", "embedded"],
  ["http://[::ffff:0:127.0.0.1]/", "embedded"],
  ["http://[64:ff9b::127.0.0.1]/", "loopback"],
  ["http://[64:ff9b::a9fe:a9fe]/", "linkLocal"],
  ["http://[64:ff9b::10.0.0.1]/", "private"],
  ["http://[64:ff9b:1::10.0.0.1]/", "embedded"],
  ["http://[2002:7f00:1::]/", "embedded"],
  ["http://[2002:a00:1::1]/", "embedded"],
  ["http://[2001:0:4136:e378:8000:63bf:f5ff:fffe]/", "embedded"],
  ["http://[2001:10::1]/", "reserved"],
  ["http://[2001:2::1]/", "benchmarking"],
  ["http://[2001:db8::1]/", "documentation"],
  ["http://[3fff::1]/", "documentation"],
  ["http://[100::1]/", "reserved"],
  ["http://[5f00::1]/", "notGlobal"],
  ["http://[4000::1]/", "notGlobal"],
  ["http://[fc00::1]/", "private"],
  ["http://[fd00:ec2::254]/", "private"],
  ["http://[fe80::1]/", "linkLocal"],
  ["http://[febf::1]/", "linkLocal"],
  ["http://[fec0::1]/", "private"],
  ["http://[ff02::1]/", "multicast"],
  ["http://1.1.1.1:22/", "port"],
  ["http://1.1.1.1:25/", "port"],
  ["http://hooks.example:465/", "port"],
  ["http://[2606:4700:4700::1111]:1023/", "port"],
]

test.each(FORBIDDEN_ENDPOINTS)("%s is forbidden: %s", (spelling, reason) => {
  expect(judgeText(spelling)).toBe(reason)
})

test.each([
  "http://hooks.example/",
  "http://hooks.example:443/",
  "http://hooks.example:8080/",
  "http://localhost.example:65535/",
  "http://127.0.0.1.nip.example/",
  "http://1.1.1.1/",
  "http://0x01010101/",
  "http://8.8.8.8:1024/",
  "http://9.255.255.255/",
  "http://11.0.0.0/",
  "http://100.63.255.255/",
  "http://100.128.0.0/",
  "http://126.255.255.255/",
  "http://128.0.0.0/",
  "http://169.253.255.255/",
  "http://169.255.0.0/",
  "http://172.15.255.255/",
  "http://172.32.0.0/",
  "http://192.0.1.0/",
  "http://192.167.255.255/",
  "http://192.169.0.0/",
  "http://198.17.255.255/",
  "http://198.20.0.0/",
  "http://168.63.129.17/",
  "http://223.255.255.255/",
  "http://[2606:4700:4700::1111]/",
  "http://[2400:da00::dbf:0:100]:8080/",
  "http://[2001:200::1]/",
  "http://[2003::1]/",
  "http://[::ffff:1.1.1.1]/",
  "http://[64:ff9b::8.8.8.8]/",
])("%s is allowed", (spelling) => {
  expect(judgeText(spelling)).toBe("allowed")
})

describe("the addresses of a name", () => {
  test("are allowed only together", () => {
    expect(judgeName(["1.1.1.1", "2606:4700:4700::1111"])).toBe("allowed")
    expect(judgeName(["1.1.1.1", "10.0.0.1"])).toBe("private")
    expect(judgeName(["::1", "1.1.1.1"])).toBe("loopback")
  })

  test("must be plain addresses", () => {
    for (const answer of ["", "hooks.example", "0x7f.1", "0177.0.0.1", "127.1", "1.1.1.1 ", "[::1]", "fe80::1%eth0"]) {
      expect(judgeName([answer]), answer).toBe("notAddress")
    }
    expect(judgeName([])).toBe("notAddress")
  })

  test("lie in the closed IPv4 networks exactly when Node's own matcher says so", () => {
    const closed = new BlockList()
    for (const text of [
      ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
      ...["192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
      ...["224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"],
    ]) {
      const [address = "", bits] = text.split("/")
      closed.addSubnet(address, Number(bits), "ipv4")
    }
    const near = fc.constantFrom(0, 9, 10, 100, 127, 169, 172, 192, 198, 203, 223, 224, 255)
    const second = fc.oneof(fc.constantFrom(0, 15, 16, 18, 31, 32, 51, 63, 64, 88, 168, 254), fc.nat(255))
    const octets = fc.tuple(
      fc.oneof(near, fc.nat(255)),
      second,
      fc.oneof(fc.constantFrom(0, 2, 99, 100, 113), fc.nat(255)),
    )
    fc.assert(
      fc.property(octets, fc.nat(255), (front, last) => {
        const address = [...front, last].join(".")
        const isClosed = closed.check(address, "ipv4")
        expect(judgeName([address]) !== "allowed").toBe(isClosed)
        expect(judgeName([`::ffff:${address}`]) !== "allowed").toBe(isClosed)
        expect(judgeName([`64:ff9b::${address}`]) !== "allowed").toBe(isClosed)
      }),
      { numRuns: 2_000 },
    )
  })

  test("in IPv6 are closed outside of 2000::/3, whatever their spelling", () => {
    const global = new BlockList()
    global.addSubnet("2000::", 3, "ipv6")
    const group = fc.nat(0xffff).map((value) => value.toString(16))
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const address = groups.join(":")
        if (!global.check(address, "ipv6")) expect(judgeName([address])).not.toBe("allowed")
        expect(judgeText(`http://[${address.toUpperCase()}]/`)).toBe(judgeName([address]))
      }),
    )
  })
})

describe("an operator's list", () => {
  test("opens networks and addresses at the ports that are open to all", () => {
    const list = allow("10.0.0.0/8", "127.0.0.1", "fd00::/8", "::1")
    for (const endpoint of [
      "http://10.1.2.3:8080/",
      "http://0x7f.1/",
      "http://[fd12::1]/",
      "http://[::1]:3000/",
      "http://[::ffff:10.0.0.1]/",
    ]) {
      expect(judgeText(endpoint, list), endpoint).toBe("allowed")
    }
    expect(judgeText("http://10.1.2.3:25/", list)).toBe("port")
    expect(judgeText("http://127.0.0.2/", list)).toBe("loopback")
    expect(judgeText("http://11.0.0.1/", list)).toBe("allowed")
    expect(judgeText("http://[fe80::1]/", list)).toBe("linkLocal")
    expect(judgeText("http://[64:ff9b::10.0.0.1]/", list)).toBe("private")
    expect(judgeName(["10.0.0.1", "127.0.0.1", "1.1.1.1"], list)).toBe("allowed")
    expect(judgeName(["10.0.0.1", "192.168.0.1"], list)).toBe("private")
  })

  test("opens one address at one port, also to names", () => {
    const list = allow("127.0.0.1:81", "[::1]:8080")
    expect(judgeText("http://127.0.0.1:81/", list)).toBe("allowed")
    expect(judgeText("http://127.0.0.1:82/", list)).toBe("port")
    expect(judgeText("http://127.0.0.1:8080/", list)).toBe("loopback")
    expect(judgeText("http://[::1]:8080/", list)).toBe("allowed")
    expect(judgeText("http://hooks.example:81/", list)).toBe("allowed")
    expect(judgeName(["127.0.0.1"], list, "http://hooks.example:81/")).toBe("allowed")
    expect(judgeName(["1.1.1.1"], list, "http://hooks.example:81/")).toBe("port")
  })

  test("opens one name at one port, to whatever it resolves", () => {
    const list = allow("Hooks.Example.:8080", "mail.example:25")
    expect(judgeName(["10.0.0.1", "::1"], list, "http://hooks.example:8080/")).toBe("allowed")
    expect(judgeName(["10.0.0.1"], list, "http://hooks.example:8081/")).toBe("private")
    expect(judgeName(["10.0.0.1"], list, "http://x.hooks.example:8080/")).toBe("private")
    expect(judgeName(["0x0a.1"], list, "http://hooks.example:8080/")).toBe("notAddress")
    expect(judgeText("http://mail.example:25/", list)).toBe("allowed")
    expect(judgeText("http://10.0.0.1:8080/", list)).toBe("private")
  })

  test("of 0.0.0.0/0 opens IPv4, and only that", () => {
    const list = allow("0.0.0.0/0")
    expect(judgeText("http://169.254.169.254/", list)).toBe("allowed")
    expect(judgeText("http://[::ffff:127.0.0.1]/", list)).toBe("allowed")
    expect(judgeText("http://[::1]/", list)).toBe("loopback")
    expect(judgeText("http://[::ffff:10.0.0.1]/", allow("::ffff:10.0.0.0/104"))).toBe("allowed")
    expect(judgeText("http://[::ffff:10.0.0.1]/", allow("::/0"))).toBe("private")
  })

  test.each([
    ["10.0.0.1/8", "hostBitsSet"],
    ["fd00::1/8", "hostBitsSet"],
    ["10.0.0.0/33", "prefixInvalid"],
    ["fd00::/129", "prefixInvalid"],
    ["10.0.0.0/", "prefixInvalid"],
    ["10.0.0.0/-1", "prefixInvalid"],
    ["10.0.0.0/8:80", "prefixInvalid"],
    ["10.0.0/8", "addressInvalid"],
    ["010.0.0.0/8", "addressInvalid"],
    ["hooks.example/8", "addressInvalid"],
    ["", "portMissing"],
    ["hooks.example", "portMissing"],
    ["10.0.0", "portMissing"],
    ["*:80", "hostInvalid"],
    ["hooks.example:0", "hostInvalid"],
    ["hooks.example:65536", "hostInvalid"],
    ["user@hooks.example:80", "hostInvalid"],
    ["hooks.example?:80", "hostInvalid"],
    ["hooks.example#:80", "hostInvalid"],
    ["hooks example:80", "hostInvalid"],
    ["[fe80::1%eth0]:80", "hostInvalid"],
  ])("refuses the entry %j: %s", (entry, problem) => {
    expect(readAllowList(["10.0.0.0/8", entry])).toEqual({ ok: false, entry, problem })
  })

  test("has a bound", () => {
    const entries = Array.from({ length: ALLOW_ENTRIES_MAX }, (_, n) => `10.0.0.${String(n)}`)
    expect(readAllowList(entries).ok).toBe(true)
    expect(readAllowList([...entries, "10.0.1.0"])).toEqual({ ok: false, entry: "10.0.1.0", problem: "tooManyEntries" })
  })
})
