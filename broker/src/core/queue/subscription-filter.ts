/**
 * Which messages a subscription wants: by tag, or by a binding key with wildcards.
 *
 * Words of a binding key are separated by dots: `*` stands for exactly one word that is not empty, `#` for any number
 * of words, none included; anything else is a word itself. Source: cmq-api.md section 5 (D:tag, D:route).
 */

/** Words of a key at most: 15 dots (CMQ), and what bits of a number allow. */
export const KEY_WORDS_MAX = 30

/**
 * A binding key, compiled: bit i of a set of states = "the first i words of the pattern are used up". A key is matched
 * in one pass over its words, whatever the wildcards (Baeza-Yates and Gonnet, shift-and).
 */
export interface BindingKey {
  readonly text: string
  /** Word of the pattern -> bits of the places where it stands. */
  readonly words: ReadonlyMap<string, number>
  /** Places of `*`. */
  readonly anyWord: number
  /** Places of `#`. */
  readonly anyWords: number
  /** The state in which the whole pattern is used up. */
  readonly accepted: number
}

/** Compiles a binding key; words beyond the 30th are ignored (the edge refuses more than 16). */
export function compileBindingKey(text: string): BindingKey {
  const words = new Map<string, number>()
  let anyWord = 0
  let anyWords = 0
  let place = 0
  let previous: string | undefined
  for (const word of text.split(".").slice(0, KEY_WORDS_MAX)) {
    // Neighbouring `#` mean what one of them means.
    if (word === "#" && previous === "#") continue
    previous = word
    const bit = 1 << place++
    if (word === "#") anyWords |= bit
    else if (word === "*") anyWord |= bit
    else words.set(word, (words.get(word) ?? 0) | bit)
  }
  return { text, words, anyWord, anyWords, accepted: 1 << place }
}

/** Whether a routing key, taken apart at its dots, matches. O(words of the key). */
export function matchesBindingKey(key: BindingKey, routingWords: readonly string[]): boolean {
  let states = withEmptyWords(key, 1)
  for (const word of routingWords) {
    const accepting = (key.words.get(word) ?? 0) | (word === "" ? 0 : key.anyWord)
    states = withEmptyWords(key, ((states & accepting) << 1) | (states & key.anyWords))
    if (states === 0) return false
  }
  return (states & key.accepted) !== 0
}

/** `#` may stand for no word at all: whoever is before it is behind it as well. */
function withEmptyWords(key: BindingKey, states: number): number {
  return states | ((states & key.anyWords) << 1)
}
