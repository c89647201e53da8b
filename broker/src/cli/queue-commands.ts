/**
 * `opencmq queue create | ls | show | set | rm | purge`; `recovery-commands.ts` has the others
 */
import { isDeepStrictEqual } from "node:util"
import {
  CmqError,
  type Account,
  type DeadLetterPolicy,
  type QueueAttributes,
  type QueueStatus,
} from "@opencmq/client-sdk"
import { LIMITS } from "@opencmq/proto"
import { Option, type Command } from "commander"
import { ageText, bytesWithin, countWithin, secondsWithin, timeText } from "./arguments.ts"
import {
  addTargetFlags,
  confirmDestruction,
  withBroker,
  withSubject,
  type CommandTools,
  type TargetFlags,
} from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { CliFailure } from "./failure.ts"
import { listLimitOption, lookUpEach, take } from "./look-up.ts"
import { addRecoveryCommands } from "./recovery-commands.ts"
import { columns, pairs } from "./table.ts"
import type { Act, Terminal } from "./terminal.ts"

interface AttributeFlags {
  readonly visibility?: number
  readonly wait?: number
  readonly retention?: number
  readonly rewind?: number
  readonly maxSize?: number
  readonly maxMessages?: number
  readonly dlq?: string | false
  readonly maxReceives?: number
  readonly maxAge?: number
}

export function addQueueCommands(program: Command, act: Act): void {
  const queue = program.command("queue").description("create, list, look at, change and remove queues")
  addCreate(queue, act)
  addList(queue, act)
  addShow(queue, act)
  addSet(queue, act)
  addRemove(queue, act)
  addPurge(queue, act)
  addRecoveryCommands(queue, act)
}

function addAttributeFlags(command: Command): Command {
  return command
    .addOption(timeOption("--visibility <time>", "how long a received message is hidden", "visibilityTimeoutSeconds"))
    .addOption(timeOption("--wait <time>", "how long a receive waits that does not say", "pollingWaitSeconds"))
    .addOption(timeOption("--retention <time>", "how long a message lives", "msgRetentionSeconds"))
    .addOption(timeOption("--rewind <time>", "how far back deleted messages can be brought back", "rewindSeconds"))
    .addOption(
      new Option("--max-size <bytes>", "longest body, as 64KiB").argParser(bytesWithin(LIMITS.maxMsgSizeBytes)),
    )
    .addOption(new Option("--max-messages <count>", "most messages kept").argParser(countWithin(LIMITS.maxMsgHeapNum)))
    .option("--dlq <queue>", "dead-letter queue; needs --max-receives or --max-age")
    .addOption(
      new Option("--max-receives <count>", "receives without a delete, then it is a dead letter")
        .argParser(countWithin(LIMITS.maxReceiveCount))
        .conflicts("maxAge"),
    )
    .addOption(timeOption("--max-age <time>", "age without a delete, then it is a dead letter", "maxTimeToLiveSeconds"))
}

function timeOption(
  flags: string,
  help: string,
  limit:
    | "visibilityTimeoutSeconds"
    | "pollingWaitSeconds"
    | "msgRetentionSeconds"
    | "rewindSeconds"
    | "maxTimeToLiveSeconds",
): Option {
  return new Option(flags, `${help}, as 30s, 5m, 12h, 4d`).argParser(secondsWithin(LIMITS[limit]))
}

function attributesOf(flags: AttributeFlags): QueueAttributes {
  const policy = policyOf(flags)
  return {
    ...(flags.visibility !== undefined && { visibilityTimeoutSeconds: flags.visibility }),
    ...(flags.wait !== undefined && { pollingWaitSeconds: flags.wait }),
    ...(flags.retention !== undefined && { msgRetentionSeconds: flags.retention }),
    ...(flags.rewind !== undefined && { rewindSeconds: flags.rewind }),
    ...(flags.maxSize !== undefined && { maxMsgSizeBytes: flags.maxSize }),
    ...(flags.maxMessages !== undefined && { maxMsgHeapNum: flags.maxMessages }),
    ...(policy !== undefined && { deadLetterPolicy: policy }),
  }
}

function policyOf({ dlq, maxReceives, maxAge }: AttributeFlags): DeadLetterPolicy | undefined {
  if (typeof dlq !== "string") {
    if (maxReceives === undefined && maxAge === undefined) return undefined
    throw new CliFailure(
      "usage",
      "--max-receives and --max-age say when, but --dlq does not say where to",
      "add --dlq QUEUE",
    )
  }
  if (maxReceives !== undefined) return { kind: "maxReceiveCount", deadLetterQueue: dlq, maxReceiveCount: maxReceives }
  if (maxAge !== undefined) return { kind: "maxTimeToLive", deadLetterQueue: dlq, maxTimeToLiveSeconds: maxAge }
  throw new CliFailure("usage", `--dlq ${dlq} does not say when`, "add --max-receives 5, or --max-age 1h")
}

function addCreate(queue: Command, act: Act): void {
  const command = queue
    .command("create <name>")
    .description("create a queue")
    .option("--if-not-exists", "be content when it is there")
  addTargetFlags(addAttributeFlags(command)).action(
    act((terminal, name: string, flags: TargetFlags & AttributeFlags & { readonly ifNotExists?: true }) =>
      withSubject(terminal, { flags, queueName: name }, async ({ account, format }) => {
        const attributes = attributesOf(flags)
        if (flags.ifNotExists === true) await createUnlessThere({ terminal, account, format }, name, attributes)
        else await account.createQueue(name, attributes)
        if (format === "json") terminal.printJson({ queueName: name })
        else terminal.print(flags.ifNotExists === true ? `queue ${name} is there` : `created queue ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

/** A queue that is there stays as it is; what was asked for and is otherwise is noted. */
async function createUnlessThere(
  { terminal, account }: CommandTools,
  name: string,
  attributes: QueueAttributes,
): Promise<void> {
  try {
    await account.createQueue(name, attributes)
  } catch (thrown) {
    if (!(thrown instanceof CmqError && thrown.name === "queueAlreadyExists")) throw thrown
    const asked = Object.entries(attributes)
    if (asked.length === 0) return
    const found = (await account.queue(name).attributes()) as unknown as Readonly<Record<string, unknown>>
    const other = asked.filter(([key, value]) => !isDeepStrictEqual(found[key], value))
    for (const [key, value] of other) {
      terminal.note(`opencmq: queue ${name} is there with ${key} ${valueText(found[key])}, not ${valueText(value)}`)
    }
    if (other.length > 0) terminal.note("  it was left as it is; to change it: opencmq queue set")
  }
}

function valueText(value: unknown): string {
  return value === undefined ? "none" : JSON.stringify(value)
}

type ListRow = { readonly queueName: string } & Partial<QueueStatus>

function addList(queue: Command, act: Act): void {
  const command = queue
    .command("ls")
    .alias("list")
    .description("list queues with what is in them")
    .option("--search <word>", "only queues with this in their name", "")
    .option("--names", "names alone: one request for a hundred queues, not one for each")
    .addOption(listLimitOption("queues"))
  addTargetFlags(command).action(
    act((terminal, flags: TargetFlags & { readonly search: string; readonly names?: true; readonly limit: number }) =>
      withBroker(terminal, flags, async ({ account, format }) => {
        const found = await take(account.queues({ searchWord: flags.search }), flags.limit)
        const names = found.map(({ queueName }) => queueName)
        const rows = flags.names === true ? names.map((queueName) => ({ queueName })) : await lookUp(account, names)
        if (format === "json") terminal.printJson(rows)
        else printList(terminal, rows, flags.names === true)
        return EXIT_CODES.ok
      }),
    ),
  )
}

function lookUp(account: Account, names: readonly string[]): Promise<ListRow[]> {
  return lookUpEach(names, "queueNotFound", async (queueName) => ({
    queueName,
    ...(await account.queue(queueName).attributes()),
  }))
}

function printList(terminal: Terminal, rows: readonly ListRow[], isNames: boolean): void {
  if (isNames) {
    for (const { queueName } of rows) terminal.print(queueName)
    return
  }
  if (rows.length === 0) {
    terminal.note("there is no queue; to create one: opencmq queue create NAME")
    return
  }
  const nowMs = Date.now()
  const cells = rows.map((row) => [
    row.queueName,
    row.activeMsgNum ?? 0,
    row.inactiveMsgNum ?? 0,
    row.delayMsgNum ?? 0,
    ageText(row.minMsgTime, nowMs),
    row.deadLetterPolicy?.deadLetterQueue ?? "-",
  ])
  terminal.print(columns(["QUEUE", "ACTIVE", "INACTIVE", "DELAYED", "OLDEST", "DEAD LETTERS TO"], cells))
}

function addShow(queue: Command, act: Act): void {
  addTargetFlags(queue.command("show <name>").description("show a queue's attributes and counts")).action(
    act((terminal, name: string, flags: TargetFlags) =>
      withSubject(terminal, { flags, queueName: name }, async ({ account, format }) => {
        const status = await account.queue(name).attributes()
        if (format === "json") terminal.printJson({ queueName: name, ...status })
        else terminal.print(pairs(statusRows(name, status)))
        return EXIT_CODES.ok
      }),
    ),
  )
}

function statusRows(name: string, status: QueueStatus): (readonly [string, string | number])[] {
  return [
    ["queue", name],
    ["active", status.activeMsgNum],
    ["inactive (received, not deleted)", status.inactiveMsgNum],
    ["delayed", status.delayMsgNum],
    ["rewindable", status.rewindMsgNum],
    ["oldest message", status.minMsgTime?.toISOString() ?? "-"],
    ["visibility timeout", timeText(status.visibilityTimeoutSeconds)],
    ["polling wait", timeText(status.pollingWaitSeconds)],
    ["retention", timeText(status.msgRetentionSeconds)],
    ["rewind", status.rewindSeconds === 0 ? "off" : timeText(status.rewindSeconds)],
    ["longest body", `${String(status.maxMsgSizeBytes)} bytes`],
    ["most messages", status.maxMsgHeapNum],
    ["dead letters", policyText(status.deadLetterPolicy)],
    ["created", status.createTime.toISOString()],
    ["changed", status.lastModifyTime.toISOString()],
  ]
}

function policyText(policy: DeadLetterPolicy | undefined): string {
  if (policy === undefined) return "-"
  const when =
    policy.kind === "maxReceiveCount"
      ? `after ${String(policy.maxReceiveCount)} receives`
      : `after ${timeText(policy.maxTimeToLiveSeconds)}`
  return `to ${policy.deadLetterQueue} ${when}`
}

function addSet(queue: Command, act: Act): void {
  const command = queue.command("set <name>").description("change attributes of a queue; what is not given stays")
  addTargetFlags(addAttributeFlags(command).option("--no-dlq", "take the dead-letter policy away")).action(
    act((terminal, name: string, flags: TargetFlags & AttributeFlags) =>
      withSubject(terminal, { flags, queueName: name }, async ({ account, format }) => {
        const attributes = attributesOf(flags)
        const isUnbinding = flags.dlq === false
        if (Object.keys(attributes).length === 0 && !isUnbinding) {
          throw new CliFailure("usage", "nothing to change", "what can be changed: opencmq queue set --help")
        }
        const target = account.queue(name)
        if (isUnbinding) await target.unbindDeadLetterQueue()
        if (Object.keys(attributes).length > 0) await target.setAttributes(attributes)
        if (format === "json") terminal.printJson({ queueName: name })
        else terminal.print(`changed queue ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

type DestructionFlags = TargetFlags & { readonly yes?: true }

function addRemove(queue: Command, act: Act): void {
  const command = queue.command("rm <name>").description("delete a queue with all its messages")
  addTargetFlags(command.option("-y, --yes", "do not ask")).action(
    act((terminal, name: string, flags: DestructionFlags) =>
      withSubject(terminal, { flags, queueName: name }, async ({ account, format }) => {
        await confirmDestruction(terminal, { what: `delete queue ${name} with all its messages`, name, yes: flags.yes })
        await account.queue(name).deleteQueue()
        if (format === "json") terminal.printJson({ queueName: name })
        else terminal.print(`deleted queue ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

function addPurge(queue: Command, act: Act): void {
  const command = queue
    .command("purge <name>")
    .description("drop all messages of a queue, received and delayed ones too")
  addTargetFlags(command.option("-y, --yes", "do not ask")).action(
    act((terminal, name: string, flags: DestructionFlags) =>
      withSubject(terminal, { flags, queueName: name }, async ({ account, format }) => {
        await confirmDestruction(terminal, { what: `drop all messages of queue ${name}`, name, yes: flags.yes })
        await account.queue(name).clear()
        if (format === "json") terminal.printJson({ queueName: name })
        else terminal.print(`dropped all messages of queue ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}
