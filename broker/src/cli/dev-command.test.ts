import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { LogStoreError } from "../adapters/log/log-options.ts"
import { LevelStoreError } from "../adapters/store/level-store.ts"
import { parseDevCommand } from "./dev-command.ts"
import { checkDevData, claimDevData } from "./dev-data.ts"
import { DataDisagreement } from "../node/node-boot.ts"
import { checkListen, operatorError } from "./start-failure.ts"

let folder = ""

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opencmq-dev-"))
})

afterEach(() => {
  rmSync(folder, { recursive: true })
})

test("commands of people and of programs say the same", () => {
  expect(parseDevCommand(" kill  2 ", false)).toEqual({ name: "kill", node: 2 })
  expect(parseDevCommand('{"command":"kill","node":2}', true)).toEqual({ name: "kill", node: 2 })
  expect(parseDevCommand("quit", false)).toEqual({ name: "quit" })
  expect(parseDevCommand('{"command":"shutdown"}', true)).toEqual({ name: "quit" })
})

test("what is no command is refused with a reason", () => {
  for (const line of ["kill", "kill two", "start 1 2", "dance 1", "{}"]) {
    expect(parseDevCommand(line, false), line).toMatchObject({ name: "refused" })
  }
  for (const line of ["kill 2", "null", '{"command":"kill"}', '{"command":"kill","node":"2"}']) {
    expect(parseDevCommand(line, true), line).toMatchObject({ name: "refused" })
  }
})

test("a data directory stays with its number of nodes", () => {
  const dataDir = join(folder, "data")
  checkDevData(dataDir, 3)
  claimDevData(dataDir, 3)
  expect(readFileSync(join(dataDir, "dev.json"), "utf8")).toBe('{"nodes":3}\n')
  checkDevData(dataDir, 3)
  expect(() => {
    checkDevData(dataDir, 1)
  }).toThrow(`${dataDir} holds a cluster of 3 nodes; use --nodes 3 or another --data-dir`)
})

test("data from before there was dev.json are known by their directories", () => {
  mkdirSync(join(folder, "node-1"))
  expect(() => {
    checkDevData(folder, 3)
  }).toThrow(/holds a single node; use --nodes 1/)
  mkdirSync(join(folder, "node-2"))
  expect(() => {
    checkDevData(folder, 1)
  }).toThrow(/holds a cluster of 3 nodes/)
})

test("a data directory that is a file is told in one line", () => {
  const dataDir = join(folder, "file")
  writeFileSync(dataDir, "")
  expect(() => {
    claimDevData(dataDir, 1)
  }).toThrow(`data directory ${dataDir}: is a file, not a directory (EEXIST)`)
})

test("what an operator can mend is one line, anything else stays an error", () => {
  const where = { dataDir: "here" }
  const locked = new LevelStoreError("locked", { path: "here/checkpoint", text: "is in use by another process" })
  expect(operatorError(new Error("outer", { cause: locked }), where)?.message).toMatch(/^data directory here is in use/)
  const foreign = new LogStoreError("wrongNode", { path: "log/hard-state.a", text: "data of node 1, this is node 2" })
  expect(operatorError(foreign, where)?.message).toBe(
    "data directory here: log/hard-state.a: data of node 1, this is node 2",
  )
  expect(operatorError(new Error("a bug"), where)).toBeUndefined()
  expect(operatorError(new LevelStoreError("failed", { path: "", text: "" }), where)).toBeUndefined()
  const damaged = new LevelStoreError("damaged", { path: "checkpoint", text: "its seal does not fit" })
  expect(operatorError(damaged, where)?.message).toMatch(/^data directory here: checkpoint: its seal.*empty directory/)
  const disagreement = new DataDisagreement("segments are missing")
  expect(operatorError(disagreement, where)?.message).toMatch(/^data directory here: segments are missing; .*same node/)
})

test("a port in use is told with its address before anything listens", async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve))
  const { port } = taken.address() as AddressInfo
  const addresses = [{ what: "HTTP", host: "127.0.0.1", port }]
  await expect(checkListen(addresses, "--base-port 1")).rejects.toThrow(
    `127.0.0.1:${String(port)} (HTTP) is in use; another opencmq running here? try --base-port 1`,
  )
  await new Promise((resolve) => taken.close(resolve))
  await checkListen(addresses, "--base-port 1")
})
