import type { UnaryCall } from "./unary-call.ts"

/** Carries out one method. The request was decoded by this method's codec, so it is of the entry's type. */
export type MethodRow = (call: UnaryCall, request: never) => void
