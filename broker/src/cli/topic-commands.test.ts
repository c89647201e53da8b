/** The commands of topics against the real HTTP face and the real machine. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { afterAll, beforeAll, expect, test } from "vitest"
import { SECRET_ID, SECRET_KEY, openFace, type TestFace } from "../../test/conformance/kit/face.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { runCli } from "./program.ts"
import type { TerminalStreams } from "./terminal.ts"

let face: TestFace

beforeAll(async () => {
  face = await openFace("node")
  // The address that the test face names does not exist.
  face.broker.state.leader = undefined
})

afterAll(() => face.close())

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command in this process; a word with blanks stands in quotes. */
async function opencmq(args: string, input = ""): Promise<Outcome> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  stdin.end(input)
  const environment = {
    OPENCMQ_ENDPOINTS: `http://127.0.0.1:${String(face.port)}`,
    OPENCMQ_SECRET_ID: SECRET_ID,
    OPENCMQ_SECRET_KEY: SECRET_KEY,
  }
  const words = (args.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, "$1"))
  const code = await runCli(words, { stdin, stdout, stderr, environment } as unknown as TerminalStreams)
  const textOf = (stream: PassThrough): string => String(stream.read() ?? "")
  return { code, stdout: textOf(stdout), stderr: textOf(stderr) }
}

async function succeeds(args: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await opencmq(args, input)
  expect(code, `${args}: ${stderr}`).toBe(EXIT_CODES.ok)
  return stdout
}

async function json(args: string): Promise<unknown> {
  return JSON.parse(await succeeds(`${args} --format json`))
}

test("a topic is created, listed, shown, changed and deleted", async () => {
  expect(await succeeds("topic create news --max-size 2KiB")).toBe("created topic news\n")
  await succeeds("topic create routes --filter keys")
  expect(await succeeds("topic create news --if-not-exists")).toBe("topic news is there\n")
  expect((await opencmq("topic create news")).stderr).toMatch(/^opencmq: topic "news": .*\(topicAlreadyExists, 4460\//)
  expect(await succeeds("topic ls")).toBe("TOPIC   WAITING  FILTER\nnews          0  tags\nroutes        0  keys\n")
  await succeeds("topic set news --max-size 4096")
  expect(await succeeds("topic describe news")).toMatch(/^longest body +4096 bytes$/m)
  expect(await json("topic show routes")).toMatchObject({ topicName: "routes", filterType: "bindingKeys", msgCount: 0 })
  expect(await json("topic list --search out")).toMatchObject([{ topicName: "routes" }])
  const unasked = await opencmq("topic rm news")
  expect(unasked).toMatchObject({ code: EXIT_CODES.usage, stderr: expect.stringContaining("add --yes") as string })
  await succeeds("topic delete news --yes")
  await succeeds("topic rm routes --yes")
  expect(await opencmq("topic ls")).toMatchObject({ code: 0, stdout: "" })
})

test("what is published waits for a subscription or lies in its queue", async () => {
  const folder = mkdtempSync(join(tmpdir(), "opencmq-cli-"))
  const file = join(folder, "body.txt")
  writeFileSync(file, "from a file")
  await succeeds("topic create colours")
  expect(await opencmq("publish colours x")).toMatchObject({
    code: EXIT_CODES.failure,
    stderr: expect.stringContaining("opencmq subscription create colours NAME --queue QUEUE") as string,
  })
  await succeeds("queue create inbox")
  await succeeds("subscription create colours reds --queue inbox --tag red,crimson")
  await succeeds("sub create colours hook --url http://203.0.113.7/hook --retry backoff --content body")
  expect(await succeeds(`publish colours one --tag red --tag dark`)).toMatch(/^published \d+ to colours\n$/)
  await succeeds("publish colours --tag green", "from stdin")
  expect(await json(`publish colours --file ${file} --tag crimson --attr kind=file`)).toMatchObject({
    duplicate: false,
  })
  rmSync(folder, { recursive: true })
  expect(await succeeds("subscription ls colours")).toBe(
    [
      "SUBSCRIPTION  WAITING  TO                       WANTS",
      "hook                3  http://203.0.113.7/hook  everything",
      "reds                0  queue inbox              red, crimson",
      "",
    ].join("\n"),
  )
  expect(await json("receive inbox --max 16")).toMatchObject([
    { body: "one" },
    { body: "from a file", attributes: { kind: "file" } },
  ])
})

test("binding keys choose by the routing key", async () => {
  await succeeds("topic create orders --filter keys")
  await succeeds("queue create cn")
  await succeeds(`subscription create orders cn --queue cn --binding order.*.cn --binding audit.#`)
  await succeeds("publish orders hit --key order.1.cn")
  await succeeds("publish orders miss --key order.1.de")
  expect(await json("receive cn --max 16")).toMatchObject([{ body: "hit" }])
  expect(await json("subscription show orders cn")).toMatchObject({ bindingKeys: ["order.*.cn", "audit.#"] })
})

test("a subscription is shown, changed and ended", async () => {
  await succeeds("topic create alerts")
  await succeeds("subscription create alerts phones --url http://203.0.113.7/hook --tag a")
  await succeeds("subscription set alerts phones --retry backoff --tag b")
  const shown = await succeeds("subscription describe alerts phones")
  for (const line of [/^wants +b$/m, /^retry +backoff$/m, /^content +json$/m, /^to +http:\/\/203/m]) {
    expect(shown).toMatch(line)
  }
  await succeeds("subscription set alerts phones --no-tags")
  expect(await json("subscription show alerts phones")).toMatchObject({ filterTags: [] })
  for (const args of ["", " --tag x --no-tags"]) {
    expect((await opencmq(`subscription set alerts phones${args}`)).code, args).toBe(EXIT_CODES.usage)
  }
  expect(await opencmq("topic rm alerts --yes")).toMatchObject({
    code: EXIT_CODES.failure,
    stderr: expect.stringContaining("opencmq subscription ls alerts") as string,
  })
  await succeeds("subscription rm alerts phones --yes")
  const gone = await opencmq("subscription delete alerts phones --yes")
  expect(gone.code).toBe(EXIT_CODES.notFound)
  expect(gone.stderr).toMatch(/^opencmq: subscription "phones" of topic "alerts": /)
  await succeeds("topic rm alerts --yes")
})

test.for([
  ["topic show nowhere", EXIT_CODES.notFound, "opencmq topic create nowhere"],
  ["topic show 1st", EXIT_CODES.usage, "a name is 1 to 64 letters"],
  ["topic set news", EXIT_CODES.usage, "nothing to change"],
  ["subscription create t s", EXIT_CODES.usage, "add --queue QUEUE"],
  ["subscription create t s --queue q --url http://x", EXIT_CODES.usage, "cannot be used with"],
  ["publish t", EXIT_CODES.usage, "empty"],
] as const)("`%s` is refused with %i and a hint", async ([args, code, hint]) => {
  const outcome = await opencmq(args)
  expect(outcome.stderr).toContain(hint)
  expect(outcome.code).toBe(code)
})
