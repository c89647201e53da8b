/**
 * Counts the bytes that code asks for in one go: Buffers, typed arrays and array buffers of a given length. A request
 * above the limit is refused before it is carried out, so a decoder that believes a declared length is caught without
 * costing the machine its memory.
 *
 * Views of memory that is there, and copies of lists, ask for nothing that the input did not pay for.
 */

/** Something asked for more than its input allows. */
export class AllocationTooLarge extends Error {
  override readonly name = "AllocationTooLarge"
}

const ARRAY_NAMES = [
  "Uint8Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float64Array",
  "BigUint64Array",
  "ArrayBuffer",
] as const
const BUFFER_NAMES = ["alloc", "allocUnsafe", "allocUnsafeSlow"] as const

type Constructor = new (...given: unknown[]) => object
type Allocate = (size: number, ...rest: unknown[]) => Buffer

export class AllocationMeter {
  /** Bytes asked for since the last `reset`. */
  bytes = 0
  #bytesMax = Number.POSITIVE_INFINITY
  #undo: (() => void)[] = []

  reset(bytesMax: number): void {
    this.bytes = 0
    this.#bytesMax = bytesMax
  }

  /** Puts itself between the code and its memory, until `uninstall`. */
  install(): void {
    const places = globalThis as unknown as Record<string, Constructor>
    for (const name of ARRAY_NAMES) {
      const original = places[name] as Constructor & { readonly BYTES_PER_ELEMENT?: number }
      const elementBytes = original.BYTES_PER_ELEMENT ?? 1
      places[name] = new Proxy(original, {
        construct: (target, given: unknown[], newTarget) => {
          if (typeof given[0] === "number") this.#count(given[0] * elementBytes)
          // Named as themselves, or a class derived from one would be made of the original.
          const made = newTarget === places[name] ? target : newTarget
          return Reflect.construct(target, given, made) as object
        },
      })
      this.#undo.push(() => {
        places[name] = original
      })
    }
    const buffers = Buffer as unknown as Record<string, Allocate>
    for (const name of BUFFER_NAMES) {
      const original = buffers[name] as Allocate
      buffers[name] = (size, ...rest) => {
        this.#count(size)
        return original.call(Buffer, size, ...rest)
      }
      this.#undo.push(() => {
        buffers[name] = original
      })
    }
  }

  uninstall(): void {
    for (const undo of this.#undo) undo()
    this.#undo = []
  }

  #count(bytes: number): void {
    this.bytes += bytes
    if (this.bytes > this.#bytesMax) {
      throw new AllocationTooLarge(
        `${String(this.bytes)} bytes asked for, at most ${String(this.#bytesMax)} are allowed`,
      )
    }
  }
}
