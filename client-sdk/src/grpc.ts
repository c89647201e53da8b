/**
 * @opencmq/client-sdk/grpc: the public names. The only part of this package that needs `@grpc/grpc-js`.
 */
export { GrpcTransport } from "./grpc/grpc-transport.ts"
export type { GrpcTransportOptions } from "./grpc/grpc-transport.ts"
