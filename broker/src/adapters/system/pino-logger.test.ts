import { expect, test } from "vitest"
import { createPinoLogger, type PinoLoggerOptions } from "./pino-logger.ts"

async function logger(options: Partial<PinoLoggerOptions> = {}) {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const log = await createPinoLogger({ level: "info", format: "auto", fields: { node: 1 }, destination, ...options })
  const records = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  return { log, lines, records }
}

test("a line is JSON with level, time, node, the fields and the text", async () => {
  const { log, records } = await logger()
  log.child({ setId: 0 }).info({ term: 3 }, "became leader")
  expect(records()).toEqual([
    {
      level: "info",
      time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      node: 1,
      setId: 0,
      term: 3,
      msg: "became leader",
    },
  ])
})

test("live fields are in every line as they are then, unless the line says otherwise", async () => {
  let term = 3
  const { log, records } = await logger({ live: () => ({ term }) })
  log.info({}, "a")
  term = 4
  log.child({ requestId: "r1" }).warn({ peer: 2 }, "b")
  log.info({ term: 2 }, "c")
  expect(records().map(({ level, msg, term: shown, requestId }) => [level, msg, shown, requestId])).toEqual([
    ["info", "a", 3, undefined],
    ["warn", "b", 4, "r1"],
    ["info", "c", 2, undefined],
  ])
})

test("what is below the level is not written", async () => {
  const { log, lines } = await logger({ level: "warn" })
  log.debug({}, "a")
  log.info({}, "b")
  log.warn({}, "c")
  log.error({}, "d")
  expect(lines).toHaveLength(2)
})

test("secrets and bodies are hidden by name, byte arrays are shown by length", async () => {
  const { log, lines, records } = await logger()
  const secrets = { secretKey: "k3y", body: "hello", options: { peerSecret: "p33r", secretKey: "k3y" } }
  log.info({ ...secrets, payload: Buffer.from("hello") }, "x")
  log.child({ token: "t0ken" }).info({}, "y")
  expect(lines.join("")).not.toMatch(/k3y|hello|p33r|t0ken/)
  expect(records()[0]).toMatchObject({
    secretKey: "[hidden]",
    payload: "<5 bytes>",
    options: { peerSecret: "[hidden]" },
  })
})

test("an error is shown with code, cause and stack", async () => {
  const { log, records } = await logger()
  log.error({ error: new Error("outer", { cause: Object.assign(new Error("inner"), { code: "EIO" }) }) }, "stopped")
  expect(records()[0]).toMatchObject({ error: { message: "outer", cause: { message: "inner", code: "EIO" } } })
})

test("pretty lines are text", async () => {
  const { log, lines } = await logger({ format: "pretty" })
  log.warn({ peer: 2 }, "peer connection lost")
  expect(lines.join("")).toMatch(/WARN.*peer connection lost.*\{"node":1,"peer":2\}/)
})
