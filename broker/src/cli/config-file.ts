/**
 * The file of `--config`: YAML, a list of `option: value`. Only a broker that has one loads the parser.
 */
import { LineCounter, isMap, isScalar, parseDocument } from "yaml"
import { OPTION_NAMES, type OptionName } from "../options.ts"
import { suggestion } from "./nearest.ts"

/** A value as it was written, and where: `opencmq.yaml:3`. */
export interface Found {
  readonly raw: unknown
  readonly origin: string
}

/** What a file says. With a problem nothing of it counts. */
export interface ConfigFile {
  readonly values: ReadonlyMap<string, Found>
  readonly problems: readonly string[]
}

/** @param path - as problems shall name it. */
export function parseConfigFile(path: string, text: string): ConfigFile {
  const values = new Map<string, Found>()
  const problems: string[] = []
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "silent" })
  const place = (offset: number) => `${path}:${String(lines.linePos(offset).line)}`
  for (const error of document.errors) problems.push(`${place(error.pos[0])}: ${error.message}`)
  const { contents } = document
  if (contents === null || problems.length > 0) return { values, problems }
  if (!isMap(contents)) return { values, problems: [`${path}:1: a list of "option: value" is expected`] }
  for (const { key, value } of contents.items) {
    const name = isScalar(key) ? String(key.value) : String(key)
    const at = place(isScalar(key) ? (key.range?.[0] ?? 0) : 0)
    if (!OPTION_NAMES.includes(name as OptionName)) {
      problems.push(`${name} (${at}): unknown option${suggestion(name, OPTION_NAMES)}`)
      continue
    }
    const raw = contents.get(name, false) as unknown
    if (raw !== null) values.set(name, { raw: isMap(value) ? value.toJSON() : raw, origin: at })
  }
  return { values, problems }
}
