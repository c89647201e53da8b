/** Rules of topics and subscriptions that need no state, kept by every face whatever its wire looks like. */
import type { ErrorName } from "./errors.ts"
import { LIMITS, isQueueName, isWithin } from "./limits.ts"
import { refuse } from "./reading.ts"
import type { Refused } from "./reading.ts"

/** Where a subscription's messages shall go, as its wire says it. */
export type EndpointText = Readonly<{ protocol: string; endpoint: string }>

/**
 * A routing key or a binding key: `parameterOutOfRange` about its length, `tooManyDelimiters`.
 *
 * @param name - under which a refusal speaks of it.
 * @returns undefined when it may be used.
 */
export function checkKey(name: string, key: string): Refused | undefined {
  if (!isWithin(LIMITS.routingKeyBytes, Buffer.byteLength(key, "utf8"))) return refuse("parameterOutOfRange", name)
  const dots = key.split(".").length - 1
  return isWithin(LIMITS.routingKeyDelimitersCount, dots) ? undefined : refuse("tooManyDelimiters")
}

/** Binding keys of a subscription: `tooManyBindingKeys`, and what `checkKey` says of each. */
export function checkBindingKeys(name: string, keys: readonly string[]): Refused | undefined {
  return keys.length > LIMITS.tagsCount.max ? refuse("tooManyBindingKeys") : firstOf(keys, name, checkKey)
}

/** Tags of a message or of a subscription: `tooMany`, or `parameterOutOfRange` about the length of one. */
export function checkTags(name: string, tags: readonly string[], tooMany: ErrorName): Refused | undefined {
  return tags.length > LIMITS.tagsCount.max ? refuse(tooMany) : firstOf(tags, name, checkTag)
}

/** An address is looked at again, and more closely, before each push. */
export function checkEndpoint({ protocol, endpoint }: EndpointText): Refused | undefined {
  if (protocol === "queue") return isQueueName(endpoint) ? undefined : refuse("endpointIllegal")
  if (/\s/.test(endpoint)) return refuse("endpointHasBlanks")
  return /^http:\/\/[^/?#@]+([/?#]|$)/i.test(endpoint) ? undefined : refuse("endpointInvalid")
}

function checkTag(name: string, tag: string): Refused | undefined {
  return isWithin(LIMITS.tagLength, tag.length) ? undefined : refuse("parameterOutOfRange", name)
}

function firstOf(
  texts: readonly string[],
  name: string,
  check: (name: string, text: string) => Refused | undefined,
): Refused | undefined {
  for (const [index, text] of texts.entries()) {
    const refused = check(`${name}[${String(index)}]`, text)
    if (refused !== undefined) return refused
  }
  return undefined
}
