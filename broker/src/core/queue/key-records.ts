/** Key pairs as records of the checkpoint, version 1; the key of the record is in `machine-records.ts`. */
import type { AccessKey } from "./access-keys.ts"
import { openRecord, RECORD_VERSION } from "./machine-records.ts"
import type { MachineState } from "./machine-state.ts"
import { readTexts, RecordWriter, textBytes, textsBytes, writeTexts } from "./record-bytes.ts"

export function keyValue({ secretId, accountName, permissions, sealedSecret, createdAtMs }: AccessKey): Uint8Array {
  const textsLength = textBytes(secretId) + textBytes(accountName) + textBytes(sealedSecret) + textsBytes(permissions)
  const writer = new RecordWriter(1 + textsLength + 8)
  writer.u8(RECORD_VERSION)
  writer.text(secretId)
  writer.text(accountName)
  writer.text(sealedSecret)
  writeTexts(writer, permissions)
  writer.f64(createdAtMs)
  return writer.bytes
}

export function restoreKey(state: MachineState, id: number, value: Uint8Array): void {
  const reader = openRecord(value)
  const secretId = reader.text()
  const accountName = reader.text()
  const sealedSecret = reader.text()
  const permissions = readTexts(reader)
  const key = state.keys.add({ id, secretId, accountName, permissions, sealedSecret, createdAtMs: reader.f64() })
  key.isStored = true
  reader.end()
}
