/** The demo as people run it, small: brokers of its own, two of their leaders killed with SIGKILL, the money counted. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { findFreePorts } from "@opencmq/bench/harness"
import { expect, test } from "vitest"

const program = fileURLToPath(new URL("../../../demo-redpacket/dist/main.js", import.meta.url))

test("npm run demo: two leaders die, the sum of all money is what it was", async () => {
  // Nodes are 100 apart: the range must be free as a whole.
  const port = await findFreePorts(203)
  const args = ["--packets", "300", "--kills", "2", "--base-port", String(port), "--format", "json"]
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args])
  const result = JSON.parse(stdout) as Readonly<Record<string, number>>
  expect(result, stdout).toMatchObject({ packets: 300, shares: 600, lost: 0, leftInQueue: 0, isRight: true })
  expect(result["leadersKilled"]).toBe(2)
  expect(result["moneyAfterFen"]).toBe(result["moneyBeforeFen"])
  expect(result["sentToQueue"]).toBeGreaterThan(0)
})
