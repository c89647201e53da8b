/**
 * `opencmq queue rewind`: messages come back.
 */
import { Option, type Command } from "commander"
import { momentBefore } from "./arguments.ts"
import { addTargetFlags, withQueue, type TargetFlags } from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import type { Act } from "./terminal.ts"

/** @param queue - the command `opencmq queue`. */
export function addRecoveryCommands(queue: Command, act: Act): void {
  addRewind(queue, act)
}

interface RewindFlags extends TargetFlags {
  readonly to: Date
  readonly dryRun?: true
}

function addRewind(queue: Command, act: Act): void {
  const command = queue
    .command("rewind <name>")
    .description("make deleted messages receivable again, for all consumers")
    .addOption(
      new Option("--to <time>", "messages sent since then: 10m (ago), 2026-08-01T12:00:00Z, Unix seconds")
        .argParser(momentBefore(Date.now()))
        .makeOptionMandatory(),
    )
    .option("--dry-run", "only count them")
  addTargetFlags(command).action(
    act((terminal, name: string, flags: RewindFlags) =>
      withQueue(terminal, { flags, queueName: name }, async ({ account, format }) => {
        const isDryRun = flags.dryRun === true
        const count = await account.queue(name).rewind({ to: flags.to, dryRun: isDryRun })
        if (format === "json") terminal.printJson({ queueName: name, to: flags.to, dryRun: isDryRun, count })
        else terminal.print(`${countText(count)} ${isDryRun ? "would come back" : "came back"} in queue ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

function countText(count: number): string {
  return count === 1 ? "1 message" : `${String(count)} messages`
}
