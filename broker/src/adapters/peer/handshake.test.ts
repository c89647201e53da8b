import { expect, test } from "vitest"
import { AcceptHandshake, DialHandshake } from "./handshake.ts"
import type { Identity } from "./handshake.ts"

function identity(nodeId: number, clusterId: string): Identity {
  return { clusterId, nodeId, configHash: "", incarnation: Buffer.alloc(16, nodeId), secret: undefined }
}

test("a stranger's long cluster id is refused in a text that fits, and not cut inside a letter", () => {
  const stranger = new DialHandshake(identity(1, "队".repeat(85)), 2)
  const step = new AcceptHandshake(identity(2, "ours"), () => true).receive(stranger.hello)
  if (step.kind !== "refuse") throw new Error(step.kind)
  expect(step.reason).toBe("wrongCluster")
  const told = stranger.receive(step.send)
  if (told.kind !== "refused") throw new Error(told.kind)
  expect(told.text).toContain('one side is of cluster "ours", the other of "队队')
  expect(Buffer.byteLength(told.text)).toBeGreaterThan(190)
  expect(told.text).not.toContain("\ufffd")
})
