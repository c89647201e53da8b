/** Rows of the action table for key pairs: OpenCMQ's own. */
import { listParameters } from "./common-parameter-rows.ts"
import { LIMITS } from "./limits.ts"

const keyId = {
  type: "text",
  isRequired: true,
  limit: LIMITS.secretIdLength,
  meaning: "SecretId of the key pair.",
} as const

const newKey = { secretId: "string", secretKey: "string", accountName: "string" } as const

/** Key pairs; part of `ACTIONS`. */
export const KEY_ACTIONS = {
  CreateKey: {
    summary: "Makes a key pair of an account. The secretKey is told in this reply and never again.",
    source: "OpenCMQ",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: true,
    parameters: {
      accountName: { type: "accountName", isRequired: true, meaning: "Who owns the key; has at most two." },
      permission: {
        type: "permission",
        isRequired: true,
        isArray: true,
        atMost: { count: LIMITS.permissionsPerKeyCount.max, error: "permissionInvalid" },
        meaning:
          "`ROLE:queue:PATTERN`, `ROLE:topic:PATTERN` or `ROLE:cluster`; in a pattern `*` is any run of characters.",
      },
    },
    reply: newKey,
  },
  RotateKey: {
    summary:
      "Makes a second key pair for the account of one, with the same permissions. The first stays until it is revoked.",
    source: "OpenCMQ",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: true,
    parameters: { keyId },
    reply: newKey,
  },
  RevokeKey: {
    summary: "Ends a key pair: from the answer on nothing is done in its name, on no node and no open connection.",
    source: "OpenCMQ",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { keyId },
    reply: {},
  },
  ListKey: {
    summary: "Lists key pairs by account, without their secrets. That of the options is not among them.",
    source: "OpenCMQ",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {
      ...listParameters,
      searchWord: { ...listParameters.searchWord, meaning: "Part of the account's name or of the SecretId." },
    },
    reply: { totalCount: "number", keyList: "list" },
  },
} as const
