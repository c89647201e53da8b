/**
 * `opencmq subscription create | ls | show | set | rm`
 */
import type { SubscriptionAttributes, SubscriptionEndpoint, SubscriptionStatus } from "@opencmq/client-sdk"
import { Option, type Command } from "commander"
import { collectList } from "./arguments.ts"
import { addTargetFlags, confirmDestruction, withSubject, type TargetFlags } from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { CliFailure } from "./failure.ts"
import { listLimitOption, lookUpEach, take } from "./look-up.ts"
import { columns, pairs } from "./table.ts"
import type { Act } from "./terminal.ts"

interface AttributeFlags {
  readonly tag?: readonly string[]
  readonly binding?: readonly string[]
  readonly retry?: keyof typeof STRATEGIES
  readonly content?: keyof typeof FORMATS
}

const STRATEGIES = { backoff: "BACKOFF_RETRY", decay: "EXPONENTIAL_DECAY_RETRY" } as const
const FORMATS = { json: "JSON", body: "SIMPLIFIED" } as const

export function addSubscriptionCommands(program: Command, act: Act): void {
  const subscription = program
    .command("subscription")
    .alias("sub")
    .description("create, list, look at, change and end subscriptions of topics")
  addCreate(subscription, act)
  addList(subscription, act)
  addShow(subscription, act)
  addSet(subscription, act)
  addRemove(subscription, act)
}

function addAttributeFlags(command: Command): Command {
  return command
    .addOption(
      new Option("-t, --tag <tag>", "only messages with this tag; several with commas, or several times").argParser(
        collectList,
      ),
    )
    .addOption(
      new Option("-b, --binding <pattern>", "only routing keys like this: * one word, # any number").argParser(
        collectList,
      ),
    )
    .addOption(
      new Option("--retry <strategy>", "when a push fails: three times, or ever more rarely for a day").choices(
        Object.keys(STRATEGIES),
      ),
    )
    .addOption(
      new Option("--content <format>", "push the message with its facts, or its body alone").choices(
        Object.keys(FORMATS),
      ),
    )
}

function attributesOf({ tag, binding, retry, content }: AttributeFlags): SubscriptionAttributes {
  return {
    ...(tag !== undefined && { filterTags: tag }),
    ...(binding !== undefined && { bindingKeys: binding }),
    ...(retry !== undefined && { notifyStrategy: STRATEGIES[retry] }),
    ...(content !== undefined && { notifyContentFormat: FORMATS[content] }),
  }
}

interface EndpointFlags {
  readonly queue?: string
  readonly url?: string
}

function endpointOf({ queue, url }: EndpointFlags): SubscriptionEndpoint {
  if (queue !== undefined) return { queue }
  if (url !== undefined) return { url }
  throw new CliFailure("usage", "where to is not said", "add --queue QUEUE, or --url http://HOST/PATH")
}

function addCreate(subscription: Command, act: Act): void {
  const command = subscription
    .command("create <topic> <name>")
    .description("subscribe a queue or an address to a topic")
    .addOption(new Option("--queue <queue>", "messages go to this queue").conflicts("url"))
    .option("--url <address>", "brokers POST messages to this http:// address")
  addTargetFlags(addAttributeFlags(command)).action(
    act((terminal, ...[topicName, name, flags]: [string, string, TargetFlags & AttributeFlags & EndpointFlags]) =>
      withSubject(terminal, { flags, topicName, subscriptionName: name }, async ({ account, format }) => {
        const order = { ...attributesOf(flags), endpoint: endpointOf(flags) }
        await account.topic(topicName).subscribe(name, order)
        if (format === "json") terminal.printJson({ topicName, subscriptionName: name })
        else terminal.print(`created subscription ${name} of topic ${topicName}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

function addList(subscription: Command, act: Act): void {
  const command = subscription
    .command("ls <topic>")
    .alias("list")
    .description("list a topic's subscriptions with what waits for them")
    .option("--search <word>", "only subscriptions with this in their name", "")
    .addOption(listLimitOption("subscriptions"))
  addTargetFlags(command).action(
    act((terminal, topicName: string, flags: TargetFlags & { readonly search: string; readonly limit: number }) =>
      withSubject(terminal, { flags, topicName }, async ({ account, format }) => {
        const topic = account.topic(topicName)
        const found = await take(topic.subscriptions({ searchWord: flags.search }), flags.limit)
        const rows = await lookUpEach(found, "subscriptionNotFound", async ({ subscriptionName }) => ({
          subscriptionName,
          ...(await topic.subscription(subscriptionName).attributes()),
        }))
        if (format === "json") terminal.printJson(rows)
        else if (rows.length === 0) {
          terminal.note(`there is none; to create one: opencmq subscription create ${topicName} NAME --queue QUEUE`)
        } else {
          const cells = rows.map((row) => [row.subscriptionName, row.msgCount, endpointText(row), filterText(row)])
          terminal.print(columns(["SUBSCRIPTION", "WAITING", "TO", "WANTS"], cells))
        }
        return EXIT_CODES.ok
      }),
    ),
  )
}

function endpointText({ endpoint }: SubscriptionStatus): string {
  return "queue" in endpoint ? `queue ${endpoint.queue}` : endpoint.url
}

function filterText({ filterTags, bindingKeys }: SubscriptionStatus): string {
  const wanted = [...filterTags, ...bindingKeys]
  return wanted.length === 0 ? "everything" : wanted.join(", ")
}

function addShow(subscription: Command, act: Act): void {
  const command = subscription
    .command("show <topic> <name>")
    .alias("describe")
    .description("show a subscription's attributes, and how many messages wait for it")
  addTargetFlags(command).action(
    act((terminal, ...[topicName, name, flags]: [string, string, TargetFlags]) =>
      withSubject(terminal, { flags, topicName, subscriptionName: name }, async ({ account, format }) => {
        const status = await account.topic(topicName).subscription(name).attributes()
        if (format === "json") terminal.printJson({ topicName, subscriptionName: name, ...status })
        else terminal.print(pairs([["topic", topicName], ["subscription", name], ...statusRows(status)]))
        return EXIT_CODES.ok
      }),
    ),
  )
}

function statusRows(status: SubscriptionStatus): (readonly [string, string | number])[] {
  return [
    ["to", endpointText(status)],
    ["wants", filterText(status)],
    ["waiting", status.msgCount],
    ["retry", wordFor(STRATEGIES, status.notifyStrategy)],
    ["content", wordFor(FORMATS, status.notifyContentFormat)],
    ["created", status.createTime.toISOString()],
    ["changed", status.lastModifyTime.toISOString()],
  ]
}

function wordFor(words: Readonly<Record<string, string>>, value: string): string {
  return Object.keys(words).find((word) => words[word] === value) ?? value
}

function addSet(subscription: Command, act: Act): void {
  const command = subscription
    .command("set <topic> <name>")
    .description("change attributes of a subscription; what is not given stays")
  addTargetFlags(addAttributeFlags(command).option("--no-tags", "take all tags away: it wants everything")).action(
    act((terminal, ...[topicName, name, flags]: [string, string, TargetFlags & AttributeFlags & { tags: boolean }]) =>
      withSubject(terminal, { flags, topicName, subscriptionName: name }, async ({ account, format }) => {
        const attributes = attributesOf(flags)
        const hasChange = Object.keys(attributes).length > 0
        if (!hasChange && flags.tags) {
          throw new CliFailure("usage", "nothing to change", "what can be changed: opencmq subscription set --help")
        }
        if (!flags.tags && flags.tag !== undefined) throw new CliFailure("usage", "--tag and --no-tags: which of them?")
        const target = account.topic(topicName).subscription(name)
        if (!flags.tags) await target.clearFilterTags()
        if (hasChange) await target.setAttributes(attributes)
        if (format === "json") terminal.printJson({ topicName, subscriptionName: name })
        else terminal.print(`changed subscription ${name} of topic ${topicName}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

function addRemove(subscription: Command, act: Act): void {
  const command = subscription
    .command("rm <topic> <name>")
    .alias("delete")
    .description("end a subscription, with everything that waits for it")
    .option("-y, --yes", "do not ask")
  addTargetFlags(command).action(
    act((terminal, ...[topicName, name, flags]: [string, string, TargetFlags & { readonly yes?: true }]) =>
      withSubject(terminal, { flags, topicName, subscriptionName: name }, async ({ account, format }) => {
        const what = `end subscription ${name} of topic ${topicName} with everything that waits for it`
        await confirmDestruction(terminal, { what, name, yes: flags.yes })
        await account.topic(topicName).subscription(name).unsubscribe()
        if (format === "json") terminal.printJson({ topicName, subscriptionName: name })
        else terminal.print(`ended subscription ${name} of topic ${topicName}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}
