/**
 * `opencmq message search | trace`
 */
import type { MessagePlace, SearchOptions } from "@opencmq/client-sdk"
import { LIMITS } from "@opencmq/proto"
import { Option, type Command } from "commander"
import { countWithin } from "./arguments.ts"
import { addTargetFlags, withBroker, withSubject, type CommandTools, type TargetFlags } from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { messageTable, viewJson } from "./message-commands.ts"
import { columns, pairs } from "./table.ts"
import type { Act } from "./terminal.ts"

export function addSearchCommands(program: Command, act: Act): void {
  const message = program.command("message").description("look for messages; nothing changes")
  addSearch(message, act)
  addTrace(message, act)
}

interface SearchFlags extends TargetFlags {
  readonly text?: string
  readonly id?: string
  readonly attr?: string
  readonly from?: number
  readonly scan: number
  readonly max: number
}

function addSearch(message: Command, act: Act): void {
  const { numOfMsg, peekStartSeq, searchScanCount } = LIMITS
  const command = message
    .command("search <queue>")
    .description("look through a queue, delayed and received messages, too")
    .option("--text <text>", "part of the body; capitals matter")
    .option("--id <msgId>", "only this message; found at once, without a scan")
    .option("--attr <name[=value]>", "only messages with this attribute")
    .addOption(new Option("--from <sequence>", "go on where a search ended").argParser(countWithin(peekStartSeq)))
    .addOption(
      new Option("--scan <count>", "messages looked at, at most")
        .argParser(countWithin(searchScanCount))
        .default(searchScanCount.default),
    )
    .addOption(
      new Option("-m, --max <count>", "messages found, at most").argParser(countWithin(numOfMsg)).default(numOfMsg.max),
    )
  addTargetFlags(command).action(
    act((terminal, queueName: string, flags: SearchFlags) =>
      withSubject(terminal, { flags, queueName }, (tools) => search(tools, queueName, flags)),
    ),
  )
}

async function search(
  { terminal, account, format }: CommandTools,
  queueName: string,
  flags: SearchFlags,
): Promise<number> {
  const { messages, scannedCount, nextSeq } = await account.queue(queueName).search(optionsOf(flags))
  if (format === "json") terminal.printJson({ messages: messages.map(viewJson), scannedCount, nextSeq })
  else {
    if (messages.length > 0) terminal.print(messageTable(messages))
    terminal.note(`${String(messages.length)} found among ${String(scannedCount)} messages of ${queueName}`)
    if (nextSeq !== undefined) terminal.note(`there is more to look at: --from ${String(nextSeq)}`)
  }
  return messages.length > 0 ? EXIT_CODES.ok : EXIT_CODES.timeoutOrEmpty
}

function optionsOf({ text, id, attr, from, scan, max }: SearchFlags): SearchOptions {
  const [attributeName, ...value] = attr?.split("=") ?? []
  return {
    ...(text !== undefined && { text }),
    ...(id !== undefined && { msgId: id }),
    ...(attributeName !== undefined && { attributeName }),
    ...(value.length > 0 && { attributeValue: value.join("=") }),
    ...(from !== undefined && { startSeq: from }),
    scan,
    max,
  }
}

function addTrace(message: Command, act: Act): void {
  addTargetFlags(
    message.command("trace <msgId>").description("where a message is now, and what is known of it"),
  ).action(
    act((terminal, msgId: string, flags: TargetFlags) =>
      withBroker(terminal, flags, async ({ account, format }) => {
        const trace = await account.trace(msgId)
        if (format === "json") terminal.printJson(trace)
        else {
          const { entryIndex, term, bodySize, clientMessageId } = trace
          const rows = [
            ["message", msgId],
            ["replicated", `at index ${String(entryIndex)}${term === undefined ? "" : `, term ${String(term)}`}`],
            ["body", `${String(bodySize)} bytes`],
            ["client message id", clientMessageId ?? "-"],
          ] as const
          terminal.print(pairs(rows))
          terminal.print("")
          terminal.print(
            columns(["IN", "STATE", "UNTIL", "SINCE", "RECEIVED", "CAME FROM"], trace.places.map(placeRow)),
          )
        }
        return EXIT_CODES.ok
      }),
    ),
  )
}

function placeRow(place: MessagePlace): (string | number)[] {
  const { queueName, topicName = "", subscriptionName = "", deadLetterReason, originalQueueName = "" } = place
  const received = place.firstDequeueTime === undefined ? "" : ` since ${place.firstDequeueTime.toISOString()}`
  return [
    queueName ?? `${topicName}/${subscriptionName}`,
    place.state,
    place.dueTime?.toISOString() ?? "-",
    place.enqueueTime?.toISOString() ?? "-",
    `${String(place.dequeueCount)}${received}`,
    deadLetterReason === undefined ? "-" : `${originalQueueName} (${deadLetterReason})`,
  ]
}
