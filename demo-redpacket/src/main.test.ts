import { spawn } from "node:child_process"
import { once } from "node:events"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { ScriptedServer } from "../../client-sdk/test-support/scripted-server.ts"

const program = fileURLToPath(new URL("main.ts", import.meta.url))

async function runMain(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, ["--conditions=source", "--import", "tsx", program, ...args], {
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const exit = once(child, "exit") as Promise<[code: number | null]>
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  return { stdout, stderr, code }
}

test("against brokers that run already it prints the count and exits with 0", { timeout: 60_000 }, async () => {
  await using server = await ScriptedServer.start({ nodes: 2, namesLeader: true })
  const { stdout, stderr, code } = await runMain(
    ["--packets", "50", "--seed", "3", "--format", "json", "--endpoints", server.endpoints.join(",")],
    { OPENCMQ_SECRET_ID: server.secretId, OPENCMQ_SECRET_KEY: server.secretKey },
  )
  expect(stderr).toBe("")
  expect(JSON.parse(stdout)).toMatchObject({
    packets: 50,
    shares: 100,
    lost: 0,
    isRight: true,
    seed: 3,
    leadersKilled: 0,
  })
  expect(code).toBe(0)
})

test("what cannot run says why and exits with 2", { timeout: 60_000 }, async () => {
  const missingKeys = await runMain(["--endpoints", "http://127.0.0.1:1"])
  expect([missingKeys.code, missingKeys.stdout]).toEqual([2, ""])
  expect(missingKeys.stderr).toContain("OPENCMQ_SECRET_ID")
  const badNumber = await runMain(["--packets", "1e3"])
  expect(badNumber.code).toBe(2)
  expect(badNumber.stderr).toContain("a whole number from 1")
})
