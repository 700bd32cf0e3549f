/**
 * Typed messages, requests and streams between programs on Deno, Bun, Node and in browsers, with one API. They travel over
 * TCP, unix sockets, TLS or WebSockets, and sessions can survive a cut cable. The core has no dependencies.
 *
 * - **Messages** have a code, a name and codecs; handlers and callers are inferred. `json(schema)` checks payloads with any
 *   Standard Schema validator, and `json<T>()` trusts the other side.
 * - **Requests** go both ways, with timeouts, `AbortSignal` and typed errors. **Streams** are Web Streams with flow control.
 * - **Connections** have back-pressure, heartbeats, limits with defaults, reconnecting and resuming.
 * - **Security**: TLS with client certificates, or encryption with identities (`@veltix/core/encryption`).
 * - **Permissions**: on Deno, `--allow-net` is enough for TCP.
 * - **Versions**: Deno 2.8.0, Bun 1.4.1, Node 22.12 and later; TypeScript 5.7 and later.
 *
 * @example A server, a client, a message and a request
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, json, messageType, Server, text } from "@veltix/core";
 *
 * const CHAT = messageType(200, "chat", text);
 * const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
 *
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.route(CHAT, (message, client) => {
 *   server.broadcast(CHAT, `${client.id}: ${message.data}`);
 * });
 * server.route(ADD, ({ data }) => data.a + data.b);
 * await server.start();
 *
 * const [address] = server.addresses;
 * await using client = new Client({ ...address });
 * const heard = new Promise((resolve) => client.route(CHAT, (message) => resolve(message.data)));
 * await client.connect();
 * client.send(CHAT, "hello");
 * assertEquals(await heard, "1: hello");
 * assertEquals(await client.request(ADD, { a: 1, b: 2 }), 3);
 * ```
 *
 * @module
 */

// Import this first: on an old runtime, the other modules fail without a clear message.
import "./src/adapters/runtime_check.ts";

export { fromStreams, type StreamPair, type StreamsInfo } from "./src/adapters/streams.ts";
export { fromMessagePort, type MessagePortLike } from "./src/adapters/message_port.ts";
export { fromStdio, type StdioProcess } from "./src/adapters/stdio.ts";
export { type ConnectionStreams, toStreams } from "./src/adapters/web_streams.ts";
// Use the types of the core class, whose members have docs.
// @ts-types="./src/client/client.ts"
export { Client } from "./src/auto/client.ts";
export type { ClientCloseOptions, ClientConnectOptions, ClientStats } from "./src/client/client.ts";
export type { ClientConfig } from "./src/client/client_config.ts";
export type {
  ClientEvents,
  ConnectInfo,
  ConnectingInfo,
  FailedInfo,
  ReconnectingInfo,
} from "./src/client/client_events.ts";
export type { DisconnectState, MessageCounts } from "./src/client/disconnect.ts";
export type { ClientState } from "./src/client/connector.ts";
export type { ServerAddress } from "./src/client/destinations.ts";
export type { QueueOptions } from "./src/client/outgoing_queue.ts";
export type { ReconnectOptions } from "./src/client/reconnect.ts";
export {
  BackpressureError,
  ConfigError,
  ConnectionError,
  HandshakeError,
  MessageTypeError,
  PayloadError,
  PermissionError,
  PluginError,
  ProtocolError,
  RemoteError,
  TimeoutError,
  VeltixError,
  WorkerError,
} from "./src/errors.ts";
export type {
  BackpressureErrorCode,
  ConfigErrorCode,
  ConnectionErrorCode,
  HandshakeErrorCode,
  MessageTypeErrorCode,
  PayloadErrorCode,
  PermissionErrorCode,
  PluginErrorCode,
  ProtocolErrorCode,
  Refusal,
  TimeoutErrorCode,
  WorkerErrorCode,
} from "./src/errors.ts";
export type { EventOptions, Listener as EventListener } from "./src/app/events.ts";
export { bytes, type Codec, empty, json, text } from "./src/message/codecs.ts";
export { type SchemaIssue, type SchemaResult, type StandardSchema } from "./src/message/schema.ts";
export { decodeJson, encodeJson, type JsonOptions } from "./src/base/json.ts";
export type { Log } from "./src/app/log.ts";
export { formatBytes } from "./src/message/format_bytes.ts";
export { type Message, type Replied, replied } from "./src/message/message.ts";
export {
  type Call,
  type Caller,
  caller,
  type CallerOptions,
  type CallTarget,
  type IsEmpty,
  type OpenCall,
  type RequestCall,
  type SendCall,
} from "./src/app/caller.ts";
export {
  type FittingHandlers,
  type HandlerOf,
  type Handlers,
  implement,
  type Implementation,
  type ImplementOptions,
  type RouteTarget,
  type SomeHandlers,
} from "./src/app/implement.ts";
export {
  type DeclaresErrors,
  type ErrorCodeOf,
  errorOf,
  isErrorOf,
  type RemoteErrorOf,
  type WithErrors,
} from "./src/message/declared_errors.ts";
export {
  type AnyCodec,
  type Contract,
  type ContractMember,
  type ContractTypes,
  fingerprint,
  type MessageMember,
  messageTypes,
  type StreamMember,
  type StreamTypeOf,
} from "./src/message/contract.ts";
export {
  type AnyMessageType,
  type MessageType,
  messageType,
  type MessageTypeOptions,
  type RequestType,
  type WithoutPayload,
  type WithReply,
} from "./src/message/message_type.ts";
export {
  type AnyStreamType,
  type Direction,
  type StreamParts,
  type StreamType,
  streamType,
} from "./src/message/stream_type.ts";
export type { OpenOptions, OpenStream } from "./src/app/streams/open_stream.ts";
export type { IncomingStream } from "./src/app/streams/incoming_stream.ts";
export type { AnyType, Incoming, IncomingChanges, IncomingOf, Middleware, Next } from "./src/app/middleware.ts";
export {
  dedupe,
  type DedupeOptions,
  requirePrincipal,
  requireTag,
  type Timing,
  timing,
  validate,
} from "./src/app/ready_middleware.ts";
export type { OutgoingCall, OutgoingChanges, OutgoingMiddleware, OutgoingNext } from "./src/app/outgoing_middleware.ts";
export type { Permission, PluginEventName } from "./src/plugins/permissions.ts";
export { definePlugin, type Plugin, type PluginDefinition, type PluginOptionsCheck } from "./src/plugins/plugin.ts";
export type {
  AfterChanges,
  AnsweringHooks,
  AttachMode,
  BeforeChanges,
  ClientClosing,
  ClientReading,
  ClientSending,
  ClientTagging,
  EventsOf,
  Granted,
  HookResult,
  PluginBase,
  PluginBroadcastOptions,
  PluginCall,
  PluginCallChanges,
  PluginClient,
  PluginEvent,
  PluginFailure,
  PluginHooks,
  PluginHost,
  PluginListening,
  PluginMessage,
  PluginOutcome,
  PluginRouting,
  PluginSending,
  WatchingHooks,
} from "./src/plugins/plugin_host.ts";
export type { PluginChange, PluginInfo, RegisterOptions } from "./src/plugins/plugin_info.ts";
export type { AttachTypes } from "./src/plugins/registry.ts";
export { decodeUtf8, encodeUtf8 } from "./src/base/utf8.ts";
export {
  type BufferSize,
  type CommonConfig,
  DEFAULT_LIMITS,
  type LimitOptions,
  type Limits,
} from "./src/app/config.ts";
export type { HeartbeatOptions, PerformanceMode, RateLimitOptions } from "./src/app/tuning.ts";
export type { AcceptOptions } from "./src/server/accept_options.ts";
export type { ProxyProtocolOptions } from "./src/server/proxy_config.ts";
export type { Authenticate, AuthenticateContext, RefuseOptions, Verdict } from "./src/server/authenticate.ts";
export type { BroadcastOptions, BroadcastResult } from "./src/server/broadcast.ts";
export type { SendOptions } from "./src/app/send_options.ts";
export type { CloseOptions, ConnectedClient, ShutOutOptions } from "./src/server/connected_client.ts";
export type { TagSelector } from "./src/server/groups.ts";
// @ts-types="./src/server/server.ts"
export { Server } from "./src/auto/server.ts";
export type { RenewTlsOptions, ServerStats } from "./src/server/server.ts";
export type { ListenerConfig, ServerConfig } from "./src/server/server_config.ts";
export type { DisconnectInfo, RejectedInfo, ServerEvents, TagInfo, UnhandledInfo } from "./src/server/server_events.ts";
export { CLOSE_REASONS, type CloseReason } from "./src/link/close_reason.ts";
export type { Answer, PingOptions, RequestOptions, RequestScope } from "./src/session/requests.ts";
export type { Metadata } from "./src/wire/metadata.ts";
export type {
  BatchHandler,
  BatchRouteOptions,
  Handler,
  HandlerResult,
  NewRoute,
  RouteHandler,
  RouteInfo,
  RouteOptions,
  StreamHandler,
  StreamItems,
  StreamResult,
} from "./src/app/routes.ts";
export type { SessionStats } from "./src/session/counters.ts";
export type {
  FrameInfo,
  LimitedInfo,
  PressureInfo,
  SettledInfo,
  StreamInfo,
  TrafficEvents,
} from "./src/session/observers.ts";
export type {
  EncryptionClientOptions,
  EncryptionServerOptions,
  IdentityLike,
  TrustedKey,
  TrustOption,
} from "./src/encryption_seam.ts";
export type { CompressionOptions } from "./src/app/compression_config.ts";
export type { ResumeOptions, ServerResumeOptions } from "./src/app/resume_config.ts";
export type { ResumedInfo, SuspendedInfo } from "./src/app/resume_events.ts";
export type { CompressionCodecName } from "./src/compression_seam.ts";
export type { Pem, TlsClientOptions, TlsServerOptions } from "./src/tls_seam.ts";
export type { OriginCheck, WebSocketServerOptions } from "./src/websocket_seam.ts";
export type * from "./src/transport.ts";
export type { TransportChoice } from "./src/app/transport_choice.ts";
export type { WorkerPeer } from "./src/workers/worker_messages.ts";
export { type WorkerHandler, workerHandler, type WorkerResult } from "./src/workers/worker_handler.ts";
export type { WorkerMessage } from "./src/workers/worker_message.ts";
export type { WorkerRouteOptions } from "./src/workers/worker_routes.ts";
export { VERSION } from "./src/version.ts";
