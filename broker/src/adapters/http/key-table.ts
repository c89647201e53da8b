/** The actions of key pairs on their way to the node; part of `ACTION_TABLE`. */
import type { NewKey, ValueOf } from "../../node/service-types.ts"
import type { ActionCall, Answer } from "./action-call.ts"
import { answerNothing } from "./common-answers.ts"

type KeyActionName = "CreateKey" | "RotateKey" | "RevokeKey" | "ListKey"

/** The table itself. */
export const KEY_TABLE: { readonly [N in KeyActionName]: (call: ActionCall<N>) => void } = {
  CreateKey: (call) => {
    const { accountName, permission } = call.values
    call.execute("createKey", { accountName, permissions: permission }, newKeyJson)
  },
  RotateKey: (call) => {
    call.execute("rotateKey", { secretId: call.values.keyId }, newKeyJson)
  },
  RevokeKey: (call) => {
    call.execute("revokeKey", { secretId: call.values.keyId }, answerNothing)
  },
  ListKey: (call) => {
    const { searchWord = "", offset, limit } = call.values
    call.execute("listKeys", { searchWord, offset, limit }, keyPageJson)
  },
}

function newKeyJson({ secretId, secretKey, accountName }: NewKey): Answer {
  return `,${JSON.stringify({ secretId, secretKey, accountName }).slice(1, -1)}`
}

function keyPageJson({ totalCount, keys }: ValueOf<"listKeys">): Answer {
  const rows = keys.map(({ secretId, accountName, permissions, createdAtMs }) => ({
    secretId,
    accountName,
    permissions,
    createTime: Math.floor(createdAtMs / 1000),
  }))
  return `,"totalCount":${String(totalCount)},"keyList":${JSON.stringify(rows)}`
}
