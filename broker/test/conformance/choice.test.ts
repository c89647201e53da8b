/** Which server carries the face, and what is said about it. */
import { expect, test } from "vitest"
import { makeServer } from "../../src/adapters/http/http-server.ts"
import { HTTP_SERVER_DEFAULTS } from "../../src/adapters/http/http-message.ts"
import type { HttpServerParts } from "../../src/adapters/http/http-message.ts"
import { SERVERS, TestLogger } from "./kit/face.ts"

function makeParts(): HttpServerParts & { readonly logger: TestLogger } {
  const reply = { status: 200, contentType: "text/plain", headers: [], body: "" }
  return {
    app: {
      serve: (_request, exchange) => {
        exchange.reply(reply)
      },
      needsHeaders: () => false,
      refusal: () => reply,
    },
    options: { ...HTTP_SERVER_DEFAULTS, maxBodyBytes: 1_000, maxUriBytes: 1_000 },
    logger: new TestLogger(),
  }
}

const cannotLoad = () => Promise.resolve({ error: new Error("GLIBC_2.38 not found") })

test("auto takes uWebSockets.js where it can be loaded, and says nothing", async () => {
  const parts = makeParts()
  expect((await makeServer("auto", parts)).kind).toBe(SERVERS[0])
  if (SERVERS[0] === "uws") expect(parts.logger.lines).toEqual([])
})

test("auto falls back to node:http with one line in the log", async () => {
  const parts = makeParts()
  const server = await makeServer("auto", parts, cannotLoad)
  expect(server.kind).toBe("node")
  expect(parts.logger.lines).toEqual(["uWebSockets.js cannot be loaded here, node:http takes its place"])
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 })
  expect((await fetch(`http://127.0.0.1:${String(port)}/`)).status).toBe(200)
  await server.close({ graceMs: 100 })
})

test("who asks for uWebSockets.js by name is told that it cannot be had", async () => {
  await expect(makeServer("uws", makeParts(), cannotLoad)).rejects.toThrow("uWebSockets.js cannot be loaded here")
})

test("who asks for node:http gets it without anything being loaded", async () => {
  const neverAsked = () => Promise.reject(new Error("asked"))
  expect((await makeServer("node", makeParts(), neverAsked)).kind).toBe("node")
})
