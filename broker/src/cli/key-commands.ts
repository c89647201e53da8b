/**
 * `opencmq key create | ls | rotate | revoke`
 */
import type { KeyEntry, NewKey } from "@opencmq/client-sdk"
import { LIMITS, PERMISSION_ROLES, parsePermission } from "@opencmq/proto"
import { InvalidArgumentError, Option, type Command } from "commander"
import { addTargetFlags, confirmDestruction, withBroker, type CommandTools, type TargetFlags } from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { columns, pairs } from "./table.ts"
import type { Act } from "./terminal.ts"

const PAGE_ROWS = LIMITS.listLimitCount.max

export function addKeyCommands(program: Command, act: Act): void {
  const key = program.command("key").description("make, list, replace and revoke key pairs")
  addCreate(key, act)
  addList(key, act)
  addRotate(key, act)
  addRevoke(key, act)
}

const ALLOW_HELP = `
Permissions: ROLE:queue:PATTERN, ROLE:topic:PATTERN or ROLE:cluster; in a pattern * is any run of characters.
  queue    ${PERMISSION_ROLES.queue.join(", ")}
  topic    ${PERMISSION_ROLES.topic.join(", ")}
  cluster  ${PERMISSION_ROLES.cluster.join(", ")} (administer: key pairs, and so everything)

  opencmq key create shop --allow 'send:queue:orders-*' --allow receive:queue:refunds`

function collectPermission(text: string, before: readonly string[] = []): readonly string[] {
  if (parsePermission(text) === undefined) throw new InvalidArgumentError("as send:queue:orders-*, or peek:cluster")
  return [...before, text]
}

interface CreateFlags extends TargetFlags {
  readonly allow: readonly string[]
}

function addCreate(key: Command, act: Act): void {
  const command = key
    .command("create <account>")
    .description("make a key pair of an account; its secret is shown this once")
    .addOption(
      new Option("--allow <permission>", "what the key may do; several times")
        .argParser(collectPermission)
        .makeOptionMandatory(),
    )
    .addHelpText("after", ALLOW_HELP)
  addTargetFlags(command).action(
    act((terminal, accountName: string, flags: CreateFlags) =>
      withBroker(terminal, flags, async (tools) => {
        showNew(tools, await tools.account.keys.create(accountName, flags.allow))
        return EXIT_CODES.ok
      }),
    ),
  )
}

function addList(key: Command, act: Act): void {
  const command = key
    .command("ls")
    .alias("list")
    .description("list key pairs with what they may do; never their secrets")
    .option("--search <word>", "only with this in the account's name or the SecretId", "")
  addTargetFlags(command).action(
    act((terminal, flags: TargetFlags & { readonly search: string }) =>
      withBroker(terminal, flags, async (tools) => {
        const keys = await allKeys(tools, flags.search)
        if (tools.format === "json") terminal.printJson(keys)
        else if (keys.length === 0) terminal.note("there is no key pair but that of the brokers' options")
        else terminal.print(columns(["ACCOUNT", "SECRET ID", "CREATED", "MAY"], keys.map(rowOf)))
        return EXIT_CODES.ok
      }),
    ),
  )
}

async function allKeys({ account }: CommandTools, searchWord: string): Promise<KeyEntry[]> {
  const found: KeyEntry[] = []
  for (;;) {
    const { keys } = await account.keys.list({ searchWord, offset: found.length, limit: PAGE_ROWS })
    found.push(...keys)
    if (keys.length < PAGE_ROWS) return found
  }
}

function rowOf({ accountName, secretId, createTime, permissions }: KeyEntry): string[] {
  return [accountName, secretId, createTime?.toISOString() ?? "-", permissions.join(" ")]
}

function addRotate(key: Command, act: Act): void {
  const command = key
    .command("rotate <secretId>")
    .description("make a second key pair that may do the same; revoke the first when nobody uses it any more")
  addTargetFlags(command).action(
    act((terminal, secretId: string, flags: TargetFlags) =>
      withBroker(terminal, flags, async (tools) => {
        showNew(tools, await tools.account.keys.rotate(secretId))
        if (tools.format === "table") {
          terminal.note(`${secretId} still works; when its clients have moved: opencmq key revoke ${secretId}`)
        }
        return EXIT_CODES.ok
      }),
    ),
  )
}

function addRevoke(key: Command, act: Act): void {
  const command = key.command("revoke <secretId>").description("end a key pair, everywhere and at once")
  addTargetFlags(command.option("-y, --yes", "do not ask")).action(
    act((terminal, secretId: string, flags: TargetFlags & { readonly yes?: true }) =>
      withBroker(terminal, flags, async ({ account, format }) => {
        await confirmDestruction(terminal, { what: `revoke key pair ${secretId}`, name: secretId, yes: flags.yes })
        await account.keys.revoke(secretId)
        if (format === "json") terminal.printJson({ secretId })
        else terminal.print(`revoked ${secretId}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

function showNew({ terminal, format }: CommandTools, made: NewKey): void {
  if (format === "json") {
    terminal.printJson(made)
    return
  }
  const { accountName, secretId, secretKey } = made
  terminal.print(
    pairs([
      ["account", accountName],
      ["SecretId", secretId],
      ["SecretKey", secretKey],
    ]),
  )
  terminal.note("the SecretKey is shown this once; nobody can look it up")
}
