/** The HTTP face over a local broker, on a free port: what every test of the suite talks to. */
import { httpFaceDefaults, makeHttpFace } from "../../../src/adapters/http/http-server.ts"
import type { HttpFace, HttpFaceOptions } from "../../../src/adapters/http/http-server.ts"
import { loadUws } from "../../../src/adapters/http/uws-server.ts"
import type { Clock, Logger } from "../../../src/ports.ts"
import { LocalBroker } from "../local-broker.ts"
import { makeTestMetrics } from "./test-metrics.ts"

export const SECRET_ID = "AKIDconformance0000000000000000000000"
export const SECRET_KEY = "conformanceSecretKey"

/** The servers that can run here: where uWebSockets.js cannot be loaded, the suite covers node:http alone. */
export const SERVERS: readonly ("uws" | "node")[] = "library" in (await loadUws()) ? ["uws", "node"] : ["node"]

/** The real clocks, and an offset for the wall clock. */
export class TestClock implements Clock {
  aheadMs = 0
  monotonicMs(): number {
    return performance.now()
  }
  wallMs(): number {
    return Date.now() + this.aheadMs
  }
}

/** Keeps what is logged. */
export class TestLogger implements Logger {
  readonly lines: string[] = []
  debug(): void {}
  info(_fields: Readonly<Record<string, unknown>>, text: string): void {
    this.lines.push(text)
  }
  warn(fields: Readonly<Record<string, unknown>>, text: string): void {
    this.info(fields, text)
  }
  error(fields: Readonly<Record<string, unknown>>, text: string): void {
    this.info({}, `${text}: ${String(fields["err"])}`)
  }
}

export interface TestFace {
  readonly face: HttpFace
  readonly broker: LocalBroker
  readonly clock: TestClock
  readonly logger: TestLogger
  readonly port: number
  close(): Promise<void>
}

export interface FaceChanges {
  readonly port?: number
  readonly server?: Partial<HttpFaceOptions["server"]>
  readonly authentication?: Partial<HttpFaceOptions["authentication"]>
  readonly actions?: Partial<HttpFaceOptions["actions"]>
}

export async function openFace(httpServer: "uws" | "node", changes: FaceChanges = {}): Promise<TestFace> {
  const broker = new LocalBroker()
  const clock = new TestClock()
  const logger = new TestLogger()
  const metrics = makeTestMetrics()
  metrics.setQueues(() => broker.samples())
  const defaults = httpFaceDefaults("0.0.0")
  const face = await makeHttpFace({
    service: broker,
    keys: new Map([[SECRET_ID, SECRET_KEY]]),
    clock,
    logger,
    metrics,
    metricsPage: metrics,
    options: {
      httpServer,
      server: { ...defaults.server, ...changes.server },
      authentication: { ...defaults.authentication, ...changes.authentication },
      actions: { ...defaults.actions, ...changes.actions },
    },
  })
  const { port } = await face.listen({ host: "127.0.0.1", port: changes.port ?? 0 })
  const close = async (): Promise<void> => {
    await face.close({ graceMs: 500 })
    broker.close()
  }
  return { face, broker, clock, logger, port, close }
}
