/** The commands of key pairs. Each looks at everything that can refuse it before it changes anything. */
import { unreachable } from "../assert.ts"
import type { CreateKey, RevokeKey, RotateKey } from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import type { Outcome } from "./outcome.ts"

export function applyKeyCommand(
  state: MachineState,
  command: CreateKey | RotateKey | RevokeKey,
  outcome: Outcome,
): void {
  switch (command.kind) {
    case "createKey":
      createKey(state, command, outcome)
      return
    case "rotateKey":
      rotateKey(state, command, outcome)
      return
    case "revokeKey":
      revokeKey(state, command, outcome)
      return
    default:
      unreachable(command)
  }
}

function createKey(state: MachineState, command: CreateKey, outcome: Outcome): void {
  const { keys, limits, registry } = state
  const { secretId, accountName, permissions, sealedSecret } = command
  if (keys.find(secretId) !== undefined) outcome.refusal = "keyAlreadyExists"
  else if (keys.count >= limits.keyCount) outcome.refusal = "keyLimitReached"
  else if (keys.countOf(accountName) >= limits.keysPerAccount) outcome.refusal = "accountKeyLimitReached"
  if (outcome.refusal !== undefined) return
  const id = registry.nextQueueId++
  keys.create({ id, secretId, accountName, permissions, sealedSecret, createdAtMs: state.nowMs })
  outcome.queueId = id
}

/** A second key that may do what the first one may. The first stays until it is revoked. */
function rotateKey(state: MachineState, command: RotateKey, outcome: Outcome): void {
  const { secretId, newSecretId, sealedSecret } = command
  const key = state.keys.find(secretId)
  if (key === undefined) {
    outcome.refusal = "keyNotFound"
    return
  }
  const { accountName, permissions } = key
  createKey(state, { kind: "createKey", secretId: newSecretId, accountName, permissions, sealedSecret }, outcome)
}

function revokeKey(state: MachineState, command: RevokeKey, outcome: Outcome): void {
  const key = state.keys.find(command.secretId)
  if (key === undefined) {
    outcome.refusal = "keyNotFound"
    return
  }
  state.keys.remove(key)
  outcome.queueId = key.id
}
