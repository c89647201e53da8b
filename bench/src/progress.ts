/**
 * What is shown while it runs: a bar on a terminal, nothing elsewhere. On stderr, so that stdout holds the result only.
 */
import { SingleBar } from "cli-progress"

export interface Progress {
  update(done: number, text: string): void
  stop(): void
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined }

/** @param total - what `done` counts up to. */
export function startProgress(title: string, total: number): Progress {
  if (!process.stderr.isTTY) return SILENT
  const bar = new SingleBar({
    format: `${title} [{bar}] {percentage}% {text}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  })
  bar.start(total, 0, { text: "" })
  return {
    update: (done, text) => {
      bar.update(done, { text })
    },
    stop: () => {
      bar.stop()
    },
  }
}
