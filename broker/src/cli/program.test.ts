import { spawn } from "node:child_process"
import { readFileSync, mkdtempSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { fileURLToPath } from "node:url"
import type { Command } from "commander"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { ScriptedServer } from "../../../client-sdk/test-support/scripted-server.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { buildProgram, runCli } from "./program.ts"
import type { TerminalStreams } from "./terminal.ts"

let server: ScriptedServer

beforeAll(async () => {
  server = await ScriptedServer.start()
})

beforeEach(() => {
  server.state.queues.clear()
})

afterAll(() => server.close())

interface Surroundings {
  readonly environment?: Record<string, string>
  readonly stdin?: string | Buffer
  /** What a person writes; then all streams are terminals. */
  readonly answers?: string
}

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function environmentOf(given: Surroundings): Record<string, string> {
  const { secretId, secretKey, endpoints } = server
  const own = { OPENCMQ_ENDPOINTS: endpoints.join(","), OPENCMQ_SECRET_ID: secretId, OPENCMQ_SECRET_KEY: secretKey }
  return { ...own, ...given.environment }
}

function collected(stream: PassThrough): () => string {
  const chunks: Buffer[] = []
  stream.on("data", (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}

function stream(isTTY: boolean): PassThrough {
  return Object.assign(new PassThrough(), { isTTY })
}

/** Runs a command in this process, with streams of its own. */
async function opencmq(args: string, given: Surroundings = {}): Promise<Outcome> {
  const isTTY = given.answers !== undefined
  const [stdin, stdout, stderr] = [stream(isTTY), stream(isTTY), stream(isTTY)]
  const [readOut, readErr] = [collected(stdout), collected(stderr)]
  if (given.answers === undefined) stdin.end(given.stdin ?? "")
  else stdin.write(given.answers)
  const streams = { stdin, stdout, stderr, environment: environmentOf(given) } as unknown as TerminalStreams
  const words = (args.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, "$1"))
  const code = await runCli(words, streams)
  return { code, stdout: readOut(), stderr: readErr() }
}

async function succeeds(args: string, given?: Surroundings): Promise<string> {
  const { code, stdout, stderr } = await opencmq(args, given)
  expect(code, `${args}: ${stderr}`).toBe(0)
  return stdout
}

async function json(args: string, given?: Surroundings): Promise<unknown> {
  return JSON.parse(await succeeds(`${args} --format json`, given))
}

/** Runs the command as a process of its own, from its sources. */
function spawned(args: readonly string[], environment: Record<string, string> = {}): Promise<Outcome> {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url))
  return new Promise((resolve) => {
    const nodeFlags = ["--conditions=source", "--import", "tsx", main, ...args]
    const child = spawn(process.execPath, nodeFlags, {
      env: { PATH: process.env["PATH"], ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    })
    const [out, err]: [Buffer[], Buffer[]] = [[], []]
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk))
    child.on("close", (code) => {
      resolve({ code: code ?? -1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
    })
  })
}

// --- Queues ---------------------------------------------------------------------------------------------

test("a queue is created, listed, shown, changed and removed", async () => {
  await succeeds("queue create dead")
  await succeeds("queue create orders --visibility 1m --retention 2d --max-size 64KiB --dlq dead --max-receives 5")
  expect(await succeeds("queue ls")).toBe(
    [
      "QUEUE   ACTIVE  INACTIVE  DELAYED  OLDEST  DEAD LETTERS TO",
      "dead         0         0        0  -       -",
      "orders       0         0        0  -       dead",
      "",
    ].join("\n"),
  )
  expect(await succeeds("queue ls --names --search ord")).toBe("orders\n")
  const shown = await succeeds("queue show orders")
  expect(shown).toMatch(/^visibility timeout +1m$/m)
  expect(shown).toMatch(/^dead letters +to dead after 5 receives$/m)
  await succeeds("queue set orders --visibility 90 --no-dlq")
  expect(await json("queue show orders")).toMatchObject({
    queueName: "orders",
    visibilityTimeoutSeconds: 90,
    msgRetentionSeconds: 172_800,
  })
  expect(server.state.queue("orders")?.attributes.deadLetterPolicy).toBeUndefined()
  await succeeds("queue rm orders --yes")
  expect(await json("queue ls")).toMatchObject([{ queueName: "dead", activeMsgNum: 0 }])
})

test("a queue that is there is an error, unless that is wanted", async () => {
  await succeeds("queue create orders")
  const { code, stderr } = await opencmq("queue create orders")
  expect(code).toBe(EXIT_CODES.failure)
  expect(stderr).toMatch(/^opencmq: queue "orders": .*\(queueAlreadyExists, \d+\/\d+\)$/m)
  await succeeds("queue create orders --if-not-exists")
})

test("what destroys asks for the name on a terminal, and needs --yes elsewhere", async () => {
  await succeeds("queue create orders")
  const alone = await opencmq("queue purge orders")
  expect(alone).toMatchObject({ code: EXIT_CODES.usage, stdout: "" })
  expect(alone.stderr).toMatch(/would drop all messages of queue orders.*\n {2}add --yes/)
  const wrong = await opencmq("queue rm orders", { answers: "ordres\n" })
  expect(wrong.code).toBe(EXIT_CODES.failure)
  expect(wrong.stderr).toMatch(/not confirmed; nothing was changed/)
  expect(server.state.queue("orders")).toBeDefined()
  await succeeds("queue purge orders", { answers: "orders\n" })
  await succeeds("queue rm orders", { answers: "orders\n" })
  expect(server.state.queue("orders")).toBeUndefined()
})

test("half a dead-letter policy, or nothing to change, is wrong usage", async () => {
  for (const args of ["queue create a --dlq b", "queue create a --max-receives 3", "queue set a"]) {
    expect((await opencmq(args)).code, args).toBe(EXIT_CODES.usage)
  }
  expect((await opencmq("queue create a --dlq b --max-receives 3 --max-age 1h")).code).toBe(EXIT_CODES.usage)
  expect(server.state.queues.size).toBe(0)
})

// --- Messages -------------------------------------------------------------------------------------------

test("a message goes in by argument, stdin or file, and comes out", async () => {
  await succeeds("queue create orders")
  const file = join(mkdtempSync(join(tmpdir(), "opencmq-")), "body.txt")
  writeFileSync(file, "from a file")
  expect(await succeeds('send orders "hello, world"')).toMatch(/^sent \d+ to orders\n$/)
  await succeeds("send orders --attr colour=red --attr size=a=b", { stdin: "from stdin" })
  await succeeds(`send orders --file ${file}`)
  expect(server.bodiesOf("orders")).toEqual(["hello, world", "from stdin", "from a file"])
  expect(await json("receive orders --max 2")).toMatchObject([
    { body: "hello, world", dequeueCount: 1, receiptHandle: expect.stringMatching(/^\d+$/) as string },
    { body: "from stdin", attributes: { colour: "red", size: "a=b" } },
  ])
  const { stdout, stderr } = await opencmq("receive orders --ack")
  expect(stdout).toMatch(/^\d+ {2}sent 20.*Z {2}received 1x {2}handle \d+\nfrom a file\n$/)
  expect(stderr).toBe("deleted 1\n")
  expect(server.bodiesOf("orders")).toEqual(["hello, world", "from stdin"])
})

test("--count sends many, numbered, in batches", async () => {
  await succeeds("queue create orders")
  expect(await succeeds('send orders "order {{n}} of {{ n }}" --count 40')).toBe("sent 40 messages to orders\n")
  expect(server.bodiesOf("orders").toSorted()).toContain("order 40 of 40")
  expect(new Set(server.bodiesOf("orders")).size).toBe(40)
  expect(server.requestsOf("BatchSendMessage").length).toBeLessThan(10)
  const result = (await json("send orders x --count 3 --batch 1")) as { msgIds: string[] }
  expect(result).toMatchObject({ queueName: "orders", sent: 3, duplicates: 0 })
  expect(new Set(result.msgIds).size).toBe(3)
})

test("bytes that are no text come out whole", async () => {
  await succeeds("queue create orders")
  await succeeds("send orders", { stdin: Buffer.of(0xff, 0x00, 0xfe) })
  expect(await json("receive orders")).toMatchObject([{ bodyBase64: "/wD+" }])
})

test("a delayed message is not received, a peek shows it and changes nothing", async () => {
  await succeeds("queue create orders")
  await succeeds("send orders later --delay 10m")
  expect(await opencmq("receive orders --wait 0s")).toMatchObject({
    code: EXIT_CODES.timeoutOrEmpty,
    stderr: "no message in orders\n",
  })
  const peeked = await succeeds("peek orders")
  expect(peeked).toMatch(/^MESSAGE +AGE +RECEIVED +HIDDEN FOR +BODY\n\d+ .* later\n$/)
  expect(await json("peek orders --max 1")).toMatchObject({ messages: [{ body: "later", dequeueCount: 0 }] })
})

test("messages are deleted by their handles; a wrong one is told", async () => {
  await succeeds("queue create orders")
  for (const body of ["a", "b"]) await succeeds(`send orders ${body}`)
  const received = (await json("receive orders --max 2")) as { receiptHandle: string }[]
  const [first, second] = received.map(({ receiptHandle }) => receiptHandle)
  expect(await succeeds(`delete orders ${first ?? ""}`)).toBe("deleted 1 of 1\n")
  const { code, stdout, stderr } = await opencmq(`delete orders ${first ?? ""} ${second ?? ""}`)
  expect({ code, stdout }).toEqual({ code: EXIT_CODES.failure, stdout: "deleted 1 of 2\n" })
  expect(stderr).toMatch(/receiptHandleInvalid/)
  expect(server.bodiesOf("orders")).toEqual([])
})

test("a body shown by peek cannot move the cursor", async () => {
  await succeeds("queue create orders")
  await succeeds("send orders", { stdin: "\u001b[2Jgone\nsecond line" })
  expect(await succeeds("peek orders")).toContain("·[2Jgone·second line")
})

test("a body received on a terminal cannot move the cursor, a program gets it as it is", async () => {
  await succeeds("queue create orders")
  for (let i = 0; i < 2; i += 1) await succeeds("send orders", { stdin: "\u001b[2Jgone\tx\nsecond\u009b line" })
  expect(await succeeds("receive orders", { answers: "" })).toContain("\n·[2Jgone\tx\nsecond· line\n")
  expect(await succeeds("receive orders")).toContain("\n\u001b[2Jgone\tx\nsecond\u009b line\n")
})

// --- Failures and exit codes ----------------------------------------------------------------------------

test("a queue that does not exist is exit code 3, with what to do", async () => {
  for (const args of ["queue show nope", "send nope x", "receive nope", "peek nope", "queue rm nope --yes"]) {
    const { code, stdout, stderr } = await opencmq(args)
    expect({ code, stdout }, args).toEqual({ code: EXIT_CODES.notFound, stdout: "" })
    expect(stderr).toMatch(
      /^opencmq: queue "nope": .*\(queueNotFound, 4440\/10100\)\n {2}asked http:.*\n {2}to create it: opencmq queue create nope/,
    )
  }
})

test("a wrong key is exit code 4, and no key is printed", async () => {
  const { code, stderr } = await opencmq("queue ls", { environment: { OPENCMQ_SECRET_KEY: "not-the-key" } })
  expect(code).toBe(EXIT_CODES.authentication)
  expect(stderr).toMatch(/key pair: AKIDscripted; set OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY/)
  expect(stderr).not.toMatch(/not-the-key/)
  const half = await opencmq("queue ls", { environment: { OPENCMQ_SECRET_ID: "" } })
  expect(half).toMatchObject({ code: EXIT_CODES.usage, stderr: expect.stringMatching(/half a key pair/) as string })
})

test("no answer in time is exit code 5, no broker is exit code 1", async () => {
  const mute = createServer(() => undefined)
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve))
  const { port } = mute.address() as AddressInfo
  const silent = await opencmq(`queue show orders --timeout 1s -e http://127.0.0.1:${String(port)}`)
  mute.closeAllConnections()
  mute.close()
  expect(silent.code, silent.stderr).toBe(EXIT_CODES.timeoutOrEmpty)
  const nobody = await opencmq("queue ls -e http://127.0.0.1:1")
  expect(nobody.code).toBe(EXIT_CODES.failure)
  expect(nobody.stderr).toMatch(
    /is a broker running there\? endpoints: http:\/\/127\.0\.0\.1:1 \(--endpoint\); to start one: opencmq dev/,
  )
})

test("wrong usage is exit code 2 and says what is right", async () => {
  const cases: [string, RegExp][] = [
    ["", /Usage: opencmq/],
    ["quue ls", /Did you mean queue/],
    ["queue ls --formt json", /Did you mean --format/],
    ["queue ls --format xml", /table, json/],
    ["queue create", /missing required argument 'name'/],
    ["queue create 9lives", /"9lives" is not a queue name/],
    ["queue create a --visibility 13h", /A time from 1s to 12h is allowed/],
    ["queue create a --visibility soon", /as 30s, 5m, 12h or 4d/],
    ["queue create a --max-size 2MiB", /A size from 1024 to 1048576 bytes/],
    ["receive a --max 17", /A whole number from 1 to 16/],
    ["send a x --attr colour", /as colour=red/],
    ["send a x --file y", /which of them/],
    ["send a --file /does/not/exist", /--file \/does\/not\/exist cannot be read: ENOENT/],
    ["dev --nodes 2", /choices: 1, 3|1, 3/],
    ["healthcheck -e nonsense", /"nonsense" is no address/],
  ]
  for (const [args, words] of cases) {
    const { code, stdout, stderr } = await opencmq(args)
    expect({ code, stdout }, args).toEqual({ code: EXIT_CODES.usage, stdout: "" })
    expect(stderr, args).toMatch(words)
  }
})

test("wrong usage for a program is one line of JSON on stderr, too", async () => {
  for (const args of [
    "queue ls --formt x --format json",
    "queue create --format=json",
    "quue --format json",
    "queue --format json",
    "queue create a --visibility 13h --format json",
    "dev --json --nodes 2",
  ]) {
    const { code, stdout, stderr } = await opencmq(args)
    expect({ code, stdout }, args).toEqual({ code: EXIT_CODES.usage, stdout: "" })
    expect(JSON.parse(stderr), args).toMatchObject({ error: { name: "usage" } })
    expect(stderr.trimEnd(), args).not.toContain("\n")
  }
  const { stderr } = await opencmq("queue delete orders")
  expect(stderr).toMatch(/^opencmq: unknown command 'delete'\n\(Did you mean rm\?\)/)
})

test("hints for names: too early, capitals only, no name at all", async () => {
  await succeeds("queue create Orders --visibility 1m")
  const body = JSON.stringify({ code: 4440, message: "(10100)queue is not existed, or deleted", requestId: "1" })
  server.script("GetQueueAttributes", [{ kind: "answer", status: 200, body }])
  expect((await opencmq("queue show orders")).stderr).toMatch(/did you mean "Orders"\?/)
  expect((await opencmq("queue create 9abc")).stderr).toMatch(/a name is 1 to 64 letters, .* the first a letter/)
  expect(await opencmq("queue create Orders --if-not-exists --visibility 2m --rewind 0s")).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(
      /^opencmq: queue Orders is there with visibilityTimeoutSeconds 60, not 120\n {2}it/,
    ) as string,
  })
  expect(await opencmq("queue create Orders --if-not-exists --visibility 1m")).toMatchObject({ code: 0, stderr: "" })
  expect(await succeeds("explain networkFailed")).toMatch(/^exit code +1$/m)
  expect(await succeeds("explain timedout")).toMatch(/^exit code +5$/m)
})

test("a failure for a program is one line of JSON on stderr", async () => {
  const { code, stdout, stderr } = await opencmq("queue show nope --format json")
  expect({ code, stdout }).toEqual({ code: EXIT_CODES.notFound, stdout: "" })
  const told = JSON.parse(stderr) as unknown
  expect(told).toMatchObject({
    error: { name: "queueNotFound", code: 4440, moduleCode: 10100, retriable: false, outcome: "notApplied" },
  })
})

// --- The rest -------------------------------------------------------------------------------------------

test("healthcheck says by its exit code whether a broker is ready", async () => {
  let answer: { status: number; text: string } | undefined = { status: 200, text: "ok" }
  const health = createServer((_request, response) => {
    if (answer !== undefined) response.writeHead(answer.status).end(answer.text)
  })
  await new Promise<void>((resolve) => health.listen(0, "127.0.0.1", resolve))
  const { port } = health.address() as AddressInfo
  const endpoint = `http://127.0.0.1:${String(port)}`
  expect(await opencmq(`healthcheck -e ${endpoint}`)).toMatchObject({ code: 0, stdout: `ready: ${endpoint}\n` })
  const own = { OPENCMQ_ENDPOINTS: "", OPENCMQ_HTTP_PORT: String(port) }
  expect(await opencmq("healthcheck", { environment: own })).toMatchObject({ code: 0 })
  answer = { status: 503, text: "no leader" }
  expect(await opencmq(`healthcheck -e ${endpoint}`)).toMatchObject({
    code: 1,
    stdout: `not ready: ${endpoint}: no leader (503)\n`,
  })
  answer = undefined
  expect((await opencmq(`healthcheck -e ${endpoint} --timeout 1s`)).code).toBe(EXIT_CODES.timeoutOrEmpty)
  health.closeAllConnections()
  health.close()
  expect((await opencmq("healthcheck -e http://127.0.0.1:1")).code).toBe(EXIT_CODES.failure)
})

test("cluster status shows facts and nodes, also those this version does not know", async () => {
  const cluster = {
    clusterId: "c",
    leaderId: 2,
    news: { a: 1 },
    nodes: [
      { nodeId: 1, role: "follower", reachable: true },
      { nodeId: 2, role: "leader" },
    ],
  }
  const body = JSON.stringify({ code: 0, message: "", requestId: "1", cluster })
  server.script(
    "GetClusterStatus",
    [0, 1].map(() => ({ kind: "answer", status: 200, body }) as const),
  )
  expect(await succeeds("cluster status")).toBe(
    [
      "cluster id  c",
      "leader id   2",
      'news        {"a":1}',
      "",
      "NODE ID  ROLE      REACHABLE",
      "      1  follower  yes",
      "      2  leader    -",
      "",
    ].join("\n"),
  )
  expect(await json("cluster status")).toEqual(cluster)
})

test("an error is explained by name, code, module code, or both", async () => {
  expect(await succeeds("explain queueNotFound")).toMatch(/^CMQ +code 4440, module code 10100$/m)
  expect(await succeeds("explain 4440/10100")).toMatch(/^name +queueNotFound$/m)
  expect(((await json("explain 4440")) as unknown[]).length).toBeGreaterThan(1)
  expect(await opencmq("explain queuNotFound")).toMatchObject({
    code: EXIT_CODES.notFound,
    stderr: expect.stringMatching(/did you mean "queueNotFound"/) as string,
  })
})

test("config shows what a server would get, and says what is wrong", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "opencmq-")), "opencmq.yaml")
  writeFileSync(file, "nodeId: 2\npeers: 1=a:1,2=b:1\n")
  const shown = await succeeds(`config show --origin --config ${file} --log-level debug`)
  expect(shown).toMatch(new RegExp(`^nodeId +2 +${file}:1$`, "m"))
  expect(shown).toMatch(/^logLevel +debug +flag --log-level$/m)
  expect(shown).toMatch(/^secretKey +\[hidden\] +OPENCMQ_SECRET_KEY$/m)
  expect(await succeeds(`config check --config ${file}`)).toBe("the options are right\n")
  writeFileSync(file, "nodID: 2\n")
  const wrong = await opencmq(`config check --config ${file}`)
  expect(wrong.code).toBe(EXIT_CODES.usage)
  expect(wrong.stderr).toContain(`nodID (${file}:1): unknown option; did you mean "nodeId"?`)
  expect((await opencmq("server --node-id 0")).code).toBe(EXIT_CODES.usage)
  expect((await opencmq("config check --config /does/not/exist")).stderr).toMatch(
    /--config \/does\/not\/exist cannot be read/,
  )
  const contradiction = await opencmq("config show --grpc-port 7070")
  expect(contradiction).toMatchObject({
    code: EXIT_CODES.usage,
    stdout: expect.stringMatching(/^grpcPort +7070$/m) as string,
  })
})

test("as a process: results on stdout, words on stderr, the exit code as documented", async () => {
  const environment = { ...environmentOf({}), NO_COLOR: "1" }
  const [version, help, usage, missing] = await Promise.all([
    spawned(["version", "--format", "json"]),
    spawned(["--help"]),
    spawned(["receive"]),
    spawned(["queue", "show", "nope"], environment),
  ])
  expect(version).toMatchObject({ code: 0, stderr: "" })
  expect(JSON.parse(version.stdout)).toMatchObject({ opencmq: "0.1.0", node: process.version })
  expect(help).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^Usage: opencmq/) as string })
  expect(usage).toMatchObject({ code: 2, stdout: "" })
  expect(missing).toMatchObject({ code: 3, stdout: "" })
}, 60_000)

test("docs/cli.md names every command and every exit code", () => {
  const page = readFileSync(new URL("../../../docs/cli.md", import.meta.url), "utf8")
  const program = buildProgram(() => () => Promise.resolve(), process)
  for (const path of pathsOf(program)) expect(page).toContain(`\`${path}`)
  for (const code of Object.values(EXIT_CODES)) expect(page).toMatch(new RegExp(`^\\| ${String(code)} \\|`, "m"))
})

function pathsOf(command: Command): string[] {
  const [name, children] = [command.name(), command.commands]
  return children.length === 0 ? [name] : children.flatMap(pathsOf).map((path) => `${name} ${path}`)
}
