/**
 * `opencmq send | receive | delete | peek`
 */
import type { Message, MessageView } from "@opencmq/client-sdk"
import { LIMITS } from "@opencmq/proto"
import { Option, type Command } from "commander"
import { ageText, collectPair, countWithin, secondsWithin } from "./arguments.ts"
import { bodyOf } from "./body-input.ts"
import { addTargetFlags, withSubject, type CommandTools, type TargetFlags } from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { sendAll, type SendOrder } from "./send-many.ts"
import { columns } from "./table.ts"
import type { Act, Terminal } from "./terminal.ts"

const SEND_COUNT = { min: 1, max: 100_000_000 } as const

export function addMessageCommands(program: Command, act: Act): void {
  addSend(program, act)
  addReceive(program, act)
  addDelete(program, act)
  addPeek(program, act)
}

interface SendFlags extends TargetFlags {
  readonly file?: string
  readonly count?: number
  readonly batch: number
  readonly delay?: number
  readonly attr?: ReadonlyMap<string, string>
  readonly create?: true
}

function addSend(program: Command, act: Act): void {
  const command = program
    .command("send <queue> [body]")
    .description("send a message, or many; without a body it is read from --file or stdin")
    .option("-f, --file <path>", "send the bytes of a file")
    .addOption(
      new Option("-n, --count <count>", "send so many; {{n}} in the body becomes 1, 2, 3 ...").argParser(
        countWithin(SEND_COUNT),
      ),
    )
    .addOption(
      new Option("--batch <count>", "messages in one request")
        .argParser(countWithin(LIMITS.batchCount))
        .default(LIMITS.batchCount.max),
    )
    .addOption(
      new Option("--delay <time>", "stay invisible for so long, as 10s, 5m").argParser(
        secondsWithin(LIMITS.delaySeconds),
      ),
    )
    .addOption(new Option("-a, --attr <name=value>", "an attribute; several times for several").argParser(collectPair))
    .option("--create", "create the queue when it is not there")
  addTargetFlags(command).action(
    act((terminal, ...[queueName, body, flags]: [string, string | undefined, SendFlags]) =>
      withSubject(terminal, { flags, queueName }, async (tools) => {
        const order: SendOrder = {
          queueName,
          body: await bodyOf(terminal, body, flags.file),
          count: flags.count,
          batch: flags.batch,
          delaySeconds: flags.delay ?? 0,
          attributes: flags.attr ?? new Map<string, string>(),
        }
        if (flags.create === true) await tools.account.ensureQueue(queueName)
        return sendAll(tools, order)
      }),
    ),
  )
}

interface ReceiveFlags extends TargetFlags {
  readonly wait?: number
  readonly max: number
  readonly visibility?: number
  readonly ack?: true
}

function addReceive(program: Command, act: Act): void {
  const command = program
    .command("receive <queue>")
    .description("receive messages; they come back after the visibility timeout unless --ack deletes them")
    .addOption(
      new Option("-w, --wait <time>", "for a first message; default: the queue's").argParser(
        secondsWithin(LIMITS.pollingWaitSeconds),
      ),
    )
    .addOption(new Option("-m, --max <count>", "messages at most").argParser(countWithin(LIMITS.numOfMsg)).default(1))
    .addOption(
      new Option("--visibility <time>", "hide them for so long; default: the queue's").argParser(
        secondsWithin(LIMITS.visibilityTimeoutSeconds),
      ),
    )
    .option("--ack", "delete them after they were printed")
  addTargetFlags(command).action(
    act((terminal, queueName: string, flags: ReceiveFlags) =>
      withSubject(terminal, { flags, queueName }, (tools) => receive(tools, queueName, flags)),
    ),
  )
}

async function receive(tools: CommandTools, queueName: string, flags: ReceiveFlags): Promise<number> {
  const { terminal, account, format } = tools
  const messages = await account.queue(queueName).receiveBatch({
    max: flags.max,
    ...(flags.wait !== undefined && { waitSeconds: flags.wait }),
    ...(flags.visibility !== undefined && { visibilityTimeoutSeconds: flags.visibility }),
  })
  // Printed first: what cannot be shown must not be gone.
  if (format === "json") terminal.printJson(messages.map(receivedJson))
  else for (const message of messages) printMessage(terminal, message, message.receiptHandle)
  if (messages.length === 0) {
    if (format === "table") terminal.note(`no message in ${queueName}`)
    return EXIT_CODES.timeoutOrEmpty
  }
  if (flags.ack === true) {
    await Promise.all(messages.map((message) => message.delete()))
    if (format === "table") terminal.note(`deleted ${String(messages.length)}`)
  } else if (format === "table") {
    terminal.note(`kept in the queue; to delete: opencmq delete ${queueName} HANDLE, or receive with --ack`)
  }
  return EXIT_CODES.ok
}

function receivedJson(message: Message): Record<string, unknown> {
  return { ...viewJson(message), receiptHandle: message.receiptHandle }
}

/** `body` is the text; bytes that are no text are there as base64, too. */
/** A message for a program. */
export function viewJson(view: MessageView): Record<string, unknown> {
  const { msgId, body, bytes, attributes, enqueueTime, firstDequeueTime, nextVisibleTime, dequeueCount, deadLetter } =
    view
  const isText = Buffer.from(body).equals(bytes)
  return {
    msgId,
    body,
    ...(!isText && { bodyBase64: bytes }),
    ...(attributes.size > 0 && { attributes }),
    enqueueTime,
    firstDequeueTime,
    nextVisibleTime,
    dequeueCount,
    deadLetter,
  }
}

function printMessage(terminal: Terminal, view: MessageView, receiptHandle: string): void {
  const { bold, dim } = terminal.colors
  const facts = [
    bold(view.msgId),
    `sent ${view.enqueueTime.toISOString()}`,
    `received ${String(view.dequeueCount)}x`,
    `handle ${receiptHandle}`,
    ...(view.deadLetter === undefined
      ? []
      : [`dead letter of ${view.deadLetter.sourceQueue} (${view.deadLetter.reason})`]),
  ]
  // A program gets what was sent, a terminal nothing that moves its cursor.
  const shown = (text: string) => (terminal.isStdoutTerminal ? withoutControls(text) : text)
  terminal.print(dim(facts.join("  ")))
  for (const [name, value] of view.attributes) {
    terminal.print(dim(shown(`${name}: ${typeof value === "string" ? value : `<${String(value.length)} bytes>`}`)))
  }
  terminal.print(shown(view.body))
}

/** Control characters as a dot, but for ends of lines and tabs. */
function withoutControls(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(/[^\P{Cc}\n\t]/gu, "·")
}

function addDelete(program: Command, act: Act): void {
  const command = program.command("delete <queue> <handle...>").description("delete received messages by their handles")
  addTargetFlags(command).action(
    act((terminal, ...[queueName, handles, flags]: [string, readonly string[], TargetFlags]) =>
      withSubject(terminal, { flags, queueName }, async ({ account, format }) => {
        const results = await account.queue(queueName).deleteBatch(handles)
        const failed = results.flatMap((result) => (result.ok ? [] : [result]))
        if (format === "json") {
          const rows = results.map((each) => ({
            receiptHandle: each.receiptHandle,
            ok: each.ok,
            ...(!each.ok && { error: each.error.name }),
          }))
          terminal.printJson(rows)
        } else {
          terminal.print(`deleted ${String(results.length - failed.length)} of ${String(results.length)}`)
          for (const { receiptHandle, error } of failed)
            terminal.note(`  handle ${receiptHandle}: ${error.message} (${error.name})`)
        }
        // One failure of them all says best what is wrong.
        const [first] = failed
        if (first !== undefined && failed.length === results.length) throw first.error
        return failed.length > 0 ? EXIT_CODES.failure : EXIT_CODES.ok
      }),
    ),
  )
}

interface PeekFlags extends TargetFlags {
  readonly max: number
  readonly from?: number
}

function addPeek(program: Command, act: Act): void {
  const command = program
    .command("peek <queue>")
    .description("look at messages, delayed and received ones too; changes nothing")
    .addOption(
      new Option("-m, --max <count>", "messages at most")
        .argParser(countWithin(LIMITS.numOfMsg))
        .default(LIMITS.numOfMsg.max),
    )
    .addOption(new Option("--from <sequence>", "go on where a peek ended").argParser(countWithin(LIMITS.peekStartSeq)))
  addTargetFlags(command).action(
    act((terminal, queueName: string, flags: PeekFlags) =>
      withSubject(terminal, { flags, queueName }, (tools) => peek(tools, queueName, flags)),
    ),
  )
}

const BODY_WIDTH = 60

async function peek({ terminal, account, format }: CommandTools, queueName: string, flags: PeekFlags): Promise<number> {
  const { messages, nextSeq } = await account.queue(queueName).peek({
    max: flags.max,
    ...(flags.from !== undefined && { startSeq: flags.from }),
  })
  if (format === "json") {
    terminal.printJson({ messages: messages.map(viewJson), nextSeq })
  } else if (messages.length > 0) {
    terminal.print(messageTable(messages))
    if (nextSeq !== undefined) terminal.note(`there is more: --from ${String(nextSeq)}`)
  }
  if (messages.length > 0) return EXIT_CODES.ok
  if (format === "table") terminal.note(`no message in ${queueName}`)
  return EXIT_CODES.timeoutOrEmpty
}

/** Messages as a table. */
export function messageTable(messages: readonly MessageView[]): string {
  const nowMs = Date.now()
  const rows = messages.map((each) => [
    each.msgId,
    ageText(each.enqueueTime, nowMs),
    each.dequeueCount,
    hiddenText(each, nowMs),
    oneLine(each.body),
  ])
  return columns(["MESSAGE", "AGE", "RECEIVED", "HIDDEN FOR", "BODY"], rows)
}

function hiddenText({ nextVisibleTime }: MessageView, nowMs: number): string {
  if (nextVisibleTime === undefined) return "-"
  const seconds = Math.ceil((nextVisibleTime.getTime() - nowMs) / 1_000)
  return seconds > 0 ? `${String(seconds)}s` : "-"
}

/** Control characters are shown as a dot: a message must not move the cursor. */
function oneLine(body: string): string {
  const line = body.slice(0, BODY_WIDTH + 1).replace(/\p{Cc}/gu, "·")
  return line.length > BODY_WIDTH ? `${line.slice(0, BODY_WIDTH)}…` : line
}
