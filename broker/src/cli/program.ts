/**
 * The command `opencmq`: its tree of commands, and how a run becomes an exit code (exit-code.ts, docs/cli.md).
 */
import { Command, CommanderError } from "commander"
import { addFormatFlag } from "./broker-target.ts"
import { addClusterCommands } from "./cluster-commands.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { CliFailure, reportFailure } from "./failure.ts"
import { addExplainCommand } from "./explain-command.ts"
import { addKeyCommands } from "./key-commands.ts"
import { addMessageCommands } from "./message-commands.ts"
import { addQueueCommands } from "./queue-commands.ts"
import { addSearchCommands } from "./search-commands.ts"
import { addServerCommands } from "./server-commands.ts"
import { addSubscriptionCommands } from "./subscription-commands.ts"
import { Terminal, type Act, type Format, type TerminalStreams } from "./terminal.ts"
import { addTopicCommands } from "./topic-commands.ts"
import { PRODUCT_VERSION } from "./version.ts"

/**
 * Runs one command.
 *
 * @param argv - what stands behind the program's name.
 * @returns the exit code; whoever calls ends the process with it once stdout is written.
 */
export async function runCli(argv: readonly string[], streams: TerminalStreams): Promise<number> {
  let exitCode: number = EXIT_CODES.ok
  const terminal = new Terminal(streams)
  const act: Act =
    (run) =>
    async (...args) => {
      exitCode = await run(terminal, ...args)
    }
  const isJson = wantsJson(argv)
  const program = buildProgram(act, streams, isJson)
  // Whoever read the other end of the pipe has seen enough.
  streams.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT_CODES.ok)
    throw error
  })
  try {
    await program.parseAsync([...argv], { from: "user" })
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown
    // Asked-for help is a result, help in place of a command is not.
    if (thrown.exitCode === 0) return EXIT_CODES.ok
    // For a person its words are written already.
    if (isJson) reportFailure(terminal, usageFailure(thrown), { format: "json" })
    return EXIT_CODES.usage
  }
  return exitCode
}

/** Asked of the words themselves: those that are wrong cannot be read otherwise. */
function wantsJson(argv: readonly string[]): boolean {
  const isFormat = argv.some((word, i) => word === "--format=json" || (word === "--format" && argv[i + 1] === "json"))
  return isFormat || (argv[0] === "dev" && argv.includes("--json"))
}

function usageFailure({ code, message }: CommanderError): CliFailure {
  const hint = "more: opencmq help COMMAND"
  if (code === "commander.help") return new CliFailure("usage", "no command is given", hint)
  return new CliFailure("usage", usageText(message).trim().replaceAll("\n", " "), hint)
}

/** Commander's words without its prefix, and a word for those who look for `rm`. */
function usageText(text: string): string {
  return text.replace(/^error: /, "").replace(/^(unknown command 'delete')$/m, "$1\n(Did you mean rm?)")
}

/** The tree of commands. With `isJson` usage errors are not written: whoever runs it tells them. */
export function buildProgram(act: Act, streams: Pick<TerminalStreams, "stdout" | "stderr">, isJson = false): Command {
  const program = new Command("opencmq")
    .description("OpenCMQ: a replicated message queue that speaks Tencent CMQ's API")
    .version(PRODUCT_VERSION, "-V, --version", "print the version")
    .exitOverride()
    .showHelpAfterError("(opencmq help COMMAND tells more)")
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => {
        if (!isJson) streams.stderr.write(text)
      },
      outputError: (text, write) => {
        write(`opencmq: ${usageText(text)}`)
      },
    })
    .addHelpText("after", HELP)
  addServerCommands(program, act)
  addQueueCommands(program, act)
  addMessageCommands(program, act)
  addKeyCommands(program, act)
  addSearchCommands(program, act)
  addTopicCommands(program, act)
  addSubscriptionCommands(program, act)
  addClusterCommands(program, act)
  addExplainCommand(program, act)
  addFormatFlag(program.command("version").description("print the versions of opencmq and Node")).action(
    act((terminal, { format }: { readonly format: Format }) => {
      const versions = {
        opencmq: PRODUCT_VERSION,
        node: process.version,
        platform: `${process.platform}-${process.arch}`,
      }
      if (format === "json") terminal.printJson(versions)
      else terminal.print(`opencmq ${versions.opencmq} (Node ${versions.node}, ${versions.platform})`)
      return Promise.resolve(EXIT_CODES.ok)
    }),
  )
  return program
}

const HELP = `
Exit codes: 0 ok, 1 failure, 2 wrong usage, 3 not found, 4 not let in, 5 timeout or nothing there.

Try:
  opencmq dev                                  three brokers on this machine
  opencmq queue create orders --visibility 30s
  opencmq send orders '{"id": 1}'
  opencmq receive orders --wait 5s --ack`
