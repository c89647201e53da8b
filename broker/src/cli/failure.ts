/**
 * How a command fails: what failed, which value, where it came from, what to do, and a code. For a program the same as
 * JSON on stderr.
 */
import { CmqError } from "@opencmq/client-sdk"
import { LIMITS, isQueueName } from "@opencmq/proto"
import { EXIT_CODES, exitOfError, isErrorName, type ExitName } from "./exit-code.ts"
import type { Format, Terminal } from "./terminal.ts"

/** A failure that the command itself found. */
export class CliFailure extends Error {
  readonly exit: ExitName
  /** What to do about it. */
  readonly hint: string | undefined

  constructor(exit: ExitName, message: string, hint?: string) {
    super(message)
    this.exit = exit
    this.hint = hint
  }
}

/** What the failed command was about. */
export interface FailureContext {
  readonly queueName?: string | undefined
  readonly topicName?: string | undefined
  /** Of the topic. */
  readonly subscriptionName?: string | undefined
  /** There is a queue of this name, which differs from the asked one in capitals only. */
  readonly sameName?: string | undefined
  /** Endpoints and keys with where they came from. */
  readonly target: { readonly endpoints: string; readonly key: string }
}

/** Tells the failure. @returns the exit code. */
export function reportFailure(
  terminal: Terminal,
  thrown: unknown,
  options: { readonly format: Format; readonly context?: FailureContext },
): number {
  if (thrown instanceof CliFailure) {
    if (options.format === "json") noteJson(terminal, { name: thrown.exit, message: thrown.message, hint: thrown.hint })
    else note(terminal, [thrown.message, thrown.hint])
    return EXIT_CODES[thrown.exit]
  }
  const error = CmqError.from(thrown)
  const { name, code, moduleCode, message, retriable, outcome, requestId, endpoint, attempts } = error
  const hint = hintFor(error, options.context)
  if (options.format === "json") {
    noteJson(terminal, { name, code, moduleCode, message, retriable, outcome, requestId, endpoint, attempts, hint })
  } else {
    note(terminal, [`${subjectOf(options.context)}${message} (${codeText(error)})`, ...whereLines(error), hint])
  }
  return EXIT_CODES[exitOfError(name)]
}

function note(terminal: Terminal, lines: readonly (string | undefined)[]): void {
  const [first = "", ...others] = lines.filter((line) => line !== undefined)
  terminal.note([`opencmq: ${first}`, ...others.map((line) => `  ${line}`)].join("\n"))
}

function noteJson(terminal: Terminal, error: Readonly<Record<string, unknown>>): void {
  terminal.note(JSON.stringify({ error }))
}

function subjectOf(context: FailureContext | undefined): string {
  if (context?.queueName !== undefined) return `queue "${context.queueName}": `
  if (context?.topicName === undefined) return ""
  const { topicName, subscriptionName } = context
  return subscriptionName === undefined
    ? `topic "${topicName}": `
    : `subscription "${subscriptionName}" of topic "${topicName}": `
}

function codeText({ name, code, moduleCode }: CmqError): string {
  return code === 0 ? name : `${name}, ${String(code)}/${String(moduleCode)}`
}

function whereLines({ endpoint, attempts, requestId, outcome }: CmqError): string[] {
  if (endpoint === undefined) return []
  const lines = [
    `asked ${endpoint}${attempts > 1 ? ` last, ${String(attempts)} attempts` : ""}${requestText(requestId)}`,
  ]
  if (outcome === "unknown") lines.push("nobody knows whether it was carried out")
  return lines
}

function requestText(requestId: string | undefined): string {
  return requestId === undefined || requestId === "" ? "" : `, request ${requestId}`
}

function hintFor(error: CmqError, context: FailureContext | undefined): string | undefined {
  if (context === undefined) return undefined
  if (error.name === "networkFailed") {
    return `is a broker running there? endpoints: ${context.target.endpoints}; to start one: opencmq dev`
  }
  if (error.name === "queueNotFound") {
    // Its name cannot be created: names are compared without regard to capitals.
    if (context.sameName !== undefined) return `did you mean "${context.sameName}"? what there is: opencmq queue ls`
    return `to create it: opencmq queue create ${context.queueName ?? "NAME"}; what there is: opencmq queue ls`
  }
  if (error.name === "queueDeletedRecently") {
    const wait = LIMITS.queueRecreateWaitSeconds.default
    return `the name is free ${String(wait)} s after the deletion (option queueRecreateWaitSeconds of the brokers)`
  }
  const { topicName: topic = "TOPIC" } = context
  if (error.name === "topicNotFound") {
    return `to create it: opencmq topic create ${topic}; what there is: opencmq topic ls`
  }
  if (error.name === "subscriptionNotFound" || error.name === "topicHasSubscriptions") {
    return `what there is: opencmq subscription ls ${topic}`
  }
  if (error.name === "topicHasNoSubscription") {
    return `to make one: opencmq subscription create ${topic} NAME --queue QUEUE`
  }
  const names = [context.queueName, context.topicName, context.subscriptionName]
  if (error.name === "argumentInvalid" && names.some((name) => name !== undefined && !isQueueName(name))) {
    return "a name is 1 to 64 letters, digits, - and _, the first a letter"
  }
  const exit = exitOfError(error.name)
  if (exit === "authentication") {
    return `key pair: ${context.target.key}; set OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY to the broker's`
  }
  return isErrorName(error.name) ? `more: opencmq explain ${error.name}` : undefined
}
