/** THE list of decoders: every way in which bytes come into a node or into the SDK. */
import type { FuzzTarget } from "./fuzz-target.ts"
import { GRPC_TARGETS, unaryTarget } from "./targets/grpc-targets.ts"
import { HTTP_TARGETS } from "./targets/http-targets.ts"
import { LOG_TARGETS } from "./targets/log-targets.ts"
import { MACHINE_TARGETS } from "./targets/machine-targets.ts"
import { PEER_TARGETS } from "./targets/peer-targets.ts"
import { TCP_TARGETS } from "./targets/tcp-targets.ts"

export async function allTargets(): Promise<readonly FuzzTarget[]> {
  const unary = await unaryTarget()
  return [...HTTP_TARGETS, ...GRPC_TARGETS, unary, ...TCP_TARGETS, ...PEER_TARGETS, ...LOG_TARGETS, ...MACHINE_TARGETS]
}
