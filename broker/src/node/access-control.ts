/**
 * Who may do what (ADR 0026). One table says for each use case which permissions it needs on which things, and the leader
 * asks it before it carries a request out, whatever face or node the request came through.
 */
import { encodeReceiptHandle, matchesName, parsePermission } from "@opencmq/proto"
import type { ErrorName, Permission, PermissionKind, PermissionRole } from "@opencmq/proto"
import type { AccessKey } from "../core/queue/access-keys.ts"
import type { DeadLetterPolicy, RedriveOrder } from "../core/queue/command.ts"
import type { KeyVault } from "../ports.ts"
import type { Caller } from "./caller.ts"
import { HandleCipher } from "./handle-cipher.ts"
import type { DeliveredMessage, Handle, RequestOf, UseCaseName } from "./service-types.ts"

/** One of the roles on the thing of this name; without a name, on any thing of the kind. */
interface Need {
  readonly roles: readonly PermissionRole[]
  readonly kind: PermissionKind
  readonly name?: string
}

type Needs<K extends UseCaseName> = (request: RequestOf<K>) => readonly Need[]

const ANY_ROLE: readonly PermissionRole[] = ["send", "receive", "peek", "administer"]

function onQueue(...roles: readonly PermissionRole[]): (request: { readonly queueName: string }) => readonly Need[] {
  return ({ queueName }) => [{ roles, kind: "queue", name: queueName }]
}

function onTopic(...roles: readonly PermissionRole[]): (request: { readonly topicName: string }) => readonly Need[] {
  return ({ topicName }) => [{ roles, kind: "topic", name: topicName }]
}

function onCluster(...roles: readonly PermissionRole[]): () => readonly Need[] {
  return () => [{ roles, kind: "cluster" }]
}

/** Messages that a queue's policy or a subscription moves into another queue are sent there by whoever says so. */
function sendTo(queueName: string): Need {
  return { roles: ["send"], kind: "queue", name: queueName }
}

function policyNeeds(queueName: string, policy: DeadLetterPolicy | null | undefined): readonly Need[] {
  const needs = onQueue("administer")({ queueName })
  return policy === undefined || policy === null ? needs : [...needs, sendTo(policy.deadLetterQueue)]
}

/** Without a target each message goes back to where it came from, which whoever rules over the dead letters may ask for. */
function redriveNeeds(queueName: string, { targetQueueName }: RedriveOrder): readonly Need[] {
  const needs = onQueue("administer")({ queueName })
  return targetQueueName === "" ? needs : [...needs, sendTo(targetQueueName)]
}

/** What each use case needs: all of the list. Lists of names need one permission of their kind, and show what it covers. */
export const NEEDS: { readonly [K in UseCaseName]: Needs<K> } = {
  createQueue: ({ queueName, attributes }) => policyNeeds(queueName, attributes.deadLetterPolicy),
  setQueueAttributes: ({ queueName, change }) => policyNeeds(queueName, change.deadLetterPolicy),
  deleteQueue: onQueue("administer"),
  clearQueue: onQueue("administer"),
  rewindQueue: onQueue("administer"),
  previewRewind: onQueue("administer"),
  startRedrive: ({ queueName, order }) => redriveNeeds(queueName, order),
  previewRedrive: ({ queueName, order }) => redriveNeeds(queueName, order),
  cancelRedrive: onQueue("administer"),
  describeRedrive: onQueue("administer"),
  unbindDeadLetterQueue: onQueue("administer"),
  // Clients that send or receive ask for it, too: QueryQueueRoute comes to this.
  getQueueAttributes: onQueue(...ANY_ROLE),
  listQueues: () => [{ roles: ANY_ROLE, kind: "queue" }],
  listDeadLetterSources: onQueue(...ANY_ROLE),
  sendMessages: onQueue("send"),
  receiveMessages: onQueue("receive"),
  deleteMessages: onQueue("receive"),
  changeVisibility: onQueue("receive"),
  peekMessages: onQueue("peek"),
  searchMessages: onQueue("peek"),
  // An id may be in any queue.
  traceMessage: onCluster("peek", "administer"),
  // Half messages are their producers' own until they are committed.
  prepareMessages: onQueue("send"),
  confirmMessages: onQueue("send"),
  listQueriedHalves: onQueue("send"),
  createTopic: onTopic("administer"),
  setTopicAttributes: onTopic("administer"),
  deleteTopic: onTopic("administer"),
  getTopicAttributes: onTopic(...ANY_ROLE),
  listTopics: () => [{ roles: ANY_ROLE, kind: "topic" }],
  publishMessages: onTopic("send"),
  subscribe: ({ topicName, endpoint }) => {
    const needs = onTopic("administer")({ topicName })
    return endpoint.kind === "queue" ? [...needs, sendTo(endpoint.queueName)] : needs
  },
  setSubscriptionAttributes: onTopic("administer"),
  unsubscribe: onTopic("administer"),
  getSubscriptionAttributes: onTopic("peek", "administer"),
  listSubscriptions: onTopic("peek", "administer"),
  createKey: onCluster("administer"),
  rotateKey: onCluster("administer"),
  storeKey: onCluster("administer"),
  replaceKey: onCluster("administer"),
  revokeKey: onCluster("administer"),
  listKeys: onCluster("administer"),
  clusterStatus: onCluster("peek", "administer"),
}

/** What a request brings before the leader or before a node that answers by itself. */
export interface AccessOrder<K extends UseCaseName> {
  readonly name: K
  readonly request: RequestOf<K>
  /** Undefined = nobody known. */
  readonly caller: Caller | undefined
}

export type Admission<K extends UseCaseName> =
  | { readonly isAllowed: true; readonly request: RequestOf<K>; readonly error?: never }
  | { readonly isAllowed: false; readonly error: ErrorName }

export interface AccessControlParts {
  /** The key in the applied state. */
  readonly findKey: (secretId: string) => AccessKey | undefined
  readonly vault: KeyVault
}

export class AccessControl {
  readonly #parts: AccessControlParts
  /** Nothing of a key changes, so what was read of it stays true for as long as it is there. */
  readonly #permissions = new WeakMap<AccessKey, readonly Permission[]>()
  readonly #ciphers = new WeakMap<AccessKey, HandleCipher>()

  constructor(parts: AccessControlParts) {
    this.#parts = parts
  }

  /** Whether the caller may have this done, and the request as it is then carried out. */
  admit<K extends UseCaseName>({ name, request, caller }: AccessOrder<K>): Admission<K> {
    if (caller?.kind === "operator") return { isAllowed: true, request }
    if (caller === undefined) return { isAllowed: false, error: "permissionDenied" }
    const key = this.#parts.findKey(caller.secretId)
    // Its connection or stream was let in before the key was revoked.
    if (key === undefined) return { isAllowed: false, error: "secretIdUnknown" }
    const permissions = this.#permissionsOf(key)
    const needs: readonly Need[] = (NEEDS[name] as Needs<K>)(request)
    const isAllowed = needs.every((need) => permissions.some((permission) => covers(permission, need)))
    return isAllowed
      ? { isAllowed, request: this.#narrowed({ name, request, key }) }
      : { isAllowed, error: "permissionDenied" }
  }

  /** The messages with handles that are of use to this caller alone. */
  withOwnHandles(caller: Caller | undefined, messages: readonly DeliveredMessage[]): readonly DeliveredMessage[] {
    const key = caller?.kind === "key" ? this.#parts.findKey(caller.secretId) : undefined
    if (key === undefined) return messages
    const cipher = this.#cipherOf(key)
    return messages.map((message) => ({
      ...message,
      receiptHandle: encodeReceiptHandle(cipher.seal(message.deliveryHandle)),
    }))
  }

  /** Lists show what the key may touch; handles become those of the machine. */
  #narrowed<K extends UseCaseName>(order: {
    readonly name: K
    readonly request: RequestOf<K>
    readonly key: AccessKey
  }): RequestOf<K> {
    const { name, request, key } = order
    if (name === "listQueues" || name === "listDeadLetterSources") return this.#shown(request, key, "queue")
    if (name === "listTopics") return this.#shown(request, key, "topic")
    if (name !== "deleteMessages" && name !== "changeVisibility") return request
    const cipher = this.#cipherOf(key)
    const { handles } = request as { readonly handles: readonly Handle[] }
    return { ...request, handles: handles.map((each) => cipher.open(each)) }
  }

  #shown<R extends object>(request: R, key: AccessKey, kind: PermissionKind): R {
    const permissions = this.#permissionsOf(key)
    const isShown = (name: string): boolean =>
      permissions.some((permission) => covers(permission, { roles: ANY_ROLE, kind, name }))
    return { ...request, isShown }
  }

  #permissionsOf(key: AccessKey): readonly Permission[] {
    let permissions = this.#permissions.get(key)
    if (permissions === undefined) {
      // A permission of a later version permits nothing here.
      permissions = key.permissions.map(parsePermission).filter((permission) => permission !== undefined)
      this.#permissions.set(key, permissions)
    }
    return permissions
  }

  #cipherOf(key: AccessKey): HandleCipher {
    let cipher = this.#ciphers.get(key)
    if (cipher === undefined) {
      cipher = new HandleCipher(this.#parts.vault.handleKeyOf(key.accountName))
      this.#ciphers.set(key, cipher)
    }
    return cipher
  }
}

function covers(permission: Permission, { roles, kind, name }: Need): boolean {
  if (permission.kind !== kind || !roles.includes(permission.role)) return false
  return name === undefined || matchesName(permission.pattern, name)
}
