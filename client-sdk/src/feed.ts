/** What brings messages to a consumer: polls (`message-feed.ts`) or streams (`stream-feed.ts`). */
import type { CmqError } from "./cmq-error.ts"
import type { Message } from "./message.ts"
import type { MessageStream } from "./transport.ts"

/** Opens a stream of messages; see `AttemptRunner.openStream`. */
export type OpenStream = (
  order: Readonly<{
    visibilityTimeoutSeconds: number
    onMessages: (messages: readonly Message[]) => void
    /** Undefined = as it was asked for. */
    onEnd: (error: CmqError | undefined) => void
  }>,
) => MessageStream

/** What feeds a consumer: polls, or a stream. */
export interface Feed {
  /** Fetches if more is wanted than is under way already. To be called whenever more is wanted. */
  fetch(): void
  /** Ends it, on the broker too. Resolves when nothing more can come. */
  stop(): Promise<void>
}
