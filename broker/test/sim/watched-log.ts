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
      log.readEntries(range, (error, entries) => {
        if (error !== undefined || entries === "compacted") {
          checker.note(
            nodeId,
            () => `reads ${String(range.fromIndex)}..${String(range.toIndex)}: ${error?.message ?? "compacted"}`,
          )
        }
        done(error, entries)
      })
    },
    readRecords: (positions, done) => {
      log.readRecords(positions, (error, records) => {
        if (error !== undefined) checker.unreadable(nodeId, `readRecords: ${error.message}`)
        else {
          for (const [i, record] of records.entries()) {
            if (record === undefined) checker.unreadable(nodeId, `record of entry ${String(positions.entryIndexes[i])}`)
          }
        }
        done(error, records)
      })
    },
    segments: () => log.segments(),
    compact: (index, term) => {
      checker.note(nodeId, () => `compacts to ${String(index)}`)
      log.compact(index, term)
    },
    drop: (firstIndexes, done) => {
      checker.note(nodeId, () => `drops segments ${firstIndexes.join(" ")}`)
      log.drop(firstIndexes, done)
    },
    rewrite: (firstIndex, keep, done) => {
      checker.note(nodeId, () => `rewrites segment ${String(firstIndex)} keeping ${keep.join(" ")}`)
      log.rewrite(firstIndex, keep, done)
    },
    stageEntries: (entries, done) => {
      checker.note(nodeId, () => `stages entries ${entries.map((entry) => entry.index).join(" ")}`)
      log.stageEntries(entries, done)
    },
    sealStaged: (done) => {
      log.sealStaged(done)
    },
    discardStaged: (done) => {
      log.discardStaged(done)
    },
    reset: (meta, done) => {
      checker.note(nodeId, () => `resets to ${String(meta.lastIncludedIndex)}`)
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
