/** qcloudapi-sdk@0.2.1, a client from npm that nobody here wrote, unchanged, against one node of a real cluster. */
import { createRequire } from "node:module"
import type { LocalCluster } from "@opencmq/bench/harness"
import { expect } from "vitest"

export type Fields = Record<string, unknown>

interface QcloudApi {
  request(params: Fields, options: Fields, callback: (error: unknown, reply: Fields) => void): void
}

const Capi = createRequire(import.meta.url)("qcloudapi-sdk") as new (defaults: Fields) => QcloudApi

export class QcloudClient {
  readonly #options: Fields

  /** @param http - `127.0.0.1:port` of the node. */
  constructor(http: string, keys: LocalCluster["keys"], service: "queue" | "topic") {
    this.#options = {
      SecretId: keys.secretId,
      SecretKey: keys.secretKey,
      serviceType: `cmq-${service}-gz`,
      Region: "gz",
      protocol: "http",
      host: http,
      path: "/v2/index.php",
      method: "POST",
    }
  }

  /** The reply, whatever its code. */
  call(action: string, params: Fields): Promise<Fields> {
    const options = this.#options
    return new Promise((resolve, reject) => {
      new Capi(options).request({ Action: action, ...params }, options, (error, reply) => {
        if (error === null || error === undefined) resolve(reply)
        else reject(new Error("qcloudapi-sdk failed", { cause: error }))
      })
    })
  }

  /** The reply, which has to be a success. */
  async ok(action: string, params: Fields): Promise<Fields> {
    const reply = await this.call(action, params)
    expect(reply, `${action}: ${JSON.stringify(reply)}`).toMatchObject({ code: 0 })
    return reply
  }
}

/** A client of a node that does not lead. */
export async function clientOfFollower(cluster: LocalCluster, service: "queue" | "topic"): Promise<QcloudClient> {
  const leaderId = await cluster.waitLeader()
  const follower = cluster.nodes.find(({ id }) => id !== leaderId)
  return new QcloudClient(follower?.http ?? "", cluster.keys, service)
}
