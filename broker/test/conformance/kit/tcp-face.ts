/** The TCP face over a local broker, on a free port, with seconds that a test lets pass by hand. */
import { NodeTimers } from "../../../src/adapters/system/node-timers.ts"
import { TCP_FACE_DEFAULTS } from "../../../src/adapters/tcp/face-options.ts"
import type { TcpFaceOptions } from "../../../src/adapters/tcp/face-options.ts"
import { TcpFace } from "../../../src/adapters/tcp/tcp-face.ts"
import type { MetricsPage } from "../../../src/node/metrics.ts"
import type { BrokerService } from "../../../src/node/service-types.ts"
import type { Cancel } from "../../../src/ports.ts"
import { SECRET_ID, SECRET_KEY, TestClock, TestLogger } from "./face.ts"
import { makeTestMetrics } from "./test-metrics.ts"

/** Periodic timers run when a test says so; the others are real. */
export class HandTimers extends NodeTimers {
  readonly #periodic = new Set<() => void>()

  get periodicCount(): number {
    return this.#periodic.size
  }

  override every(_periodMs: number, run: () => void): Cancel {
    this.#periodic.add(run)
    return () => this.#periodic.delete(run)
  }

  /** Lets so many periods pass. */
  pass(count: number): void {
    for (let period = 0; period < count; period++) for (const run of [...this.#periodic]) run()
  }
}

export interface TestTcpFace {
  readonly face: TcpFace
  readonly timers: HandTimers
  readonly metrics: MetricsPage
  readonly port: number
  readonly close: () => Promise<void>
}

export async function openTcpFace(
  service: BrokerService,
  changes: Partial<TcpFaceOptions> = {},
  keys: ReadonlyMap<string, string> = new Map([[SECRET_ID, SECRET_KEY]]),
): Promise<TestTcpFace> {
  const timers = new HandTimers()
  const metrics = makeTestMetrics()
  const face = new TcpFace({
    service,
    keys,
    clock: new TestClock(),
    timers,
    logger: new TestLogger(),
    metrics,
    options: { ...TCP_FACE_DEFAULTS, ...changes },
  })
  const { port } = await face.listen({ host: "127.0.0.1", port: 0 })
  return { face, timers, metrics, port, close: () => face.close({ graceMs: 500 }) }
}
