/**
 * What a node says of the cluster, read out of the SDK's untyped answer. Every node answers for itself.
 */
import { Account } from "@opencmq/client-sdk"

/** One row of a node's view. */
export interface NodeView {
  readonly nodeId: number
  readonly role: string
  readonly reachable: boolean
  readonly matchIndex: number
}

/** One node's view of the cluster. `leaderId` 0 = it knows of none. */
export interface ClusterView {
  readonly nodeId: number
  readonly leaderId: number
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly stateHash: string
  readonly nodes: readonly NodeView[]
}

/** Key pair and one address. */
export interface StatusTarget {
  readonly endpoint: string
  readonly secretId: string
  readonly secretKey: string
}

/** Asks one node, once. @returns undefined when it does not answer in time. */
export async function askStatus(target: StatusTarget, timeoutMs: number): Promise<ClusterView | undefined> {
  const account = new Account({
    endpoints: [target.endpoint],
    secretId: target.secretId,
    secretKey: target.secretKey,
    followUnknownLeaders: false,
    suspectAfterMs: 0,
    requestTimeoutMs: timeoutMs,
    timeoutMs,
    retry: { maxRetries: 0 },
  })
  try {
    return readClusterView(await account.clusterStatus())
  } catch {
    // Whatever the reason: this node tells nothing now.
    return undefined
  } finally {
    account.close()
  }
}

/** @returns undefined when it is not a status. */
export function readClusterView(fields: Readonly<Record<string, unknown>>): ClusterView | undefined {
  const numberOf = (value: unknown): number => (typeof value === "number" ? value : Number(value ?? 0))
  if (fields["nodeId"] === undefined) return undefined
  const rows = Array.isArray(fields["nodes"]) ? (fields["nodes"] as Readonly<Record<string, unknown>>[]) : []
  return {
    nodeId: numberOf(fields["nodeId"]),
    leaderId: numberOf(fields["leaderId"]),
    term: numberOf(fields["term"]),
    commitIndex: numberOf(fields["commitIndex"]),
    appliedIndex: numberOf(fields["appliedIndex"]),
    stateHash: typeof fields["stateHash"] === "string" ? fields["stateHash"] : "",
    nodes: rows.map((row) => ({
      nodeId: numberOf(row["nodeId"]),
      role: typeof row["role"] === "string" ? row["role"] : "",
      reachable: row["reachable"] === true,
      matchIndex: numberOf(row["matchIndex"]),
    })),
  }
}
