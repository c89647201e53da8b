/** Probes, metrics and the page at `/`, over both servers. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { CmqClient } from "./kit/client.ts"
import type { Answer } from "./kit/client.ts"
import { SERVERS, openFace } from "./kit/face.ts"
import type { TestFace } from "./kit/face.ts"

describe.each(SERVERS)("over %s", (server) => {
  let face: TestFace
  let client: CmqClient
  beforeAll(async () => {
    face = await openFace(server)
    client = new CmqClient(face.port)
  })
  afterAll(() => face.close())

  function get(target: string, method = "GET"): Promise<Answer> {
    return client.send({ method, target, headers: { host: "x" }, body: "" })
  }

  test("a node that is not ready lives; once it was ready it has started", async () => {
    face.broker.state.notReady = "no leader"
    expect(await get("/livez")).toMatchObject({ status: 200, text: "ok\n" })
    expect(await get("/readyz")).toMatchObject({ status: 503, text: "not ok: no leader\n" })
    expect(await get("/startupz")).toMatchObject({ status: 503 })
    face.broker.state.notReady = undefined
    expect(await get("/readyz?verbose")).toMatchObject({
      status: 200,
      text: "ok\nversion: 0.0.0\nleader: 127.0.0.1:7070\n",
    })
    face.broker.state.notReady = "catching up"
    expect(await get("/startupz")).toMatchObject({ status: 200 })
    expect(await get("/readyz?x=1&verbose=1")).toMatchObject({ status: 503 })
    face.broker.state.notReady = undefined
    expect(await get("/livez", "POST")).toMatchObject({ status: 405 })
  })

  test("HEAD answers without a body, and the connection goes on", async () => {
    expect(await get("/livez", "HEAD")).toMatchObject({ status: 200, text: "" })
    expect(await get("/livez", "HEAD")).toMatchObject({ status: 200, text: "" })
    expect(await get("/livez")).toMatchObject({ status: 200, text: "ok\n" })
  })

  test("GET / without anything is a page for people; with anything it is a request", async () => {
    const page = await get("/")
    expect(page.status).toBe(200)
    expect(page.headers["content-type"]).toContain("text/plain")
    expect(page.text).toContain("OpenCMQ 0.0.0")
    expect((await get("/?x=1")).json).toMatchObject({ code: 4000, message: "(10280)action is not existed" })
    expect((await get("/v2/index.php")).json).toMatchObject({ code: 4000 })
  })

  test("what is mounted gets its path, those below it, and all headers when it asks", async () => {
    face.face.mount({
      path: "/console/*",
      needsHeaders: true,
      serve: (request, exchange) => {
        const body = `${request.method} ${request.path} ${request.header("x-test")} ${request.header("none")}|${request.remoteAddress()}`
        exchange.reply({ status: 200, contentType: "text/plain", headers: ["x-mounted", "yes"], body })
      },
    })
    for (const target of ["/console", "/console/", "/console/a/b?c=d"]) {
      const headers = { host: "x", "x-test": "Té" }
      const answer = await client.send({ method: "GET", target, headers: { ...headers, "x-test": "T" }, body: "" })
      expect(answer.text).toBe(`GET ${target.split("?")[0] ?? ""} T |127.0.0.1`)
      expect(answer.headers["x-mounted"]).toBe("yes")
    }
    expect((await get("/consoles")).status).toBe(404)
    expect(() => {
      face.face.mount({ path: "/livez", serve: () => undefined })
    }).toThrow("mounted twice")
  })

  test("metrics count what was done, by action and code, in Prometheus' form", async () => {
    for (const queueName of ["many", "few", "none"]) await client.ok("CreateQueue", { queueName })
    await client.ok("BatchSendMessage", { queueName: "many", msgBody: ["a", "b", "c"] })
    await client.ok("SendMessage", { queueName: "few", msgBody: "a" })
    await client.code("SendMessage", { queueName: "absent", msgBody: "a" })
    await new CmqClient(face.port, {}, { secretId: "AKIDx", secretKey: "y" }).code("ListQueue")
    const { status, headers, text } = await get("/metrics")
    expect(status).toBe(200)
    expect(headers["content-type"]).toContain("text/plain; version=0.0.4")
    for (const line of text.trimEnd().split("\n")) {
      expect(line).toMatch(/^$|^# (HELP|TYPE) opencmq_[a-z_]+ .+|^opencmq_[a-z_]+(\{[^}]*\})? [0-9.e+-]+$/)
    }
    expect(text).toContain(`opencmq_build_info{version="0.0.0",commit="test",node="1"} 1`)
    expect(text).toContain(`opencmq_request_duration_seconds_count{api="http",operation="CreateQueue",code="0"} 3`)
    expect(text).toContain(`opencmq_request_duration_seconds_count{api="http",operation="SendMessage",code="4440"} 1`)
    expect(text).toContain(`le="+Inf",api="http"`.split(",")[0])
    expect(text).toContain(`opencmq_auth_failures_total{api="http",reason="signature"} 1`)
    expect(text).toMatch(/opencmq_connections\{api="http"\} [1-9]/)
    expect(text).toContain(`opencmq_requests_in_flight{api="http"} 0`)
  })

  test("of queues only the largest are on /metrics, all are on /metrics/queues", async () => {
    const { text } = await get("/metrics")
    expect(text).toContain(`opencmq_queue_messages{queue="many",state="visible"} 3`)
    expect(text).toContain(`opencmq_queue_messages{queue="few",state="visible"} 1`)
    expect(text).not.toContain(`queue="none"`)
    const all = (await get("/metrics/queues")).text
    for (const queue of ["many", "few", "none"])
      expect(all).toContain(`opencmq_queue_info{queue="${queue}",dead_letter_queue=""} 1`)
    expect(all).not.toContain("opencmq_raft_term")
  })
})
