/** Metrics as a broker has them, of a node of the tests. */
import { makePrometheusMetrics } from "../../../src/adapters/system/prometheus-metrics.ts"

export function makeTestMetrics(): ReturnType<typeof makePrometheusMetrics> {
  return makePrometheusMetrics({ version: "0.0.0", commit: "test", nodeId: 1, queueSeriesMax: 2, withProcess: false })
}
