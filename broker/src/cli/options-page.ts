/**
 * docs/options.md, made from the options table. `node --conditions=source --import tsx tools/render-options.mjs` writes it, a test compares it.
 */
import {
  OPTION_NAMES,
  environmentNameOf,
  flagOf,
  optionRow,
  optionText,
  type OptionGroup,
  type OptionName,
} from "../options.ts"
import { allowed } from "./option-value.ts"

const GROUPS: readonly OptionGroup[] = [
  "Node",
  "Addresses",
  "Access",
  "Push",
  "Storage",
  "Consensus",
  "Limits",
  "Logging",
]

const INTRODUCTION = `# Options of \`opencmq server\`

Made from \`broker/src/options.ts\` by \`node --conditions=source --import tsx tools/render-options.mjs\`; a test compares the two.

Each option can be given in four places. The first that has it wins:

1. a flag: \`--node-id 2\`
2. a variable of the environment: \`OPENCMQ_NODE_ID=2\` (an empty one counts as not set)
3. the YAML file named by \`--config\` or \`OPENCMQ_CONFIG\`: \`nodeId: 2\`
4. the default

\`opencmq config show --origin\` prints each value and where it came from; \`opencmq config check\` says what is wrong and
starts nothing. An unknown flag or key, or a value outside its range, is refused with its place; an unknown variable
\`OPENCMQ_...\` is warned of. Options marked "agree" must have one value on all nodes of a cluster.

A file for the first of three nodes:

\`\`\`yaml
nodeId: 1
clusterId: shop
dataDir: /var/lib/opencmq
httpHost: 0.0.0.0
httpAddress: http://10.0.0.1:7070
peerHost: 0.0.0.0
peers:
  1: 10.0.0.1:7072
  2: 10.0.0.2:7072
  3: 10.0.0.3:7072
\`\`\`

with \`OPENCMQ_SECRET_ID\`, \`OPENCMQ_SECRET_KEY\` and \`OPENCMQ_PEER_SECRET\` in the environment: secrets given as flags can be
seen by every user of the machine.
`

/** The whole page. */
export function optionsPage(): string {
  return `${INTRODUCTION}${GROUPS.map(groupText).join("")}`
}

function groupText(group: OptionGroup): string {
  const names = OPTION_NAMES.filter((name) => optionRow(name).group === group)
  const head = "| Option | Flag, variable | Allowed | Default | |\n| --- | --- | --- | --- | --- |\n"
  return `\n## ${group}\n\n${head}${names.map(rowText).join("")}`
}

function rowText(name: OptionName): string {
  const row = optionRow(name)
  const marks = [row.isSecret === true ? "Secret." : "", row.mustAgree === true ? "Agree." : ""]
  const cells = [
    `\`${name}\``,
    `\`${flagOf(name)}\` \`${environmentNameOf(name)}\``,
    allowed(row),
    defaultText(name),
    [row.help, ...marks].filter((text) => text !== "").join(" "),
  ]
  return `| ${cells.join(" | ")} |\n`
}

function defaultText(name: OptionName): string {
  const text = optionText(name, optionRow(name).default)
  return text === "" ? "none" : `\`${text}\``
}
