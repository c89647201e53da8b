/**
 * Opens the segment files found at start-up, reads their headers, and later their content, each once and in large pieces.
 */
import { SECTOR_BYTES } from "../../codec/log-record.ts"
import type { Disk, DiskFile } from "../../ports.ts"
import type { WriterIds } from "./batch-builder.ts"
import { openFile, readWhole } from "./file-io.ts"
import { LogStoreError } from "./log-options.ts"
import type { LogMutations } from "./log-options.ts"
import { DATA_START, dataEnd, decodeFooter, decodeSegmentHeader, footerBytes } from "./segment-header.ts"
import type { DecodedFooter, SegmentHeader } from "./segment-header.ts"
import { scanSegment } from "./segment-scan.ts"
import type { ScanResult } from "./segment-scan.ts"
import { wait } from "./task.ts"
import type { Task } from "./task.ts"

/** A segment file before its content was looked at. */
export interface FoundSegment {
  readonly path: string
  readonly sequence: number
  readonly file: DiskFile
  readonly sizeBytes: number
  /** Undefined when both copies are rotten. */
  readonly header: SegmentHeader | undefined
  readonly headerChecksum: number | undefined
}

export function* findSegment(disk: Disk, path: string, sequence: number): Task<FoundSegment> {
  const file = yield* openFile(disk, path, false)
  const sizeBytes = yield* wait<number>((done) => {
    file.sizeBytes(done)
  })
  const block = Buffer.alloc(DATA_START)
  yield* readWhole(file, block, 0)
  const decoded = decodeSegmentHeader(block)
  if (decoded.kind === "newer") {
    throw new LogStoreError("newerFormat", {
      path,
      text: "written by a newer version of OpenCMQ; it was left as it is",
    })
  }
  const header = decoded.kind === "valid" ? decoded.header : undefined
  return {
    path,
    sequence,
    file,
    sizeBytes,
    header,
    headerChecksum: decoded.kind === "valid" ? decoded.checksum : undefined,
  }
}

export interface LoadRequest {
  readonly ids: WriterIds
  readonly found: FoundSegment
  /** Where the segment ends, when a later segment's header says so. */
  readonly sealedEnd: number | undefined
  /** Only the newest segment can have an unfinished end. */
  readonly isLast: boolean
  readonly mutations: LogMutations
}

export interface LoadedSegment {
  readonly scan: ScanResult
  /** The file from its start; valid until the next segment is loaded. */
  readonly bytes: Buffer
  /** True when the segment is known to be complete. */
  readonly isSealed: boolean
}

/** Reads and scans segments one after the other, all into the same memory. */
export class SegmentLoader {
  #memory: Buffer = Buffer.alloc(0)

  #reserve(count: number): Buffer {
    if (this.#memory.length < count) this.#memory = Buffer.allocUnsafeSlow(count)
    return this.#memory.subarray(0, count)
  }

  *load(request: LoadRequest): Task<LoadedSegment> {
    const { found, ids, mutations } = request
    const wholeBytes = found.sizeBytes - (found.sizeBytes % SECTOR_BYTES)
    const isRewritten = found.header?.isRewritten === true
    // A successor tells where the original ended; a rewritten file is as long as it is.
    const givenEnd = isRewritten ? undefined : request.sealedEnd
    const readBytes = Math.min(wholeBytes, givenEnd ?? wholeBytes)
    const bytes = this.#reserve(readBytes)
    const count = yield* readWhole(found.file, bytes, 0)
    bytes.fill(0, count)
    const footer = isRewritten || readBytes < wholeBytes ? undefined : footerOf(bytes)
    const ownEnd =
      footer?.kind === "sealed" && footer.footer.sequence === found.sequence ? footer.footer.endOffset : undefined
    const sealedEnd = isRewritten ? readBytes : (givenEnd ?? ownEnd)
    // Where the end is not known any more, readable entries up to the end of the file are taken; what a later segment
    // says about the log before it cuts off those that never counted.
    const isSealed = sealedEnd !== undefined || !request.isLast
    const scan = scanSegment({
      bytes,
      sequence: found.sequence,
      ids,
      chain: isRewritten ? 0 : found.headerChecksum,
      end: Math.min(sealedEnd ?? dataEnd(wholeBytes), readBytes),
      isSealed,
      trustedEnd: found.header?.trustedEnd ?? DATA_START,
      stale: isSealed ? undefined : staleOf(footer),
      mutations,
    })
    return { scan, bytes, isSealed }
  }
}

function footerOf(bytes: Buffer): DecodedFooter | undefined {
  const size = footerBytes(bytes.length)
  if (bytes.length < DATA_START + size) return undefined
  return decodeFooter(bytes.subarray(bytes.length - size), bytes.length)
}

function staleOf(footer: DecodedFooter | undefined): Uint32Array | undefined {
  if (footer?.kind === "virgin") return footer.samples
  return footer?.kind === "sealed" ? footer.footer.samples : undefined
}

/** First word of each sector, as it lies in the file. */
export function sampleWords(bytes: Buffer, fileBytes: number): Uint32Array {
  const samples = new Uint32Array(fileBytes / SECTOR_BYTES)
  for (let at = 0; at + SECTOR_BYTES <= bytes.length; at += SECTOR_BYTES) {
    samples[at / SECTOR_BYTES] = bytes.readUInt32LE(at)
  }
  return samples
}
