/** A log that tells the checker what goes in and out, and changes nothing. */
import type { LogStore, NodeId } from "../../src/ports.ts"
import type { RaftChecker } from "./raft-checker.ts"

export function watchedLog(log: LogStore, watch: { readonly nodeId: NodeId; readonly checker: RaftChecker }): LogStore {
  const { nodeId, checker } = watch
  return {
    write: (write) => {
      checker.written(nodeId, write)
      log.write(write)
    },
    readEntries: (range, done) => {
      log.readEntries(range, done)
    },
    readRecords: (positions, done) => {
      log.readRecords(positions, done)
    },
    segments: () => log.segments(),
    compact: (index, term) => {
      log.compact(index, term)
    },
    drop: (firstIndexes, done) => {
      log.drop(firstIndexes, done)
    },
    rewrite: (firstIndex, keep, done) => {
      log.rewrite(firstIndex, keep, done)
    },
    stageEntries: (entries, done) => {
      log.stageEntries(entries, done)
    },
    discardStaged: (done) => {
      log.discardStaged(done)
    },
    reset: (meta, done) => {
      checker.resetBegun(nodeId, meta)
      log.reset(meta, (error) => {
        if (error === undefined) checker.resetDone(nodeId, meta)
        done(error)
      })
    },
    repair: (entries, done) => {
      log.repair(entries, done)
    },
    space: () => log.space(),
    close: (done) => {
      log.close(done)
    },
  }
}
