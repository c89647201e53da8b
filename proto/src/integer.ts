/**
 * Strict whole numbers on the wire. CMQ's clients send plain digits; everything else is refused with
 * `parameterTypeError` rather than guessed at.
 */

const INTEGER_PATTERN = /^(?:0|-?[1-9]\d*)$/

/**
 * Reads `0`, `-12` or `345`: no blank, no `+`, no leading zero, no fraction, no exponent, not empty.
 *
 * @returns undefined for any other text; an infinity of the right sign beyond 2^53 - 1, which is therefore outside
 * every range and never rounded.
 */
export function parseInteger(text: string): number | undefined {
  if (!INTEGER_PATTERN.test(text)) return undefined
  const value = Number(text)
  if (Number.isSafeInteger(value)) return value
  return text.startsWith("-") ? -Infinity : Infinity
}
