/**
 * The composition root of one broker process: options in, adapters made, node started, signals obeyed.
 *
 * The order matters: the data directory is opened before any port, so that a node with the wrong or damaged data refuses
 * to start without having been seen; the HTTP port comes last, when there is something to answer.
 */
import { randomBytes } from "node:crypto"
import { chmod, mkdir } from "node:fs/promises"
import { join, resolve } from "node:path"
import { LIMITS } from "@opencmq/proto"
import { NodeDisk } from "../adapters/disk/node-disk.ts"
import type { GrpcServer } from "../adapters/grpc/grpc-server.ts"
import type { TcpRoute } from "../adapters/http/action-handler.ts"
import { httpFaceDefaults, makeHttpFace } from "../adapters/http/http-server.ts"
import type { HttpFace } from "../adapters/http/http-server.ts"
import { LOG_DEFAULTS } from "../adapters/log/log-options.ts"
import { EMPTY_RECOVERY, MemoryLog } from "../adapters/log/memory-log.ts"
import { openSegmentedLog } from "../adapters/log/segmented-log.ts"
import { TCP_FACE_DEFAULTS } from "../adapters/tcp/face-options.ts"
import { TcpFace } from "../adapters/tcp/tcp-face.ts"
import { createTcpTransport } from "../adapters/peer/tcp-transport.ts"
import type { TcpTransport } from "../adapters/peer/tcp-transport.ts"
import { readAllowList } from "../adapters/push/allow-list.ts"
import { PushClient } from "../adapters/push/push-client.ts"
import { readSigningKey } from "../adapters/push/push-message.ts"
import { HttpPushTransport } from "../adapters/push/push-transport.ts"
import type { PushTransportParts } from "../adapters/push/push-transport.ts"
import { openLevelStore } from "../adapters/store/level-store.ts"
import { MemoryStore } from "../adapters/store/memory-store.ts"
import { createPinoLogger } from "../adapters/system/pino-logger.ts"
import type { RootLogger } from "../adapters/system/pino-logger.ts"
import { makePrometheusMetrics, QUEUE_SERIES_MAX } from "../adapters/system/prometheus-metrics.ts"
import { NodeTimers } from "../adapters/system/node-timers.ts"
import { SystemClock } from "../adapters/system/system-clock.ts"
import { verifyRecord } from "../codec/message-record.ts"
import { createRandom } from "../core/random.ts"
import { startBrokerNode } from "../node/broker-node.ts"
import type { BrokerNode, BrokerNodeParts } from "../node/broker-node.ts"
import type { KeyRing } from "../node/request-guard.ts"
import type { Metrics, MetricsPage } from "../node/metrics.ts"
import { tellHalfQueries } from "../node/half-query-notices.ts"
import { exposeNode } from "../node/node-gauges.ts"
import { NODE_DEFAULTS } from "../node/node-options.ts"
import type { NodeOptions } from "../node/node-options.ts"
import {
  clusterConfigHash,
  DEVELOPMENT_SECRET_ID,
  DEVELOPMENT_SECRET_KEY,
  optionText,
  OPTION_NAMES,
} from "../options.ts"
import type { ServerOptions } from "../options.ts"
import type { CheckpointStore, Done, LogEvents, LogRecovery, LogStore, PeerEvents } from "../ports.ts"
import { CliFailure } from "./failure.ts"
import { checkListen, operatorError } from "./start-failure.ts"
import type { ListenAddress } from "./start-failure.ts"
import { PRODUCT_VERSION } from "./version.ts"
import type { NodeReport } from "./local-cluster.ts"

const SET_ID = 0
/** Longest wait for open requests when the process is told to stop. */
const CLOSE_GRACE_MS = 3000
const READY_LOOK_MS = 20
/** How often the log looks for space and notes that it is idle (adapters/log/DESIGN.md). */
const LOG_TICK_MS = 1000

/** Runs a broker until it is told to stop. @returns the exit code: 0 after a clean stop, 1 when it had to give up. */
export async function runServer(options: ServerOptions): Promise<number> {
  const running: { broker?: BrokerProcess } = {}
  const logger = await createPinoLogger({
    level: options.logLevel,
    format: options.logFormat,
    fields: { node: options.nodeId, setId: SET_ID },
    live: () => running.broker?.liveFields() ?? {},
  })
  const shown = Object.fromEntries(OPTION_NAMES.map((name) => [name, optionText(name, options[name])]))
  logger.info({ version: PRODUCT_VERSION, options: shown }, "starting")
  try {
    const broker = new BrokerProcess(options, logger)
    running.broker = broker
    await broker.start()
    return await broker.ended
  } catch (error) {
    const known = operatorError(error, { dataDir: resolve(options.dataDir) })
    if (known === undefined) logger.error({ err: error }, "the broker could not start")
    else await tellStartFailure(logger, known.message)
    return 1
  }
}

/** @throws CliFailure for an entry or a key that cannot be read. */
function makePushTransport(
  options: ServerOptions,
  parts: Omit<PushTransportParts, "client" | "signingKeys"> & { readonly timers: NodeTimers },
): HttpPushTransport {
  const entries = options.pushAllow.split(",").filter((entry) => entry !== "")
  const allowList = readAllowList(entries)
  if (!allowList.ok) throw new CliFailure("usage", `pushAllow: ${allowList.entry}: ${allowList.problem}`)
  const texts = options.pushSigningKey?.split(" ") ?? []
  const signingKeys = texts.map(readSigningKey).filter((key) => key !== undefined)
  if (signingKeys.length !== texts.length) throw new CliFailure("usage", "pushSigningKey: no key of Standard Webhooks")
  const client = new PushClient(parts.timers, { allowList: allowList.value })
  return new HttpPushTransport({ ...parts, client, signingKeys })
}

/** To the parent, who tells it, or into the log: once, in one line. */
function tellStartFailure(logger: RootLogger, text: string): Promise<void> {
  const report: NodeReport = { kind: "failed", text }
  return new Promise((resolvePromise) => {
    if (process.send !== undefined && process.connected) {
      process.send(report, undefined, {}, () => {
        resolvePromise()
      })
    } else {
      logger.error({}, `the broker could not start: ${text}`)
      resolvePromise()
    }
  })
}

class BrokerProcess {
  /** Resolves with the exit code. */
  readonly ended: Promise<number>
  readonly #options: ServerOptions
  readonly #logger: RootLogger
  readonly #clock = new SystemClock()
  readonly #timers = new NodeTimers()
  readonly #metrics: Metrics & MetricsPage
  readonly #pushes: HttpPushTransport
  #end: (code: number) => void = () => undefined
  #transport: TcpTransport | undefined
  #node: BrokerNode | undefined
  #face: HttpFace | undefined
  #tcp: TcpFace | undefined
  #grpc: GrpcServer | undefined
  #isStopping = false

  constructor(options: ServerOptions, logger: RootLogger) {
    this.#options = options
    this.#logger = logger
    this.ended = new Promise((resolvePromise) => {
      this.#end = resolvePromise
    })
    this.#metrics = makePrometheusMetrics({
      version: PRODUCT_VERSION,
      commit: "",
      nodeId: options.nodeId,
      queueSeriesMax: QUEUE_SERIES_MAX,
      withProcess: true,
    })
    this.#pushes = makePushTransport(options, {
      clock: this.#clock,
      timers: this.#timers,
      logger,
      metrics: this.#metrics,
    })
  }

  /** What every line of the log says besides who wrote it. */
  liveFields(): Readonly<Record<string, unknown>> {
    return this.#node === undefined ? {} : { term: this.#node.replica.status.term }
  }

  async start(): Promise<void> {
    const options = this.#options
    this.#node = await (options.inMemory ? this.#startInMemory() : this.#startOnDisk(resolve(options.dataDir)))
    exposeNode(this.#metrics, this.#node)
    await checkListen(addressesOf(options), "another port (--http-port, --grpc-port, --peer-port, --tcp-port)")
    await this.#transport?.listen()
    const service = this.#node
    const tcpFace = this.#makeTcpFace(service)
    this.#tcp = tcpFace
    tellHalfQueries(service.replica, (queries) => {
      tcpFace.askProducers(queries)
    })
    // Before HTTP, which tells its address.
    const tcp = await this.#tcp.listen({ host: options.tcpHost, port: options.tcpPort })
    this.#face = await this.#makeFace(service, tcpRoute(options, tcp.port))
    const { port } = await this.#face.listen({ host: options.httpHost, port: options.httpPort })
    this.#grpc = await this.#startGrpc(service)
    const ports = { http: port, grpc: this.#grpc.port, tcp: tcp.port }
    this.#logger.info({ ...ports, server: this.#face.kind }, "listening")
    this.#obeySignals()
    this.#reportReadiness(service)
  }

  async #startOnDisk(dataDir: string): Promise<BrokerNode> {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await chmod(dataDir, 0o700)
    const checkpoint = await openLevelStore(join(dataDir, "checkpoint"))
    return this.#startNode(checkpoint, (events, done) => {
      this.#openLog(dataDir, events, done)
    })
  }

  #startInMemory(): Promise<BrokerNode> {
    this.#logger.warn({}, "in memory: nothing is on a disk, and what is acknowledged ends with this process")
    const defer = (run: () => void): void => {
      this.#timers.soon(run)
    }
    return this.#startNode(new MemoryStore(defer), (events, done) => {
      defer(() => {
        done(undefined, { log: new MemoryLog({ events, defer }), recovery: EMPTY_RECOVERY })
      })
    })
  }

  #startNode(checkpoint: CheckpointStore, openLog: BrokerNodeParts["openLog"]): Promise<BrokerNode> {
    const parts: BrokerNodeParts = {
      options: nodeOptions(this.#options),
      clock: this.#clock,
      timers: this.#timers,
      logger: this.#logger,
      metrics: this.#metrics,
      random: createRandom(randomBytes(4).readUInt32LE()),
      checkpoint,
      openLog,
      pushTransport: this.#pushes,
      connect: (events) => this.#makeTransport(events),
      fatal: (error) => {
        this.#logger.error({ err: error }, "the broker cannot go on")
        this.#end(1)
      },
    }
    return new Promise((resolvePromise, reject) => {
      startBrokerNode(parts, (error, node) => {
        if (error === undefined) resolvePromise(node)
        else reject(error)
      })
    })
  }

  #openLog(
    dataDir: string,
    events: LogEvents,
    done: Done<{ readonly log: LogStore; readonly recovery: LogRecovery }>,
  ): void {
    const { clusterId, nodeId, segmentBytes, cacheBytes } = this.#options
    const fsyncSeconds = this.#metrics.histogram("walFsync")
    openSegmentedLog(
      {
        options: {
          ...LOG_DEFAULTS,
          segmentBytes,
          cacheBytes,
          identity: { clusterId, nodeId, setId: SET_ID, incarnation: 1 },
          verifyRecord,
          defer: (run) => {
            this.#timers.soon(run)
          },
        },
        disk: new NodeDisk(dataDir, {
          synced: (milliseconds) => {
            fsyncSeconds.observe(milliseconds / 1000)
          },
        }),
        events,
      },
      (error, opened) => {
        if (error === undefined) {
          this.#timers.every(LOG_TICK_MS, () => {
            opened.log.tick()
          })
        }
        done(error, opened)
      },
    )
  }

  #makeTransport(events: PeerEvents): TcpTransport {
    const options = this.#options
    this.#transport = createTcpTransport({
      nodeId: options.nodeId,
      clusterId: options.clusterId,
      configHash: clusterConfigHash(options),
      listen: { host: options.peerHost, port: options.peerPort },
      peers: options.peers,
      secret: options.peerSecret,
      timers: this.#timers,
      logger: this.#logger,
      events,
    })
    return this.#transport
  }

  #makeTcpFace(service: BrokerNode): TcpFace {
    const { maxConnections, requestTimeoutMs } = this.#options
    return new TcpFace({
      service,
      keys: keyRingOf(this.#options),
      clock: this.#clock,
      timers: this.#timers,
      logger: this.#logger,
      metrics: this.#metrics,
      options: { ...TCP_FACE_DEFAULTS, maxConnections, requestTimeoutMs },
    })
  }

  #makeFace(service: BrokerNode, route: TcpRoute): Promise<HttpFace> {
    const options = this.#options
    const defaults = httpFaceDefaults(PRODUCT_VERSION)
    const { secretId } = keyPairOf(options)
    return makeHttpFace({
      service,
      keys: keyRingOf(options),
      clock: this.#clock,
      logger: this.#logger,
      metrics: this.#metrics,
      metricsPage: this.#metrics,
      options: {
        ...defaults,
        httpServer: options.httpServer,
        server: { ...defaults.server, maxConnections: options.maxConnections },
        authentication: {
          ...defaults.authentication,
          timestampWindowSeconds: options.timestampWindowSeconds,
          nonceReplay: options.nonceReplay === "refuse",
          allowAnonymous: options.allowAnonymous,
          isDevelopment: options.devMode,
          isAkidRequired: secretId?.startsWith("AKID") ?? true,
        },
        actions: { ...defaults.actions, requestTimeoutMs: options.requestTimeoutMs, tcpRoute: route },
      },
    })
  }

  /** The last face, and loaded only here: grpc-js and protobufjs take as long to load as all the rest. */
  async #startGrpc(service: BrokerNode): Promise<GrpcServer> {
    const { GRPC_SERVER_DEFAULTS, startGrpcServer } = await import("../adapters/grpc/grpc-server.ts")
    const options = this.#options
    return startGrpcServer({
      service,
      keys: keyRingOf(options),
      clock: this.#clock,
      timers: this.#timers,
      metrics: this.#metrics,
      listen: { host: options.grpcHost, port: options.grpcPort },
      options: {
        ...GRPC_SERVER_DEFAULTS,
        authentication: {
          ...GRPC_SERVER_DEFAULTS.authentication,
          timestampWindowSeconds: options.timestampWindowSeconds,
          nonceReplay: options.nonceReplay === "refuse",
          allowAnonymous: options.allowAnonymous,
          isDevelopment: options.devMode,
        },
        requestTimeoutMs: options.requestTimeoutMs,
      },
    })
  }

  #obeySignals(): void {
    const stop = (why: string) => (): void => {
      void this.#stop(why)
    }
    process.once("SIGTERM", stop("SIGTERM"))
    process.once("SIGINT", stop("SIGINT"))
    // The parent is gone (`opencmq dev` was killed): nobody would ever stop this process.
    process.once("disconnect", stop("the parent process ended"))
  }

  /** Stops taking requests, hands the lead over, answers what waits, writes a checkpoint, and ends with 0. */
  async #stop(why: string): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    this.#logger.info({ why }, "stopping")
    const nodeStopped = new Promise<void>((resolvePromise) => {
      if (this.#node === undefined) resolvePromise()
      else this.#node.stop(resolvePromise)
    })
    const closing = { graceMs: CLOSE_GRACE_MS }
    const faces = [this.#face, this.#tcp, this.#grpc]
    await Promise.all([nodeStopped, ...faces.map((face) => face?.close(closing))])
    await this.#pushes.close()
    await this.#transport?.close()
    this.#logger.info({}, "stopped")
    this.#end(0)
  }

  /** Tells the parent process, if there is one that listens, when this node can serve. */
  #reportReadiness(service: BrokerNode): void {
    if (process.send === undefined) return
    let told: string | undefined
    const cancel = this.#timers.every(READY_LOOK_MS, () => {
      const reason = service.notReadyReason()
      if (reason !== undefined) {
        const waiting: NodeReport = { kind: "waiting", reason }
        if (reason !== told) process.send?.(waiting)
        told = reason
        return
      }
      cancel()
      const report: NodeReport = { kind: "ready", leaderId: service.replica.status.leaderId }
      process.send?.(report)
    })
  }
}

function addressesOf(options: ServerOptions): ListenAddress[] {
  return [
    { what: "HTTP", host: options.httpHost, port: options.httpPort },
    { what: "gRPC", host: options.grpcHost, port: options.grpcPort },
    { what: "for the other nodes", host: options.peerHost, port: options.peerPort },
    { what: "TCP", host: options.tcpHost, port: options.tcpPort },
  ]
}

function keyPairOf(options: ServerOptions): { readonly secretId: string | undefined; readonly secretKey: string } {
  const { secretId, secretKey } = options
  if (secretId !== undefined && secretKey !== undefined) return { secretId, secretKey }
  if (options.devMode) return { secretId: DEVELOPMENT_SECRET_ID, secretKey: DEVELOPMENT_SECRET_KEY }
  return { secretId: undefined, secretKey: "" }
}

function keyRingOf(options: ServerOptions): KeyRing {
  const { secretId, secretKey } = keyPairOf(options)
  return { get: (id) => (id === secretId ? secretKey : undefined) }
}

/** What is listened on everywhere has no address that could be told to others. */
function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::"
}

function ownHttpAddress({ httpHost, httpPort }: ServerOptions): string {
  return isWildcard(httpHost) ? "" : `http://${httpHost}:${String(httpPort)}`
}

/** @param port - the one that is listened on. */
function tcpRoute({ tcpAddress, tcpHost }: ServerOptions, port: number): TcpRoute {
  if (tcpAddress === undefined) return { host: isWildcard(tcpHost) ? undefined : tcpHost, port }
  const colon = tcpAddress.lastIndexOf(":")
  return { host: tcpAddress.slice(0, colon), port: Number(tcpAddress.slice(colon + 1)) }
}

function nodeOptions(options: ServerOptions): NodeOptions {
  const { tickMs } = options
  const ids = options.peers.map(({ id }) => id).sort((left, right) => left - right)
  return {
    ...NODE_DEFAULTS,
    clusterId: options.clusterId,
    nodeId: options.nodeId,
    setId: SET_ID,
    voters: ids.length === 0 ? [options.nodeId] : ids,
    httpAddress: options.httpAddress ?? ownHttpAddress(options),
    tickMs,
    electionTicks: Math.max(2, Math.ceil(options.electionTimeoutMs / tickMs)),
    heartbeatTicks: Math.max(1, Math.floor(options.heartbeatMs / tickMs)),
    deduplicationWindowMs: options.deduplicationWindowSeconds * 1000,
    queueCountMax: options.queuesPerAccountCount,
    subscriptionsPerTopicMax: options.subscriptionsPerTopicCount,
    queueNameReuseMs: options.queueRecreateWaitSeconds * 1000,
    maxRequests: LIMITS.longPollsPerNodeCount.default,
  }
}
