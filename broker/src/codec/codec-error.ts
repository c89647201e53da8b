/**
 * What a decoder throws: the bytes are not what they should be. Never thrown for a mistake of our own.
 */
export class CodecError extends Error {
  override readonly name = "CodecError"
}
