/**
 * `opencmq queue rewind | redrive`: messages come back.
 */
import { setTimeout as pause } from "node:timers/promises"
import type { Queue, RedriveOptions, RedrivePreview, RedriveStatus } from "@opencmq/client-sdk"
import { LIMITS } from "@opencmq/proto"
import { Option, type Command } from "commander"
import { countWithin, momentBefore } from "./arguments.ts"
import { addTargetFlags, withSubject, type CommandTools, type TargetFlags } from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { startProgress } from "./progress.ts"
import { pairs } from "./table.ts"
import type { Act, Terminal } from "./terminal.ts"

/** How often a redrive is asked how far it is. */
const LOOK_MS = 200

/** @param queue - the command `opencmq queue`. */
export function addRecoveryCommands(queue: Command, act: Act): void {
  addRewind(queue, act)
  const redrive = queue.command("redrive").description("move dead letters back to where they came from")
  addRedriveStart(redrive, act)
  addRedriveStatus(redrive, act)
  addRedriveCancel(redrive, act)
}

interface RewindFlags extends TargetFlags {
  readonly to: Date
  readonly dryRun?: true
}

function addRewind(queue: Command, act: Act): void {
  const command = queue
    .command("rewind <name>")
    .description("make deleted messages receivable again, for all consumers")
    .addOption(momentOption("--to <time>", "messages sent since then").makeOptionMandatory())
    .option("--dry-run", "only count them")
  addTargetFlags(command).action(
    act((terminal, name: string, flags: RewindFlags) =>
      withSubject(terminal, { flags, queueName: name }, async ({ account, format }) => {
        const isDryRun = flags.dryRun === true
        const count = await account.queue(name).rewind({ to: flags.to, dryRun: isDryRun })
        if (format === "json") terminal.printJson({ queueName: name, to: flags.to, dryRun: isDryRun, count })
        else terminal.print(`${countText(count)} ${isDryRun ? "would come back" : "came back"} in queue ${name}`)
        return EXIT_CODES.ok
      }),
    ),
  )
}

interface RedriveFlags extends TargetFlags {
  readonly to?: string
  readonly from?: string
  readonly since?: Date
  readonly until?: Date
  readonly rate: number
  readonly dryRun?: true
  readonly wait: boolean
}

function addRedriveStart(redrive: Command, act: Act): void {
  const rates = LIMITS.redrivePerSecondCount
  const command = redrive
    .command("start <name>", { isDefault: true })
    .description("start it, and show how far it is until it ends; it goes on when this command is stopped")
    .option("--to <queue>", "where all messages go; else each goes to the queue that it came from")
    .option("--from <queue>", "only messages that came from this queue")
    .addOption(momentOption("--since <time>", "only what became a dead letter since then"))
    .addOption(momentOption("--until <time>", "only what became a dead letter before then"))
    .addOption(new Option("--rate <count>", "messages a second").argParser(countWithin(rates)).default(rates.default))
    .option("--no-wait", "start it and come back at once")
    .option("--dry-run", "only count")
  addTargetFlags(command).action(
    act((terminal, name: string, flags: RedriveFlags) =>
      withSubject(terminal, { flags, queueName: name }, async (tools) => {
        const queue = tools.account.queue(name)
        const options = orderOf(flags)
        const preview = await queue.previewRedrive(options)
        if (flags.dryRun === true) return tellPreview(tools, name, preview)
        await queue.startRedrive(options)
        const status = flags.wait ? await follow(terminal, queue, preview) : await queue.redriveStatus()
        return tellStatus(tools, name, status)
      }),
    ),
  )
}

function momentOption(flags: string, help: string): Option {
  return new Option(flags, `${help}: 10m (ago), 2026-08-01T12:00:00Z, Unix seconds`).argParser(momentBefore(Date.now()))
}

function orderOf({ to, from, since, until, rate }: RedriveFlags): RedriveOptions {
  return {
    ...(to !== undefined && { target: to }),
    ...(from !== undefined && { source: from }),
    ...(since !== undefined && { from: since }),
    ...(until !== undefined && { until }),
    messagesPerSecond: rate,
  }
}

function tellPreview({ terminal, format }: CommandTools, queueName: string, preview: RedrivePreview): number {
  if (format === "json") {
    terminal.printJson({ queueName, dryRun: true, ...preview })
    return EXIT_CODES.ok
  }
  const targets = preview.targets.map((target) => `${target.queueName} (${String(target.count)})`).join(", ")
  terminal.print(`${countText(preview.moveCount)}${targets === "" ? " would be moved" : ` -> ${targets}`}`)
  if (preview.skipCount > 0) terminal.print(`${countText(preview.skipCount)} would stay: in use, or without a source`)
  return EXIT_CODES.ok
}

/** Looks until it has ended. */
async function follow(terminal: Terminal, queue: Queue, preview: RedrivePreview): Promise<RedriveStatus> {
  const progress = startProgress(terminal, preview.moveCount)
  let isNoted = false
  try {
    for (;;) {
      const status = await queue.redriveStatus()
      progress.update(status.movedCount)
      if (status.endTime !== undefined) return status
      if (status.state === "waiting" && !isNoted) {
        isNoted = true
        terminal.note("opencmq: the queue of the next message is full; waiting for room")
      }
      await pause(LOOK_MS)
    }
  } finally {
    progress.stop()
  }
}

function tellStatus({ terminal, format }: CommandTools, queueName: string, status: RedriveStatus): number {
  if (format === "json") terminal.printJson({ queueName, ...status })
  else {
    terminal.print(
      pairs([
        ["queue", queueName],
        ["state", status.state],
        ["moved", status.movedCount],
        ["skipped (in use, or without a source)", status.skippedCount],
        ["not looked at", status.leftAtMostCount],
        ["to", status.target ?? "where each came from"],
        ["started", status.startTime?.toISOString() ?? "-"],
        ["ended", status.endTime?.toISOString() ?? "-"],
      ]),
    )
  }
  return status.state === "targetDeleted" ? EXIT_CODES.failure : EXIT_CODES.ok
}

function addRedriveStatus(redrive: Command, act: Act): void {
  addTargetFlags(redrive.command("status <name>").description("how far the newest one of a queue is")).action(
    act((terminal, name: string, flags: TargetFlags) =>
      withSubject(terminal, { flags, queueName: name }, async (tools) =>
        tellStatus(tools, name, await tools.account.queue(name).redriveStatus()),
      ),
    ),
  )
}

function addRedriveCancel(redrive: Command, act: Act): void {
  addTargetFlags(redrive.command("cancel <name>").description("end it; what was moved stays moved")).action(
    act((terminal, name: string, flags: TargetFlags) =>
      withSubject(terminal, { flags, queueName: name }, async (tools) => {
        const queue = tools.account.queue(name)
        await queue.cancelRedrive()
        return tellStatus(tools, name, await queue.redriveStatus())
      }),
    ),
  )
}

function countText(count: number): string {
  return count === 1 ? "1 message" : `${String(count)} messages`
}
