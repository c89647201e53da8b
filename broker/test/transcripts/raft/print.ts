/** How Raft's values look in a transcript: one line each, in the paper's words. */
import { decodeConfiguration } from "../../../src/core/raft/configuration-codec.ts"
import type { RaftStatus } from "../../../src/core/raft/status.ts"
import type { Configuration, Entry, LogWrite, Message, Ready } from "../../../src/core/raft/types.ts"
import type { StorageTask } from "../../paper/kit/test-node.ts"

const LONGEST_TEXT = 20

export function printEntry(entry: Entry): string {
  const position = `${entry.index}@${entry.term}`
  if (entry.kind === "configuration") return `${position} ${printConfiguration(decodeConfiguration(entry.data))}`
  const text = new TextDecoder().decode(entry.data)
  if (text === "") return position
  return `${position} "${text.length > LONGEST_TEXT ? `${text.slice(0, 3)}…(${text.length})` : text}"`
}

export function printConfiguration(configuration: Configuration): string {
  const { voters, votersOutgoing, learners, learnersNext } = configuration
  const parts = [`voters=(${voters.join(" ")})`]
  if (votersOutgoing.length > 0) parts.push(`outgoing=(${votersOutgoing.join(" ")})`)
  if (learners.length > 0) parts.push(`learners=(${learners.join(" ")})`)
  if (learnersNext.length > 0) parts.push(`learnersNext=(${learnersNext.join(" ")})`)
  return parts.join(" ")
}

export function printMessage(message: Message): string {
  return `${message.from}->${message.to} ${printKind(message)} term=${message.term}${printDetails(message)}`
}

export function printReady(ready: Ready): readonly string[] {
  const lines: string[] = []
  const { status, restore, write, applyFetch } = ready
  if (status !== undefined) lines.push(`status ${status.role} term=${status.term} leader=${status.leaderId}`)
  if (restore !== undefined) lines.push(`restore up to ${restore.lastIncludedIndex}@${restore.lastIncludedTerm}`)
  if (write !== undefined) lines.push(printWrite(write), ...write.messages.map((each) => `  then ${printMessage(each)}`))
  lines.push(...ready.messages.map((message) => `send ${printMessage(message)}`))
  lines.push(...ready.fetches.map((fetch) => `fetch ${fetch.fromIndex}..${fetch.toIndex} for ${fetch.peer}`))
  if (ready.committedEntries.length > 0) lines.push(`apply ${ready.committedEntries.map(printEntry).join(", ")}`)
  if (applyFetch !== undefined) lines.push(`fetch ${applyFetch.fromIndex}..${applyFetch.toIndex} to apply`)
  lines.push(...ready.reads.map((read) => `read ${read.context} at ${read.index}`))
  lines.push(...ready.readsAborted.map((context) => `read ${context} aborted`))
  return lines
}

export function printTask(task: StorageTask): string {
  if (task.kind === "write") return printWrite(task.write)
  return `restored up to ${task.snapshot.lastIncludedIndex}@${task.snapshot.lastIncludedTerm}`
}

export function printStatus(status: RaftStatus): readonly string[] {
  const line = [
    `${status.nodeId}: ${status.role} term=${status.term} vote=${status.votedFor} leader=${status.leaderId}`,
    `commit=${status.commitIndex} applied=${status.appliedIndex} last=${status.lastIndex}@${status.lastTerm}`,
    `durable=${status.durableIndex} base=${status.baseIndex} ${printConfiguration(status.configuration)}`,
  ].join(" ")
  const peers = status.peers.map((peer) => {
    const details = [`  ${peer.nodeId}: ${peer.state} match=${peer.matchIndex} next=${peer.nextIndex}`]
    if (peer.isPaused) details.push("paused")
    if (!peer.recentActive) details.push("silent")
    if (peer.pendingSnapshotIndex > 0) details.push(`snapshot=${peer.pendingSnapshotIndex}`)
    if (peer.inflightMessages > 0) details.push(`inflight=${peer.inflightMessages} (${peer.inflightBytes} bytes)`)
    return details.join(" ")
  })
  return [line, ...peers]
}

function printWrite(write: LogWrite): string {
  const { hardState, entries } = write
  const parts = [`write #${write.sequence}`]
  if (hardState !== undefined) {
    parts.push(`term=${hardState.currentTerm} vote=${hardState.votedFor} commit=${hardState.commitIndex}`)
  }
  if (entries.length > 0) parts.push(`entries=[${entries.map(printEntry).join(", ")}]`)
  return parts.join(" ")
}

function printKind(message: Message): string {
  const isPreVote = (message.kind === "requestVote" || message.kind === "requestVoteReply") && message.preVote
  return isPreVote ? message.kind.replace("request", "requestPre") : message.kind
}

function printDetails(message: Message): string {
  switch (message.kind) {
    case "requestVote":
      return ` last=${message.lastLogIndex}@${message.lastLogTerm}${message.leadershipTransfer ? " transfer" : ""}`
    case "requestVoteReply":
      return message.voteGranted ? " granted" : " refused"
    case "appendEntries": {
      const entries = message.entries.length === 0 ? "" : ` entries=[${message.entries.map(printEntry).join(", ")}]`
      return ` prev=${message.prevLogIndex}@${message.prevLogTerm}${entries} commit=${message.leaderCommit}`
    }
    case "appendEntriesReply":
      if (message.success) return ` ok index=${message.index}`
      return ` rejected index=${message.index} hint=${message.hintIndex}@${message.hintTerm}`
    case "heartbeat":
      return ` commit=${message.leaderCommit}${message.readRound > 0 ? ` round=${message.readRound}` : ""}`
    case "heartbeatReply":
      return message.readRound > 0 ? ` round=${message.readRound}` : ""
    case "installSnapshot":
      return ` last=${message.snapshot.lastIncludedIndex}@${message.snapshot.lastIncludedTerm}`
    case "timeoutNow":
      return ""
  }
}
