/**
 * For tests only: opens a log with bugs put back, to show that the tests find them. The layer rules forbid production code to
 * import this file; there is no option, flag or environment variable that leads here.
 */
import type { Done } from "../../ports.ts"
import type { LogMutation, SegmentedLogSetup } from "./log-options.ts"
import { openLogWith } from "./segmented-log.ts"
import type { OpenedLog } from "./segmented-log.ts"

/** As `openSegmentedLog`, with these bugs. */
export function openMutantLog(
  request: { readonly setup: SegmentedLogSetup; readonly mutations: readonly LogMutation[] },
  done: Done<OpenedLog>,
): void {
  openLogWith({ setup: request.setup, mutations: new Set(request.mutations) }, done)
}
