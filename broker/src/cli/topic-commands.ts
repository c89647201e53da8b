/**
 * `opencmq topic create | ls | show | set | rm` and `opencmq publish`
 */
import { CmqError, type Account, type FilterType, type TopicAttributes, type TopicStatus } from "@opencmq/client-sdk"
import { LIMITS } from "@opencmq/proto"
import { Option, type Command } from "commander"
import { bytesWithin, collectList, collectPair, timeText } from "./arguments.ts"
import { bodyOf } from "./body-input.ts"
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
import { columns, pairs } from "./table.ts"
import type { Act } from "./terminal.ts"

export function addTopicCommands(program: Command, act: Act): void {
  const topic = program.command("topic").description("create, list, look at, change and remove topics")
  addCreate(topic, act)
  addList(topic, act)
  addShow(topic, act)
  addSet(topic, act)
  addRemove(topic, act)
  addPublish(program, act)
}

interface AttributeFlags {
  readonly maxSize?: number
  readonly filter?: "tags" | "keys"
}

function maxSizeOption(): Option {
  return new Option("--max-size <bytes>", "longest body, as 64KiB").argParser(bytesWithin(LIMITS.maxMsgSizeBytes))
}

/** What `--filter` says on the wire. */
const FILTER_TYPES = { tags: "tags", keys: "bindingKeys" } as const satisfies Record<string, FilterType>

function attributesOf({ maxSize, filter }: AttributeFlags): TopicAttributes {
  return {
    ...(maxSize !== undefined && { maxMsgSizeBytes: maxSize }),
    ...(filter !== undefined && { filterType: FILTER_TYPES[filter] }),
  }
}

function addCreate(topic: Command, act: Act): void {
  const command = topic
    .command("create <name>")
    .description("create a topic")
    .addOption(maxSizeOption())
    .addOption(
      new Option("--filter <by>", "subscriptions filter by tags (default) or by keys").choices(["tags", "keys"]),
    )
    .option("--if-not-exists", "be content when it is there")
  addTargetFlags(command).action(
    act((terminal, name: string, flags: TargetFlags & AttributeFlags & { readonly ifNotExists?: true }) =>
      withSubject(terminal, { flags, topicName: name }, async ({ account, format }) => {
        const attributes = attributesOf(flags)
        const isThere = flags.ifNotExists === true && (await isTopicThere(account, name))
        if (!isThere) await account.createTopic(name, attributes)
        else if (Object.keys(attributes).length > 0) {
          terminal.note(`opencmq: topic ${name} is there and was left as it is; to look: opencmq topic show ${name}`)
        }
        if (format === "json") terminal.printJson({ topicName: name })
        else terminal.print(isThere ? `topic ${name} is there` : `created topic ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

async function isTopicThere(account: Account, name: string): Promise<boolean> {
  try {
    await account.topic(name).attributes()
    return true
  } catch (thrown) {
    if (thrown instanceof CmqError && thrown.name === "topicNotFound") return false
    throw thrown
  }
}

function addList(topic: Command, act: Act): void {
  const command = topic
    .command("ls")
    .alias("list")
    .description("list topics with what waits in them")
    .option("--search <word>", "only topics with this in their name", "")
    .addOption(listLimitOption("topics"))
  addTargetFlags(command).action(
    act((terminal, flags: TargetFlags & { readonly search: string; readonly limit: number }) =>
      withBroker(terminal, flags, async ({ account, format }) => {
        const found = await take(account.topics({ searchWord: flags.search }), flags.limit)
        const rows = await lookUpEach(found, "topicNotFound", async ({ topicName }) => ({
          topicName,
          ...(await account.topic(topicName).attributes()),
        }))
        if (format === "json") terminal.printJson(rows)
        else if (rows.length === 0) terminal.note("there is no topic; to create one: opencmq topic create NAME")
        else {
          const cells = rows.map((row) => [row.topicName, row.msgCount, filterText(row)])
          terminal.print(columns(["TOPIC", "WAITING", "FILTER"], cells))
        }
        return EXIT_CODES.ok
      }),
    ),
  )
}

function filterText({ filterType }: TopicStatus): string {
  return filterType === "tags" ? "tags" : "keys"
}

function addShow(topic: Command, act: Act): void {
  const command = topic
    .command("show <name>")
    .alias("describe")
    .description("show a topic's attributes, and how many messages wait for its subscriptions")
  addTargetFlags(command).action(
    act((terminal, name: string, flags: TargetFlags) =>
      withSubject(terminal, { flags, topicName: name }, async ({ account, format }) => {
        const status = await account.topic(name).attributes()
        if (format === "json") terminal.printJson({ topicName: name, ...status })
        else terminal.print(pairs(statusRows(name, status)))
        return EXIT_CODES.ok
      }),
    ),
  )
}

function statusRows(name: string, status: TopicStatus): (readonly [string, string | number])[] {
  return [
    ["topic", name],
    ["waiting", status.msgCount],
    ["filter", filterText(status)],
    ["longest body", `${String(status.maxMsgSizeBytes)} bytes`],
    ["retention", timeText(status.msgRetentionSeconds)],
    ["created", status.createTime.toISOString()],
    ["changed", status.lastModifyTime.toISOString()],
  ]
}

function addSet(topic: Command, act: Act): void {
  const command = topic
    .command("set <name>")
    .description("change a topic's longest body; what it filters by is fixed")
    .addOption(maxSizeOption())
  addTargetFlags(command).action(
    act((terminal, name: string, flags: TargetFlags & AttributeFlags) =>
      withSubject(terminal, { flags, topicName: name }, async ({ account, format }) => {
        const attributes = attributesOf(flags)
        if (Object.keys(attributes).length === 0) throw new CliFailure("usage", "nothing to change", "add --max-size")
        await account.topic(name).setAttributes(attributes)
        if (format === "json") terminal.printJson({ topicName: name })
        else terminal.print(`changed topic ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

function addRemove(topic: Command, act: Act): void {
  const command = topic
    .command("rm <name>")
    .alias("delete")
    .description("delete a topic that has no subscriptions")
    .option("-y, --yes", "do not ask")
  addTargetFlags(command).action(
    act((terminal, name: string, flags: TargetFlags & { readonly yes?: true }) =>
      withSubject(terminal, { flags, topicName: name }, async ({ account, format }) => {
        await confirmDestruction(terminal, { what: `delete topic ${name}`, name, yes: flags.yes })
        await account.topic(name).deleteTopic()
        if (format === "json") terminal.printJson({ topicName: name })
        else terminal.print(`deleted topic ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

interface PublishFlags extends TargetFlags {
  readonly file?: string
  readonly tag?: readonly string[]
  readonly key?: string
  readonly attr?: ReadonlyMap<string, string>
}

function addPublish(program: Command, act: Act): void {
  const command = program
    .command("publish <topic> [body]")
    .description("publish a message to a topic; without a body it is read from --file or stdin")
    .option("-f, --file <path>", "publish the bytes of a file")
    .addOption(new Option("-t, --tag <tag>", "a tag; several with commas, or several times").argParser(collectList))
    .option("-k, --key <key>", "the routing key, words with dots between them: order.1.cn")
    .addOption(new Option("-a, --attr <name=value>", "an attribute; several times for several").argParser(collectPair))
  addTargetFlags(command).action(
    act((terminal, ...[topicName, body, flags]: [string, string | undefined, PublishFlags]) =>
      withSubject(terminal, { flags, topicName }, async (tools) => {
        const text = await bodyOf(terminal, body, flags.file)
        return publish(tools, { topicName, body: text, flags })
      }),
    ),
  )
}

async function publish(
  { terminal, account, format }: CommandTools,
  order: { readonly topicName: string; readonly body: string | Uint8Array; readonly flags: PublishFlags },
): Promise<number> {
  const { topicName, body, flags } = order
  const { msgId, duplicate } = await account.topic(topicName).publish(body, {
    tags: flags.tag ?? [],
    ...(flags.key !== undefined && { routingKey: flags.key }),
    ...(flags.attr !== undefined && { attributes: flags.attr }),
  })
  if (format === "json") terminal.printJson({ topicName, msgId, duplicate })
  else terminal.print(`published ${msgId} to ${topicName}`)
  return EXIT_CODES.ok
}
