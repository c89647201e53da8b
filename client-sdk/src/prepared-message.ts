/** A message ready to travel, whatever carries it. */
import type { MessageAttribute } from "@opencmq/proto"

/** What is sent of a message. */
export type WireBody = Readonly<{
  text: string
  /** Size of the body as the broker counts it, bytes of UTF-8. */
  bytes: number
  attributes: readonly MessageAttribute[]
}>

/** With what a send adds. */
export type PreparedMessage = WireBody & Readonly<{ clientMessageId: string; delaySeconds: number }>
