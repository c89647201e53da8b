/**
 * A bar for long work; the one home of cli-progress. There is none unless somebody watches, and none for short work.
 */
import { SingleBar } from "cli-progress"
import type { Terminal } from "./terminal.ts"

const COUNT_MIN = 1_000

export interface Progress {
  update(done: number): void
  stop(): void
}

export function startProgress(terminal: Terminal, total: number): Progress {
  if (!terminal.isWatched || total < COUNT_MIN) return { update: () => undefined, stop: () => undefined }
  const bar = new SingleBar({
    format: "{bar} {percentage} %  {value}/{total}  {eta_formatted} left",
    stream: terminal.progressStream,
    clearOnComplete: true,
  })
  bar.start(total, 0)
  return {
    update: (done) => {
      bar.update(done)
    },
    stop: () => {
      bar.stop()
    },
  }
}
