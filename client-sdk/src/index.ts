/**
 * @opencmq/client-sdk: the public names, one by one.
 */
export { AbortError } from "./abort.ts"
export { Account } from "./account.ts"
export type {
  AccountOptions,
  ClusterStatus,
  ListQueuesOptions,
  QueueEntry,
  QueueList,
  TopicEntry,
  TopicList,
} from "./account.ts"
export { AccountKeys } from "./account-keys.ts"
export type { KeyEntry, KeyList, NewKey } from "./account-keys.ts"
export type { MessageAttributes } from "./body.ts"
export type { CallOptions } from "./caller.ts"
export { systemClock } from "./clock.ts"
export type { CancelTimer, Clock } from "./clock.ts"
export { CmqError } from "./cmq-error.ts"
export type { CmqErrorFields, CmqErrorName, GaveUpBecause, LocalErrorName } from "./cmq-error.ts"
export { Consumer } from "./consumer.ts"
export type { ConsumerCounters, ConsumerOptions, MessageHandler, StopOptions, StopResult } from "./consumer.ts"
export type { ConsumerErrorContext, ConsumerErrorHook, FetchOptions } from "./consumer-options.ts"
export type { DeleteHandleResult, DeleteResult } from "./delete.ts"
export type { EndpointHealth } from "./endpoint-pool.ts"
export { HttpTransport } from "./http-transport.ts"
export type { HttpTransportOptions } from "./http-transport.ts"
export type { ListOptions } from "./list-options.ts"
export { Message } from "./message.ts"
export type { DeadLetter, MessageView, Settlement } from "./message.ts"
export type { ConsumeOptions } from "./message-iterator.ts"
export type { PublishBatchOptions, PublishLabels, PublishOptions } from "./publish.ts"
export type { PreparedMessage, WireBody } from "./prepared-message.ts"
export { Queue } from "./queue.ts"
export type { QueueAttributes, QueueStatus } from "./queue-attributes.ts"
export type { Peek, PeekOptions, ReceiveBatchOptions, ReceiveOptions } from "./receive.ts"
export type { Fields } from "./reply-fields.ts"
export type { RetryDelay } from "./redelivery-delay.ts"
export type { RedriveOptions, RedrivePreview, RedriveState, RedriveStatus } from "./redrive.ts"
export type { RetryOptions } from "./retry-policy.ts"
export type { MessagePlace, MessageTrace, Search, SearchOptions } from "./search.ts"
export type { OutgoingMessage, OutgoingOptions, SendBatchOptions, SendOptions, SendResult } from "./send.ts"
export { Sender } from "./sender.ts"
export type { SenderOptions } from "./sender.ts"
export { Subscription } from "./subscription.ts"
export { Topic } from "./topic.ts"
export type { SubscriptionEntry, SubscriptionList } from "./topic.ts"
export type {
  FilterType,
  SubscriptionAttributes,
  SubscriptionEndpoint,
  SubscriptionOrder,
  SubscriptionStatus,
  TopicAttributes,
  TopicStatus,
} from "./topic-attributes.ts"
export { TransportError } from "./transport.ts"
export type {
  AttemptReply,
  AttemptRequest,
  Credentials,
  MessageStream,
  MessageStreamOrder,
  Parameter,
  Stamp,
  Transport,
  TransportErrorFields,
} from "./transport.ts"
export type { DeadLetterPolicy } from "@opencmq/proto"
