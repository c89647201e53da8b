/** What the hand-written series of queues and of subscriptions share. */

/** Samples looked at or written in one turn of the event loop: heartbeats must go out in between. */
export const SAMPLES_PER_TURN = 500

/** HELP and TYPE of "name type help". */
export function head(family: string): string {
  const [name = "", type = "", ...help] = family.split(" ")
  return `# HELP ${name} ${help.join(" ")}\n# TYPE ${name} ${type}\n`
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
