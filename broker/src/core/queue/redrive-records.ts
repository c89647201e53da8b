/** Redrives as records of the checkpoint, version 1; the keys are in `machine-records.ts`. */
import { openRecord, RECORD_VERSION } from "./machine-records.ts"
import type { MachineState } from "./machine-state.ts"
import { RecordWriter } from "./record-bytes.ts"
import { Redrive, type RedriveState } from "./redrive-task.ts"

/** Places are written down: new ones at the end. */
const states: readonly RedriveState[] = ["running", "waiting", "completed", "cancelled", "targetDeleted"]

const IDS = 2
const NUMBERS = 10

export function redriveValue(redrive: Redrive): Uint8Array {
  const { scope } = redrive
  const writer = new RecordWriter(2 + IDS * 4 + NUMBERS * 8)
  writer.u8(RECORD_VERSION)
  writer.u8(states.indexOf(redrive.state))
  writer.u32(scope.targetQueueId)
  writer.u32(scope.sourceQueueId)
  writer.f64(scope.enqueuedFromMs)
  writer.f64(scope.enqueuedUntilMs)
  writer.f64(redrive.messagesPerSecond)
  writer.f64(redrive.startedAtMs)
  writer.f64(redrive.endSequence)
  writer.f64(redrive.endedAtMs)
  writer.f64(redrive.nextSequence)
  writer.f64(redrive.movedCount)
  writer.f64(redrive.skippedCount)
  writer.f64(redrive.nextTurnAtMs)
  return writer.bytes
}

/** Its queue has been restored. */
export function restoreRedrive(state: MachineState, queueId: number, value: Uint8Array): void {
  const reader = openRecord(value)
  const queue = state.registry.get(queueId)
  const redriveState = states[reader.u8()]
  if (queue === undefined) throw new RangeError("corrupt checkpoint: a redrive of a queue that is missing")
  if (redriveState === undefined) throw new RangeError("corrupt checkpoint: a redrive in an unknown state")
  const scope = {
    targetQueueId: reader.u32(),
    sourceQueueId: reader.u32(),
    enqueuedFromMs: reader.f64(),
    enqueuedUntilMs: reader.f64(),
  }
  const messagesPerSecond = reader.f64()
  const startedAtMs = reader.f64()
  const redrive = new Redrive(queueId, { scope, messagesPerSecond, startedAtMs, endSequence: reader.f64() })
  redrive.state = redriveState
  redrive.endedAtMs = reader.f64()
  redrive.nextSequence = reader.f64()
  redrive.movedCount = reader.f64()
  redrive.skippedCount = reader.f64()
  redrive.nextTurnAtMs = reader.f64()
  redrive.isStored = true
  reader.end()
  queue.redrive = redrive
  state.redrives.set(redrive, redrive.nextTurnAtMs)
}
