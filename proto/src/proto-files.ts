/**
 * Where the `.proto` files of the gRPC API are. They are part of this package beside `src/` and `dist/`, so the place is
 * the same for sources and for what is compiled.
 */

/** The folder that their imports start from. */
export const PROTO_ROOT = new URL("../", import.meta.url)

/** Every file with a service; what they import is found from `PROTO_ROOT`. */
export const PROTO_FILES: readonly string[] = [
  "opencmq/v1/queues.proto",
  "opencmq/v1/messages.proto",
  "opencmq/v1/topics.proto",
  "opencmq/v1/cluster.proto",
]
