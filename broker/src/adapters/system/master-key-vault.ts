/**
 * Secrets of key pairs under the master key: AES-256-GCM, each with a random nonce, bound to its SecretId. The master key
 * itself is an option of the process and is never written anywhere.
 *
 * A sealed secret is `1.<fingerprint>.<base64 of nonce, ciphertext, tag>`; the fingerprint tells at once that it was
 * sealed under another master key.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto"
import type { KeyVault, MintedKey } from "../../ports.ts"

const VERSION = "1"
const CIPHER = "aes-256-gcm"
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const FINGERPRINT_BYTES = 4
const SECRET_BYTES = 32
const ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
/** With `AKID` before them as long as Tencent's. */
const ID_LENGTH = 32

/** The vault of a node that has a master key. */
export class MasterKeyVault implements KeyVault {
  readonly #masterKey: Buffer
  readonly #sealingKey: Buffer
  /** Names the master key and shows nothing of it. */
  readonly fingerprint: string

  /** @param masterKey - base64 of 32 bytes. */
  constructor(masterKey: string) {
    this.#masterKey = Buffer.from(masterKey, "base64")
    if (this.#masterKey.length !== KEY_BYTES) throw new RangeError("a master key of a wrong length")
    this.#sealingKey = this.#derived("seal", KEY_BYTES)
    this.fingerprint = this.#derived("fingerprint", FINGERPRINT_BYTES).toString("hex")
  }

  mint(): MintedKey {
    const secretId = `AKID${randomLetters(ID_LENGTH)}`
    const secretKey = randomBytes(SECRET_BYTES).toString("base64url")
    return { secretId, secretKey, sealedSecret: this.#seal(secretId, secretKey) }
  }

  open(secretId: string, sealedSecret: string): string | undefined {
    const [version, fingerprint, text = ""] = sealedSecret.split(".")
    const bytes = Buffer.from(text, "base64")
    if (version !== VERSION || fingerprint !== this.fingerprint || bytes.length <= NONCE_BYTES + TAG_BYTES) {
      return undefined
    }
    const decipher = createDecipheriv(CIPHER, this.#sealingKey, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(boundTo(secretId))
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
    const opened = decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES))
    try {
      return Buffer.concat([opened, decipher.final()]).toString("utf8")
    } catch {
      // Not what was sealed for this SecretId: whoever asks says so.
      return undefined
    }
  }

  handleKeyOf(accountName: string): readonly number[] {
    const bytes = this.#derived(`handles of ${accountName}`, 16)
    return [0, 4, 8, 12].map((at) => bytes.readInt32LE(at))
  }

  #seal(secretId: string, secretKey: string): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, this.#sealingKey, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(boundTo(secretId))
    const sealed = Buffer.concat([nonce, cipher.update(secretKey, "utf8"), cipher.final(), cipher.getAuthTag()])
    return `${VERSION}.${this.fingerprint}.${sealed.toString("base64")}`
  }

  /** Each purpose has a key of its own. */
  #derived(purpose: string, byteLength: number): Buffer {
    return Buffer.from(hkdfSync("sha256", this.#masterKey, "", `opencmq/1/${purpose}`, byteLength))
  }
}

function boundTo(secretId: string): Buffer {
  return Buffer.from(`opencmq/key/1/${secretId}`, "utf8")
}

/** Bytes above the last whole multiple of the letters are drawn again, so that each letter is as likely. */
function randomLetters(length: number): string {
  const usable = 256 - (256 % ID_LETTERS.length)
  let text = ""
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < usable && text.length < length) text += ID_LETTERS[byte % ID_LETTERS.length] ?? ""
    }
  }
  return text
}
