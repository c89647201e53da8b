/**
 * A `Raft` with known bugs switched on. The only place where a fault can be: `src/` has no way to set one (`faults.ts`).
 *
 * Whoever builds nodes in a test takes a factory; this is the factory for mutants.
 */
import type { FaultSwitches, RaftFault } from "../../../src/core/raft/faults.ts"
import type { RaftOptions } from "../../../src/core/raft/options.ts"
import { Raft } from "../../../src/core/raft/raft.ts"

class MutantRaft extends Raft {
  constructor(options: RaftOptions, faults: FaultSwitches) {
    super(options)
    this.state.faults = faults
  }
}

/** Builds a replica that has the bugs named in `faults`. */
export function createMutantRaft(options: RaftOptions, faults: ReadonlySet<RaftFault>): Raft {
  return new MutantRaft(options, faults)
}
