/**
 * Message attributes: small named values beside the body (tracing, content type, SQS). An OpenCMQ extension that
 * CMQ's clients neither send nor miss.
 *
 * On SendMessage and PublishMessage they are `attribute.<n>.name`, `attribute.<n>.value` and `attribute.<n>.type`; on
 * BatchSendMessage and BatchPublishMessage `attributes.<n>` belongs to `msgBody.<n>` and is JSON text: `[{"name","value","type"}]`. The
 * `type` is `string` (default) or `binary`, whose value is base64. Limits: the rows `attribute…` of LIMITS.
 */
import { readIndexRange } from "./indexed-parameters.ts"
import { ATTRIBUTE_NAME_PATTERN, LIMITS } from "./limits.ts"
import { accept, refuse } from "./reading.ts"
import type { ParameterMap, Reading, Refused } from "./reading.ts"

/** One attribute of a message. */
export type MessageAttribute = Readonly<{
  /** 1..256 of `A-Za-z0-9_.-`; unique in its message, case matters. */
  name: string
  /** `string`: the value is UTF-8 text. */
  type: "string" | "binary"
  /** At most 8,192 bytes. */
  value: Uint8Array
}>

/** An attribute as JSON has it: in requests of BatchSendMessage and in every reply. */
export type AttributeFields = Readonly<{ name: string; type: "string" | "binary"; value: string }>

const BASE64_PATTERN = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const FIELDS = ["name", "value", "type"]
const NAME_RULE = "a name has 1 to 256 letters, digits, _ - ."

const textDecoder = new TextDecoder()

/**
 * The attributes `attribute.<n>.…` of a request; an empty list when it has none.
 *
 * Refusals: those of `readIndexRange`; `parameterMissing` for a name or value that is not there;
 * `attributeInvalid` with the reason.
 */
export function readAttributeGroup(params: ParameterMap): Reading<readonly MessageAttribute[]> {
  const range = readIndexRange(params, "attribute", FIELDS)
  if (!range.ok) return range
  const fields: Partial<AttributeFields>[] = []
  for (let index = range.value.base; index < range.value.base + range.value.count; index++) {
    const key = `attribute.${String(index)}`
    const name = params.get(`${key}.name`)
    const value = params.get(`${key}.value`)
    if (name === undefined) return refuse("parameterMissing", `${key}.name`)
    if (value === undefined) return refuse("parameterMissing", `${key}.value`)
    fields.push({ name, value, ...typeField(params.get(`${key}.type`)) })
  }
  return attributesOf(fields)
}

function typeField(type: string | undefined): object {
  return type === undefined ? {} : { type }
}

/** The attributes in a JSON text, as BatchSendMessage sends them; refusals as for `readAttributeGroup`. */
export function parseAttributes(text: string): Reading<readonly MessageAttribute[]> {
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    return refuse("attributeInvalid", "attributes are not JSON")
  }
  if (!Array.isArray(list)) return refuse("attributeInvalid", "attributes are not a JSON array")
  return attributesOf(list)
}

/** The attributes as JSON text, as BatchSendMessage sends them. */
export function formatAttributes(attributes: readonly MessageAttribute[]): string {
  return JSON.stringify(attributeFields(attributes))
}

/** The attributes as replies list them. */
export function attributeFields(attributes: readonly MessageAttribute[]): readonly AttributeFields[] {
  return attributes.map(({ name, type, value }) => ({ name, type, value: valueText(type, value) }))
}

/** The attributes as parameters of SendMessage, numbered from 1. */
export function attributeParameters(
  attributes: readonly MessageAttribute[],
): readonly (readonly [name: string, value: string])[] {
  return attributeFields(attributes).flatMap((each, index) => {
    const key = `attribute.${String(index + 1)}`
    return [
      [`${key}.name`, each.name],
      [`${key}.value`, each.value],
      [`${key}.type`, each.type],
    ] as const
  })
}

function valueText(type: MessageAttribute["type"], value: Uint8Array): string {
  if (type === "string") return textDecoder.decode(value)
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")
}

function attributesOf(list: readonly unknown[]): Reading<readonly MessageAttribute[]> {
  if (list.length > LIMITS.attributesPerMessageCount.max) return refuse("parameterBatchSize", "attribute")
  const attributes: MessageAttribute[] = []
  for (const fields of list) {
    const read = attributeOf(fields)
    if (!read.ok) return read
    attributes.push(read.value)
  }
  return checkAttributes(attributes) ?? accept(attributes)
}

/**
 * Why a message cannot have these attributes: too many (`parameterBatchSize`), or `attributeInvalid` with the reason.
 *
 * For faces that get attributes as values; those that come as text have passed here, too.
 * @returns undefined when it can. O(names).
 */
export function checkAttributes(attributes: readonly MessageAttribute[]): Refused | undefined {
  if (attributes.length > LIMITS.attributesPerMessageCount.max) return refuse("parameterBatchSize", "attribute")
  const names = new Set<string>()
  let totalBytes = 0
  for (const { name, value } of attributes) {
    if (!ATTRIBUTE_NAME_PATTERN.test(name)) return refuse("attributeInvalid", NAME_RULE)
    if (value.length > LIMITS.attributeValueBytes.max) {
      return refuse("attributeInvalid", `value of ${name} has ${String(value.length)} bytes`)
    }
    if (names.has(name)) return refuse("attributeInvalid", `${name} is there twice`)
    names.add(name)
    totalBytes += name.length + value.length
  }
  if (totalBytes <= LIMITS.attributesTotalBytes.max) return undefined
  return refuse("attributeInvalid", `all together have ${String(totalBytes)} bytes`)
}

function attributeOf(fields: unknown): Reading<MessageAttribute> {
  if (typeof fields !== "object" || fields === null) return refuse("attributeInvalid", "each must be an object")
  const { name, value, type = "string" } = fields as Readonly<Record<string, unknown>>
  if (typeof name !== "string" || !ATTRIBUTE_NAME_PATTERN.test(name)) {
    return refuse("attributeInvalid", NAME_RULE)
  }
  if (typeof value !== "string") return refuse("attributeInvalid", `value of ${name} is not text`)
  if (type !== "string" && type !== "binary") return refuse("attributeInvalid", `type of ${name} is unknown`)
  if (type === "binary" && !BASE64_PATTERN.test(value)) return refuse("attributeInvalid", `${name} is not base64`)
  const bytes = type === "binary" ? Buffer.from(value, "base64") : Buffer.from(value, "utf8")
  // A copy: a Buffer of this size would be a window into a pool that other requests share.
  return accept({ name, type, value: new Uint8Array(bytes) })
}
