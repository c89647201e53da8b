/** The examples of key pairs for docs/http-api.md, and their errors. */
import type { ErrorName } from "@opencmq/proto"
import type { Params } from "./client.ts"

const OK = { code: 0, message: "", requestId: "1f0c9a7be2-4q" }
const ID = "AKIDq3Vb0m8YxT1sK5wZ2nR7uC4hJ9pL6dFg"
const SECRET = "wL2tq8Yc0e5RkP3vN7xZ1bM4sH6jD9gF_aUoTiQyWm8"

export const KEY_EXAMPLES = [
  {
    action: "CreateKey",
    params: { accountName: "shop", permission: ["send:queue:orders-*", "peek:cluster"] },
    reply: { ...OK, secretId: ID, secretKey: SECRET, accountName: "shop" },
  },
  {
    action: "ListKey",
    params: { searchWord: "shop" },
    reply: {
      ...OK,
      totalCount: 1,
      keyList: [
        {
          secretId: ID,
          accountName: "shop",
          permissions: ["send:queue:orders-*", "peek:cluster"],
          createTime: 1700000000,
        },
      ],
    },
  },
  {
    action: "RotateKey",
    params: { keyId: ID },
    reply: { ...OK, secretId: "AKID0aVn5Gk2XsQ9yB7cM1rE4tU8wZ3hJ6pD", secretKey: SECRET, accountName: "shop" },
  },
  { action: "RevokeKey", params: { keyId: ID }, reply: OK },
] as const satisfies readonly { readonly action: string; readonly params: Params; readonly reply: object }[]

/** What an action may answer besides the common errors. */
export const KEY_ERRORS = {
  CreateKey: [
    "accountNameInvalid",
    "permissionInvalid",
    "parameterBatchSize",
    "parameterNotConsecutive",
    "accountKeyLimitReached",
    "keyLimitReached",
    "keyAlreadyExists",
    "masterKeyMissing",
  ],
  RotateKey: ["keyNotFound", "accountKeyLimitReached", "keyLimitReached", "keyAlreadyExists", "masterKeyMissing"],
  RevokeKey: ["keyNotFound"],
  ListKey: [],
} as const satisfies Readonly<Record<string, readonly ErrorName[]>>
