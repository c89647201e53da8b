/**
 * `opencmq server | dev | config show | config check`: the flags of the options table, and what is decided from them.
 */
import { readFileSync } from "node:fs"
import { Option, type Command } from "commander"
import {
  DEVELOPMENT_SECRET_ID,
  DEVELOPMENT_SECRET_KEY,
  OPTIONS,
  OPTION_NAMES,
  environmentNameOf,
  flagOf,
  optionRow,
  optionText,
  type DevOptions,
  type OptionName,
} from "../options.ts"
import { countWithin } from "./arguments.ts"
import { addFormatFlag } from "./broker-target.ts"
import type { ConfigFile } from "./config-file.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { CliFailure, reportFailure } from "./failure.ts"
import type { ResolvedOptions } from "./resolve-options.ts"
import { columns } from "./table.ts"
import type { Act, Format, Terminal } from "./terminal.ts"

type ServerFlags = Readonly<Record<string, unknown>> & { readonly config?: string }

export function addServerCommands(program: Command, act: Act): void {
  addOptionFlags(program.command("server").description("run a broker; what it can be told: docs/options.md")).action(
    act(async (terminal, flags: ServerFlags) => {
      try {
        const { options } = tellProblems(terminal, await resolve(terminal, flags))
        const { runServer } = await import("./server.ts")
        return await runServer(options)
      } catch (thrown) {
        return failed(terminal, thrown, "table")
      }
    }),
  )
  addDev(program, act)
  addConfig(program, act)
}

/** Only refusals are told here; a bug is left to crash with its stack. */
function failed(terminal: Terminal, thrown: unknown, format: Format): number {
  if (thrown instanceof CliFailure) return reportFailure(terminal, thrown, { format })
  throw thrown
}

function addOptionFlags(command: Command): Command {
  command.option("-c, --config <file>", "YAML file with options (OPENCMQ_CONFIG)")
  for (const name of OPTION_NAMES) {
    const row = optionRow(name)
    const isSwitch = row.kind === "boolean"
    const fallback = optionText(name, row.default)
    const help = `${row.help} (${environmentNameOf(name)}${fallback === "" ? "" : `; default ${fallback}`})`
    const flag = new Option(`${flagOf(name)} ${isSwitch ? "[true|false]" : `<${placeholder(name)}>`}`, help)
    if (row.kind === "choice") flag.choices(row.choices)
    command.addOption(flag.helpGroup(`${row.group}:`))
  }
  return command
}

function placeholder(name: OptionName): string {
  const row = optionRow(name)
  if (row.kind === "integer") return row.unit === "number" ? "n" : row.unit
  return row.kind
}

async function resolve(terminal: Terminal, flags: ServerFlags): Promise<ResolvedOptions> {
  const { resolveOptions } = await import("./resolve-options.ts")
  const given = OPTION_NAMES.filter((name) => flags[name] !== undefined)
  return resolveOptions({
    flags: Object.fromEntries(given.map((name) => [name, String(flags[name])])),
    environment: terminal.environment,
    file: await readConfigFile(flags.config, terminal.environment["OPENCMQ_CONFIG"]),
  })
}

async function readConfigFile(flag: string | undefined, variable: string | undefined): Promise<ConfigFile | undefined> {
  const path = flag ?? (variable === "" ? undefined : variable)
  if (path === undefined) return undefined
  const { parseConfigFile } = await import("./config-file.ts")
  return parseConfigFile(path, textOf(path, flag === undefined ? "OPENCMQ_CONFIG" : "--config"))
}

function textOf(path: string, from: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "?"
    throw new CliFailure("usage", `${from} ${path} cannot be read: ${why}`)
  }
}

/** Warnings to stderr. @throws CliFailure with all problems. */
function tellProblems(terminal: Terminal, resolved: ResolvedOptions): Extract<ResolvedOptions, { readonly ok: true }> {
  for (const warning of resolved.warnings) terminal.note(`opencmq: warning: ${warning}`)
  if (resolved.ok) return resolved
  throw new CliFailure("usage", resolved.problems.join("\nopencmq: "), "nothing was started; see docs/options.md")
}

const BASE_PORT = { min: 1, max: 65_000, default: 7_070 } as const

interface DevFlags {
  readonly nodes: "1" | "3"
  readonly basePort: number
  readonly dataDir: string
  readonly json?: true
  readonly logLevel: DevOptions["logLevel"]
}

function addDev(program: Command, act: Act): void {
  program
    .command("dev")
    .description("run brokers on this machine, as processes of their own; not for production")
    .addOption(new Option("--nodes <count>", "brokers").choices(["1", "3"]).default("3"))
    .addOption(
      new Option("--base-port <port>", "HTTP port of node 1; gRPC, peers and TCP follow, each node 100 higher")
        .argParser(countWithin(BASE_PORT))
        .default(BASE_PORT.default),
    )
    .option("--data-dir <path>", "where the data goes; kept over restarts", ".opencmq")
    .option("--json", "events for programs on stdout, one a line")
    .addOption(new Option("--log-level <level>", "of the brokers").choices(OPTIONS.logLevel.choices).default("warn"))
    .action(
      act(async (terminal, flags: DevFlags) => {
        try {
          const options = devOptions(flags, await knownEnvironment(terminal))
          const { runDev } = await import("./dev.ts")
          return await runDev(options)
        } catch (thrown) {
          return failed(terminal, thrown, flags.json === true ? "json" : "table")
        }
      }),
    )
}

/** Variables that nothing reads are told of here, once, and kept from the brokers, each of which would tell again. */
async function knownEnvironment(terminal: Terminal): Promise<Terminal["environment"]> {
  const { unknownVariables } = await import("./resolve-options.ts")
  const environment = { ...terminal.environment }
  for (const name of Object.keys(environment)) {
    const [warning] = unknownVariables({ [name]: "" })
    if (warning === undefined) continue
    terminal.note(`opencmq: warning: ${warning}`)
    Reflect.deleteProperty(environment, name)
  }
  return environment
}

function devOptions(flags: DevFlags, environment: Terminal["environment"]): DevOptions {
  const secretId = environment["OPENCMQ_SECRET_ID"] ?? ""
  const secretKey = environment["OPENCMQ_SECRET_KEY"] ?? ""
  if ((secretId === "") !== (secretKey === "")) {
    throw new CliFailure("usage", "half a key pair", "set OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY, or neither")
  }
  return {
    nodes: flags.nodes === "1" ? 1 : 3,
    basePort: flags.basePort,
    dataDir: flags.dataDir,
    json: flags.json === true,
    logLevel: flags.logLevel,
    environment,
    secretId: secretId === "" ? DEVELOPMENT_SECRET_ID : secretId,
    secretKey: secretKey === "" ? DEVELOPMENT_SECRET_KEY : secretKey,
  }
}

type ConfigFlags = ServerFlags & { readonly format: Format; readonly origin?: true }

function addConfig(program: Command, act: Act): void {
  const config = program.command("config").description("look at the options that a server would get")
  const show = config
    .command("show")
    .description("show every option")
    .option("--origin", "and where its value came from")
  addOptionFlags(addFormatFlag(show)).action(
    act(async (terminal, flags: ConfigFlags) => {
      try {
        const resolved = await resolve(terminal, flags)
        const { options, origins } = resolved.ok ? resolved : (resolved.found ?? tellProblems(terminal, resolved))
        const rows = OPTION_NAMES.map((name) => ({
          name,
          value: optionText(name, options[name]),
          origin: origins[name],
        }))
        const shown = flags.origin === true ? rows : rows.map(({ name, value }) => ({ name, value }))
        if (flags.format === "json") terminal.printJson(shown)
        else terminal.print(optionTable(rows, flags.origin === true))
        tellProblems(terminal, resolved)
        return EXIT_CODES.ok
      } catch (thrown) {
        return failed(terminal, thrown, flags.format)
      }
    }),
  )
  addOptionFlags(addFormatFlag(config.command("check").description("say what is wrong, start nothing"))).action(
    act(async (terminal, flags: ConfigFlags) => {
      try {
        const resolved = await resolve(terminal, flags)
        if (flags.format === "json") {
          terminal.printJson({
            ok: resolved.ok,
            problems: resolved.ok ? [] : resolved.problems,
            warnings: resolved.warnings,
          })
          return resolved.ok ? EXIT_CODES.ok : EXIT_CODES.usage
        }
        tellProblems(terminal, resolved)
        terminal.print("the options are right")
        return EXIT_CODES.ok
      } catch (thrown) {
        return failed(terminal, thrown, flags.format)
      }
    }),
  )
}

function optionTable(rows: readonly { name: string; value: string; origin: string }[], hasOrigin: boolean): string {
  return hasOrigin
    ? columns(
        ["OPTION", "VALUE", "FROM"],
        rows.map(({ name, value, origin }) => [name, value, origin]),
      )
    : columns(
        ["OPTION", "VALUE"],
        rows.map(({ name, value }) => [name, value]),
      )
}
