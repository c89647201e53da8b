/**
 * @opencmq/proto: the contract of OpenCMQ, what a stranger may rely on. Public names, one by one.
 */
export {
  ERROR_ARGUMENT_LENGTH_MAX,
  ERROR_NAMES,
  ERRORS,
  GRPC_STATUS,
  OWN_MODULE_CODE_MIN,
  errorByCode,
  errorByReply,
  errorRow,
  errorText,
  moduleCodeOf,
} from "./errors.ts"
export type { ErrorName, ErrorOutcome, ErrorRow, GrpcStatusName } from "./errors.ts"
export {
  ATTRIBUTE_NAME_PATTERN,
  LIMIT_NAMES,
  LIMITS,
  NAME_PATTERN,
  foldName,
  isQueueName,
  isWithin,
  limitRow,
} from "./limits.ts"
export type { LimitName, LimitRow, LimitUnit } from "./limits.ts"
export {
  MESSAGE_ID_ENTRY_BITS,
  MESSAGE_ID_ORDINAL_BITS,
  MESSAGE_ID_SET_BITS,
  decodeMessageId,
  encodeMessageId,
} from "./message-id.ts"
export type { MessageIdParts } from "./message-id.ts"
export {
  RECEIPT_HANDLE_DELIVERY_BITS,
  RECEIPT_HANDLE_SLOT_BITS,
  decodeReceiptHandle,
  encodeReceiptHandle,
} from "./receipt-handle.ts"
export type { ReceiptHandleParts } from "./receipt-handle.ts"
export { canonicalString, sign, signText, signatureHash, verify } from "./signature.ts"
export type { CanonicalDialect, SignableRequest, SignatureHash, Verification } from "./signature.ts"
export { CALL_METADATA, bytesHash, callText, signCall, verifyCall } from "./call-signature.ts"
export type { SignableCall } from "./call-signature.ts"
export { PROTO_FILES, PROTO_ROOT } from "./proto-files.ts"
export { ACTION_NAMES, ACTIONS, COMMON_PARAMETERS, MESSAGE_REPLY, actionRow, findAction } from "./actions.ts"
export type {
  ActionName,
  ActionParameters,
  ActionRow,
  CommonParameters,
  ParameterRow,
  ParameterType,
  ParameterValues,
  ReplyType,
} from "./actions.ts"
export { checkTogether, readCommonParameters, readParameters } from "./read-parameters.ts"
export type { AttributesTogether } from "./read-parameters.ts"
export { checkBindingKeys, checkEndpoint, checkKey, checkTags } from "./topic-rules.ts"
export type { EndpointText } from "./topic-rules.ts"
export { accept, refuse } from "./reading.ts"
export type { ParameterMap, Reading, Refused } from "./reading.ts"
export { readIndexRange } from "./indexed-parameters.ts"
export type { IndexRange } from "./indexed-parameters.ts"
export { parseInteger } from "./integer.ts"
export { formatDeadLetterPolicy, parseDeadLetterPolicy, readDeadLetterPolicy } from "./dead-letter-policy.ts"
export type { DeadLetterPolicy } from "./dead-letter-policy.ts"
export {
  attributeFields,
  attributeParameters,
  checkAttributes,
  formatAttributes,
  parseAttributes,
  readAttributeGroup,
} from "./message-attributes.ts"
export type { AttributeFields, MessageAttribute } from "./message-attributes.ts"
