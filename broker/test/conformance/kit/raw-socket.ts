/** Bytes on a socket, for everything that a decent HTTP client would not send. */
import { connect } from "node:net"
import type { Socket } from "node:net"

export interface RawSocket {
  readonly socket: Socket
  write(bytes: string | Uint8Array): void
  /** All that came so far. */
  received(): string
  isClosed(): boolean
  /** Resolves when the condition holds; rejects after `timeoutMs`. */
  until(condition: () => boolean, timeoutMs?: number): Promise<void>
  close(): void
}

export function openRaw(port: number): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    let text = ""
    let isClosed = false
    socket.on("data", (chunk) => {
      text += chunk.toString("utf8")
    })
    socket.on("close", () => {
      isClosed = true
    })
    socket.on("error", (error) => {
      isClosed = true
      reject(error)
    })
    socket.once("connect", () => {
      resolve({
        socket,
        write: (bytes) => {
          if (!isClosed && socket.writable) socket.write(bytes)
        },
        received: () => text,
        isClosed: () => isClosed,
        until: (condition, timeoutMs = 5_000) => poll(condition, timeoutMs, () => text),
        close: () => {
          socket.destroy()
        },
      })
    })
  })
}

/** Looks every few milliseconds until the condition holds. */
export async function poll(condition: () => boolean, timeoutMs: number, said = (): string => ""): Promise<void> {
  const endsAt = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > endsAt)
      throw new Error(`not within ${String(timeoutMs)} ms; received: ${said().slice(0, 500)}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
