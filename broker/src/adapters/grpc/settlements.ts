/**
 * Deletes and changes of visibility of one `Consume` stream: asked of the node as they come, their results kept until the
 * stream writes them.
 */
import { LIMITS } from "@opencmq/proto"
import type { BrokerService, RequestContext } from "../../node/service-types.ts"
import type { ByteStream } from "./byte-stream.ts"
import { FieldReader, readHandles } from "./field-reader.ts"
import { failuresOf } from "./message-values.ts"
import { wireRefusal } from "./refusal.ts"
import type { SettlementResult } from "./stream-codec.ts"
import type { WireConsumeRequest, WireVisibilityChange } from "./wire-types.ts"

/** What `Settlements` is made from. */
export interface SettlementsParts {
  readonly service: BrokerService
  readonly timeoutMs: number
  readonly stream: Pick<ByteStream, "requestId" | "caller">
  /** Told when there is something to take; never while `add` runs. */
  readonly ready: () => void
}

/** Those of one stream. */
export class Settlements {
  private readonly parts: SettlementsParts
  private results: SettlementResult[] = []
  /** Requests whose results are not yet written. */
  openCount = 0

  constructor(parts: SettlementsParts) {
    this.parts = parts
  }

  /** Carries out what the request settles, if it does. */
  add({ settlementId, deleteHandles, visibilityChange }: WireConsumeRequest, queueName: string): void {
    if (deleteHandles.length === 0 && visibilityChange === undefined) return
    this.openCount++
    const result: SettlementResult = {
      settlementId,
      deleteFailures: [],
      visibilityFailures: [],
      nextVisibleAtMs: 0,
      deleteRefusal: undefined,
      visibilityRefusal: undefined,
    }
    let openParts = 1
    const done = (): void => {
      if (--openParts > 0) return
      this.results.push(result)
      queueMicrotask(this.parts.ready)
    }
    if (deleteHandles.length > 0) {
      openParts++
      this.deleteMessages({ queueName, deleteHandles, result }, done)
    }
    if (visibilityChange !== undefined) {
      openParts++
      this.changeVisibility({ queueName, visibilityChange, result }, done)
    }
    done()
  }

  /** Results that are there. They count as open until `written`. */
  take(): readonly SettlementResult[] {
    const { results } = this
    this.results = []
    return results
  }

  written(count: number): void {
    this.openCount -= count
  }

  private deleteMessages(
    part: { readonly queueName: string; readonly deleteHandles: readonly string[]; readonly result: SettlementResult },
    done: () => void,
  ): void {
    const { queueName, deleteHandles, result } = part
    const fields = new FieldReader()
    const list = readHandles(fields.handleTexts(deleteHandles, LIMITS.streamBatchCount.max))
    if (fields.refusal !== undefined)
      result.deleteRefusal = wireRefusal({ ...fields.refusal, args: ["delete_handles"] })
    else result.deleteFailures = failuresOf(list, [])
    if (fields.refusal !== undefined || list.handles.length === 0) {
      done()
      return
    }
    const { handles } = list
    this.parts.service.execute(
      "deleteMessages",
      { queueName, handles },
      {
        context: this.context(),
        done: (reply) => {
          if (reply.ok) result.deleteFailures = failuresOf(list, reply.value.failed)
          else result.deleteRefusal = wireRefusal(reply)
          done()
          return true
        },
      },
    )
  }

  private changeVisibility(
    part: {
      readonly queueName: string
      readonly visibilityChange: WireVisibilityChange
      readonly result: SettlementResult
    },
    done: () => void,
  ): void {
    const { queueName, visibilityChange, result } = part
    const { visibilityTimeoutMs, receiptHandles } = visibilityChange
    const fields = new FieldReader()
    const list = readHandles(fields.handleTexts(receiptHandles, LIMITS.streamBatchCount.max))
    fields.ms({ field: "visibility_timeout_ms", value: visibilityTimeoutMs }, LIMITS.changeVisibilitySeconds)
    if (fields.refusal !== undefined) result.visibilityRefusal = wireRefusal(fields.refusal)
    else result.visibilityFailures = failuresOf(list, [])
    if (fields.refusal !== undefined || list.handles.length === 0) {
      done()
      return
    }
    const { handles } = list
    this.parts.service.execute(
      "changeVisibility",
      { queueName, handles, visibilityTimeoutMs },
      {
        context: this.context(),
        done: (reply) => {
          if (reply.ok) {
            result.visibilityFailures = failuresOf(list, reply.value.failed)
            const isAnyChanged = result.visibilityFailures.length < receiptHandles.length
            result.nextVisibleAtMs = isAnyChanged ? reply.value.nextVisibleAtMs : 0
          } else {
            result.visibilityRefusal = wireRefusal(reply)
          }
          done()
          return true
        },
      },
    )
  }

  private context(): RequestContext {
    const { stream, timeoutMs } = this.parts
    const { requestId, caller } = stream
    return { requestId, caller, timeoutMs, cancelled: false, onCancel: undefined }
  }
}
