/** The use cases that bring messages back, rewind's preview and redrives, carried out on the leader. */
import type { RedrivePreview } from "../core/queue/redrive-reads.ts"
import type { RequestOf, ValueOf } from "./service-types.ts"
import { nothing, readQueue, refused, type LeaderCall, type SetAccess } from "./set-access.ts"
import type { Handlers } from "./topic-service.ts"

type RedriveUseCase = "previewRewind" | "startRedrive" | "previewRedrive" | "cancelRedrive" | "describeRedrive"

/** What of a set this service needs. */
export type RedriveAccess = Pick<SetAccess, "setId" | "machine" | "nowMs" | "change" | "read">

/** Of a queue that went in the same turn. */
const NOTHING_TO_MOVE: RedrivePreview = { refusal: undefined, moveCount: 0, skipCount: 0, targets: [] }

export class RedriveService {
  readonly #access: RedriveAccess
  readonly handlers: Handlers<RedriveUseCase> = {
    previewRewind: (request, call) => {
      this.#previewRewind(request, call)
    },
    startRedrive: (request, call) => {
      this.#access.change({ kind: "startRedrive", ...request }, call, nothing)
    },
    previewRedrive: ({ queueName, order }, call) => {
      readQueue(this.#access, { queueName, call }, (queueId) => {
        const { refusal, ...preview } = this.#access.machine.previewRedrive({ queueId, order }) ?? NOTHING_TO_MOVE
        call.done(refusal === undefined ? { ok: true, value: preview } : refused(refusal))
      })
    },
    cancelRedrive: (request, call) => {
      this.#access.change({ kind: "cancelRedrive", ...request }, call, ({ count }) => ({ movedCount: count }))
    },
    describeRedrive: ({ queueName }, call) => {
      readQueue(this.#access, { queueName, call }, (queueId) => {
        const status = this.#access.machine.redriveStatus(queueId)
        call.done(status === undefined ? refused("redriveNotFound") : { ok: true, value: status })
      })
    },
  }

  constructor(access: RedriveAccess) {
    this.#access = access
  }

  #previewRewind(
    { queueName, startConsumeAtMs }: RequestOf<"previewRewind">,
    call: LeaderCall<ValueOf<"previewRewind">>,
  ): void {
    const { machine, nowMs } = this.#access
    readQueue(this.#access, { queueName, call }, (queueId) => {
      const { refusal, count = 0 } = machine.previewRewind({ queueId, startConsumeAtMs, nowMs }) ?? {}
      call.done(refusal === undefined ? { ok: true, value: { count } } : refused(refusal))
    })
  }
}
