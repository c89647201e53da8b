/** The use cases of key pairs, carried out on the leader. What comes here is sealed already (`key-mint.ts`). */
import { nothing } from "./set-access.ts"
import type { Handlers, TopicAccess } from "./topic-service.ts"

type KeyUseCase = "storeKey" | "replaceKey" | "revokeKey" | "listKeys"

export function keyHandlers(access: TopicAccess): Handlers<KeyUseCase> {
  const accountOf = (secretId: string): { readonly accountName: string } => ({
    accountName: access.machine.findKey(secretId)?.accountName ?? "",
  })
  return {
    storeKey: (request, call) => {
      access.change({ kind: "createKey", ...request }, call, () => accountOf(request.secretId))
    },
    replaceKey: (request, call) => {
      access.change({ kind: "rotateKey", ...request }, call, () => accountOf(request.newSecretId))
    },
    revokeKey: (request, call) => {
      access.change({ kind: "revokeKey", ...request }, call, nothing)
    },
    listKeys: (request, call) => {
      access.read(call, () => {
        const { totalCount, page } = access.machine.listKeys(request)
        const keys = page.map(({ secretId, accountName, permissions, createdAtMs }) => ({
          secretId,
          accountName,
          permissions,
          createdAtMs,
        }))
        call.done({ ok: true, value: { totalCount, keys } })
      })
    },
  }
}
