/**
 * What the command's exit code says; docs/cli.md lists them. Errors of a broker are told apart by the error table,
 * never by their texts.
 */
import { ERROR_NAMES, errorRow, type ErrorName, type GrpcStatusName } from "@opencmq/proto"

export const EXIT_CODES = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  authentication: 4,
  timeoutOrEmpty: 5,
} as const

export type ExitName = keyof typeof EXIT_CODES

const BY_STATUS: Partial<Record<GrpcStatusName, ExitName>> = {
  INVALID_ARGUMENT: "usage",
  OUT_OF_RANGE: "usage",
  NOT_FOUND: "notFound",
  UNAUTHENTICATED: "authentication",
  PERMISSION_DENIED: "authentication",
  DEADLINE_EXCEEDED: "timeoutOrEmpty",
}

/** The exit for an error of the SDK, by its name. */
export function exitOfError(name: string): ExitName {
  if (name === "timedOut") return "timeoutOrEmpty"
  if (name === "argumentInvalid") return "usage"
  return isErrorName(name) ? (BY_STATUS[errorRow(name).grpc] ?? "failure") : "failure"
}

export function isErrorName(name: string): name is ErrorName {
  return (ERROR_NAMES as readonly string[]).includes(name)
}
