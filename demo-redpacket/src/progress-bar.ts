/**
 * One line that fills up, on a terminal only. A dependency would cost more than these lines.
 */

const WIDTH = 40
/** Updates that are not painted: a terminal is slow. */
const PAINT_STEPS = 200

/** Where the bar is painted. */
export type ProgressStream = Readonly<{ isTTY?: boolean; write: (text: string) => unknown }>

/** Paints a bar from 0 to `total`; does nothing unless the stream is a terminal. */
export class ProgressBar {
  readonly #stream: ProgressStream
  readonly #total: number
  #paintedStep = -1

  constructor(stream: ProgressStream, total: number) {
    this.#stream = stream
    this.#total = Math.max(1, total)
  }

  update(value: number): void {
    if (this.#stream.isTTY !== true) return
    const step = Math.floor((value / this.#total) * PAINT_STEPS)
    if (step === this.#paintedStep) return
    this.#paintedStep = step
    const filled = Math.round((step / PAINT_STEPS) * WIDTH)
    const percent = String(Math.floor((step / PAINT_STEPS) * 100)).padStart(3)
    this.#stream.write(`\r${"█".repeat(filled)}${"░".repeat(WIDTH - filled)} ${percent} %`)
  }

  /** Ends the line. */
  end(): void {
    if (this.#stream.isTTY === true && this.#paintedStep !== -1) this.#stream.write("\n")
  }
}
