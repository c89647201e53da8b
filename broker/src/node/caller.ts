/** Who asks. The faces say it, requests carry it from node to node, and the leader decides by it (ADR 0026). */

/**
 * `operator`: whoever may do everything: the key pair of the options, requests without a signature where the options
 * allow them, and the node itself. `key`: a key pair kept in the cluster.
 */
export type Caller = { readonly kind: "operator" } | { readonly kind: "key"; readonly secretId: string }

export const OPERATOR: Caller = { kind: "operator" }

/** Whoever was not found to be anybody: no SecretId is empty, so nothing is permitted. */
export const STRANGER: Caller = { kind: "key", secretId: "" }

/** A caller that another node wrote down; undefined for anything else, and nobody may do anything. */
export function readCaller(value: unknown): Caller | undefined {
  const { kind, secretId } = (value ?? {}) as Readonly<Record<string, unknown>>
  if (kind === "operator") return OPERATOR
  return kind === "key" && typeof secretId === "string" ? { kind, secretId } : undefined
}
