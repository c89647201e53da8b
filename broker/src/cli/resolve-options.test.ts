import { readFileSync, writeFileSync } from "node:fs"
import { LIMITS, LIMIT_NAMES, limitRow } from "@opencmq/proto"
import { expect, test } from "vitest"
import {
  DEVELOPMENT_SECRET_ID,
  DEVELOPMENT_SECRET_KEY,
  OPTION_NAMES,
  clusterConfigHash,
  environmentNameOf,
  flagOf,
  optionRow,
  optionText,
} from "../options.ts"
import { parseConfigFile } from "./config-file.ts"
import { nearest } from "./nearest.ts"
import { optionsPage } from "./options-page.ts"
import { resolveOptions, type OptionSources } from "./resolve-options.ts"

const keys = { OPENCMQ_SECRET_ID: "id", OPENCMQ_SECRET_KEY: "key" }

function resolved(sources: Partial<OptionSources> = {}) {
  return resolveOptions({ flags: {}, environment: keys, file: undefined, ...sources })
}

function options(sources: Partial<OptionSources> = {}) {
  const result = resolved(sources)
  if (!result.ok) throw new Error(result.problems.join("\n"))
  return result
}

function problems(sources: Partial<OptionSources> = {}): readonly string[] {
  const result = resolved(sources)
  return result.ok ? [] : result.problems
}

function file(text: string) {
  return parseConfigFile("opencmq.yaml", text)
}

test("with a key pair alone everything else is as the table says", () => {
  const { options: found, origins, warnings } = options()
  for (const name of OPTION_NAMES) {
    if (name === "secretId" || name === "secretKey") continue
    expect(found[name], name).toEqual(optionRow(name).default)
    expect(origins[name]).toBe("default")
  }
  expect(found).toMatchObject({ secretId: "id", secretKey: "key" })
  expect(origins.secretKey).toBe("OPENCMQ_SECRET_KEY")
  expect(warnings).toEqual([])
})

test("a flag goes before the environment, that before the file, that before the default", () => {
  const text = "# a cluster\nnodeId: 4\nhttpPort: 8000\ngrpcPort: 8001\n"
  const environment = { ...keys, OPENCMQ_NODE_ID: "3", OPENCMQ_HTTP_PORT: "9000" }
  const { options: found, origins } = options({ flags: { nodeId: "2" }, environment, file: file(text) })
  expect(found).toMatchObject({ nodeId: 2, httpPort: 9000, grpcPort: 8001, peerPort: 7072 })
  expect(origins).toMatchObject({
    nodeId: "flag --node-id",
    httpPort: "OPENCMQ_HTTP_PORT",
    grpcPort: "opencmq.yaml:4",
    peerPort: "default",
  })
})

test("an empty variable counts as not set", () => {
  expect(options({ environment: { ...keys, OPENCMQ_NODE_ID: "" } }).options.nodeId).toBe(1)
})

test("peers are read from a line and from a mapping, in order of their ids", () => {
  const expected = [
    { id: 1, host: "a.example", port: 7072 },
    { id: 2, host: "::1", port: 7172 },
  ]
  expect(options({ flags: { peers: "2=[::1]:7172, 1=a.example:7072" } }).options.peers).toEqual(expected)
  const text = 'peers:\n  1: a.example:7072\n  2: "[::1]:7172"\n'
  expect(options({ file: file(text) }).options.peers).toEqual(expected)
})

test("a value that is not allowed is named with its place and with what is allowed", () => {
  const cases: [Partial<OptionSources>, string][] = [
    [{ flags: { nodeId: "0" } }, 'nodeId (flag --node-id): "0" is not allowed; a whole number from 1 to 65535'],
    [
      { environment: { ...keys, OPENCMQ_TICK_MS: "50ms" } },
      'tickMs (OPENCMQ_TICK_MS): "50ms" is not allowed; a whole number from 5 to 1000 (milliseconds)',
    ],
    [
      { file: file("logLevel: loud") },
      'logLevel (opencmq.yaml:1): "loud" is not allowed; one of debug, info, warn, error, silent',
    ],
    [{ file: file("inMemory: perhaps") }, 'inMemory (opencmq.yaml:1): "perhaps" is not allowed; true or false'],
    [
      { file: file("\nclusterId: 5") },
      "clusterId (opencmq.yaml:2): 5 is not allowed; 1 to 64 letters, digits, `.`, `_`, `-`, as a text: put it in quotes",
    ],
    [
      { flags: { peers: "1=here" } },
      'peers (flag --peers): "1=here" is not allowed; a list as 1=host:port,2=host:port, each id (1 to 65535) once',
    ],
    [
      { flags: { peers: "1=a:1,1=b:1" } },
      'peers (flag --peers): "1=a:1,1=b:1" is not allowed; a list as 1=host:port,2=host:port, each id (1 to 65535) once',
    ],
  ]
  for (const [sources, problem] of cases) expect(problems(sources)).toEqual([problem])
})

test("a secret that is not allowed is not repeated", () => {
  const [problem] = problems({ environment: { ...keys, OPENCMQ_PEER_SECRET: "short" } })
  expect(problem).toBe("peerSecret (OPENCMQ_PEER_SECRET): its value is not allowed; 16 to 256 ASCII characters")
})

test("an unknown key of the file is refused with its line and a guess", () => {
  expect(problems({ file: file("nodeId: 1\n\nelectionTimeotMs: 5\n") })).toEqual([
    'electionTimeotMs (opencmq.yaml:3): unknown option; did you mean "electionTimeoutMs"?',
  ])
  expect(problems({ file: file("colour: red") })).toEqual(["colour (opencmq.yaml:1): unknown option"])
})

test("an unknown variable is warned of, with a guess", () => {
  const { warnings } = options({ environment: { ...keys, OPENCMQ_NODEID: "2", OPENCMQ_ENDPOINTS: "x", HOME: "/" } })
  expect(warnings).toEqual([
    'OPENCMQ_NODEID (environment): unknown variable, left alone; did you mean "OPENCMQ_NODE_ID"?',
  ])
})

test("a file that is no YAML, no mapping, or has a key twice is refused with the line", () => {
  expect(problems({ file: file("nodeId: 1\nclusterId: [a\n") })[0]).toMatch(/^opencmq\.yaml:\d: /)
  expect(problems({ file: file("nodeId: 1\nnodeId: 2\n") })[0]).toMatch(/^opencmq\.yaml:2: .*unique/)
  expect(problems({ file: file("- 1\n- 2\n") })[0]).toMatch(/^opencmq\.yaml:1: /)
  expect(problems({ file: file("# nothing\n") })).toEqual([])
})

test("all problems are told at once", () => {
  expect(problems({ flags: { nodeId: "x" }, file: file("httpPort: -1\nfoo: 1\n") })).toHaveLength(3)
})

test("options that contradict each other are refused", () => {
  const cases: [Partial<OptionSources>, RegExp][] = [
    [{ flags: { nodeId: "4", peers: "1=a:1,2=b:1,3=c:1" } }, /peers.*node 4 itself is missing/],
    [{ environment: {} }, /no key pair/],
    [{ environment: { OPENCMQ_SECRET_ID: "x" } }, /secretKey: is missing/],
    [{ environment: {}, flags: { devMode: "true", httpHost: "0.0.0.0" } }, /is public/],
    [{ environment: {}, flags: { devMode: "true", tcpHost: "0.0.0.0" } }, /is public, and tcpHost/],
    [{ flags: { tcpPort: "7070" } }, /tcpPort.*is httpPort already/],
    [{ flags: { tcpAddress: "[::1]:7073" } }, /tcpAddress.*no IPv6/],
    [{ flags: { heartbeatMs: "40" } }, /heartbeatMs.*tickMs/],
    [{ flags: { electionTimeoutMs: "250" } }, /electionTimeoutMs.*3 x heartbeatMs/],
    [{ flags: { grpcPort: "7070" } }, /grpcPort.*is httpPort already/],
  ]
  for (const [sources, words] of cases) {
    expect(problems(sources), String(words)).toEqual([expect.stringMatching(words)])
  }
  expect(problems({ environment: {}, flags: { allowAnonymous: "true" } })).toEqual([])
  expect(problems({ flags: { httpPort: "0", grpcPort: "0", peerPort: "0" } })).toEqual([])
})

test("development mode brings the public key pair, unless there is one", () => {
  const flags = { devMode: "true" }
  const { options: dev, origins } = options({ environment: {}, flags })
  expect(dev).toMatchObject({ secretId: DEVELOPMENT_SECRET_ID, secretKey: DEVELOPMENT_SECRET_KEY })
  expect(origins.secretKey).toBe("default of devMode")
  expect(options({ flags }).options.secretKey).toBe("key")
})

test("what may be meant and often is not is warned of", () => {
  const hosts = { httpHost: "0.0.0.0", peerHost: "0.0.0.0" }
  const flags = { peers: "1=a:1,2=b:1", inMemory: "true", allowAnonymous: "true", ...hosts }
  expect(options({ flags }).warnings).toHaveLength(5)
  const known = { ...flags, httpAddress: "http://10.0.0.1:7070" }
  expect(options({ flags: known }).warnings.join()).not.toMatch(/httpAddress/)
})

test("flags and variables follow from the name, and secrets are never shown", () => {
  expect(flagOf("timestampWindowSeconds")).toBe("--timestamp-window-seconds")
  expect(environmentNameOf("timestampWindowSeconds")).toBe("OPENCMQ_TIMESTAMP_WINDOW_SECONDS")
  expect(optionText("secretKey", "k")).toBe("[hidden]")
  expect(optionText("peers", [{ id: 2, host: "::1", port: 7 }])).toBe("2=[::1]:7")
})

test("the hash of what nodes must agree on follows those options and the ids, not the addresses", () => {
  const hash = (flags: Record<string, string>) => clusterConfigHash(options({ flags }).options)
  const base = hash({ peers: "1=a:1,2=b:1,3=c:1" })
  expect(base).toMatch(/^[0-9a-f]{16}$/)
  expect(hash({ peers: "1=x:9,2=b:1,3=c:1", httpPort: "1" })).toBe(base)
  expect(hash({ peers: "1=a:1,2=b:1" })).not.toBe(base)
  expect(hash({ peers: "1=a:1,2=b:1,3=c:1", tickMs: "20" })).not.toBe(base)
})

test("defaults are allowed values, and every option has its help", () => {
  for (const name of OPTION_NAMES) {
    const row = optionRow(name)
    expect(row.help, name).toMatch(/\.$|`$/)
    if (row.kind === "integer") {
      expect(row.default).toBeGreaterThanOrEqual(row.min)
      expect(row.default).toBeLessThanOrEqual(row.max)
    }
    if (row.kind === "text" && row.default !== undefined) expect(row.default).toMatch(row.pattern)
    if (row.kind === "choice") expect(row.choices).toContain(row.default)
  }
})

test("what docs/limits.md calls set by operator is an option with that range, and nothing else is", () => {
  const isOption = (name: string) => OPTION_NAMES.some((option) => option === name)
  expect(LIMIT_NAMES.filter((name) => limitRow(name).isConfigurable)).toEqual(LIMIT_NAMES.filter(isOption))
  for (const name of OPTION_NAMES) {
    if (!Object.hasOwn(LIMITS, name)) continue
    const { max, unit, default: usual, ...limit } = limitRow(name as keyof typeof LIMITS)
    // 0 = the time is not looked at; the limits table has the window alone.
    const min = name === "timestampWindowSeconds" ? 0 : limit.min
    expect(optionRow(name), name).toMatchObject({ min, max, unit, default: usual })
  }
})

test("a slip of the finger finds its word, another word does not", () => {
  const words = ["nodeId", "dataDir", "httpPort"]
  expect(nearest("ndoeId", words)).toBe("nodeId")
  expect(nearest("datadir", words)).toBe("dataDir")
  expect(nearest("colour", words)).toBeUndefined()
})

test("docs/options.md is what the table says", () => {
  const page = new URL("../../../docs/options.md", import.meta.url)
  if (process.env["UPDATE"] === "1") writeFileSync(page, optionsPage())
  const text = readFileSync(page, "utf8")
  expect(text).toBe(optionsPage())
  const described = [...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
  expect(described.toSorted()).toEqual([...OPTION_NAMES].toSorted())
})
