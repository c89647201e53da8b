/**
 * @opencmq/bench/harness: what tests that kill brokers share with the measurements, name by name.
 */
export { readClusterView } from "./cluster-status.ts"
export type { ClusterView, NodeView } from "./cluster-status.ts"
export { findFreePorts } from "./free-ports.ts"
export { LocalCluster } from "./local-cluster.ts"
export type { LocalClusterOptions, LocalNode, NodeExit } from "./local-cluster.ts"
export { PeerProxies } from "./peer-proxies.ts"
export { startProgress } from "./progress.ts"
export type { Progress } from "./progress.ts"
export { describeEnvironment, printReport, renderMarkdown, renderTable } from "./report.ts"
export type { Environment, OutputFormat, Report, ResultRow } from "./report.ts"
export { LEADER_LOSSES, failoverReport, measureFailover } from "./scenarios/failover.ts"
export type { FailoverOptions, FailoverTrial, LeaderLoss } from "./scenarios/failover.ts"
