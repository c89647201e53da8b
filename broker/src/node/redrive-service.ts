/** The use cases that bring messages back, rewind's preview and redrives, carried out on the leader. */
import type { RequestOf, ValueOf } from "./service-types.ts"
import { readQueue, refused, type LeaderCall, type SetAccess } from "./set-access.ts"
import type { Handlers } from "./topic-service.ts"

type RedriveUseCase = "previewRewind"

/** What of a set this service needs. */
export type RedriveAccess = Pick<SetAccess, "setId" | "machine" | "nowMs" | "change" | "read">

export class RedriveService {
  readonly #access: RedriveAccess
  readonly handlers: Handlers<RedriveUseCase> = {
    previewRewind: (request, call) => {
      this.#previewRewind(request, call)
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
