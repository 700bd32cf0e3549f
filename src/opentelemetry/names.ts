/**
 * The names of attributes and metrics, after version 1.45.0 of the semantic conventions of OpenTelemetry. What the
 * conventions have no name for begins with `veltix.`.
 *
 * @module
 */

/** The name of the instrumentation scope. */
export const SCOPE = "@veltix/core";

/** The schema of the conventions. */
export const SCHEMA_URL = "https://opentelemetry.io/schemas/1.45.0";

/** The value of `rpc.system.name` and `messaging.system.name`. */
export const SYSTEM = "veltix";

/** The value in place of a name that a peer has chosen. */
export const OTHER = "_OTHER";

/** The names of all attributes. */
export const ATTRIBUTE = {
  rpcSystem: "rpc.system.name",
  rpcMethod: "rpc.method",
  rpcMethodOriginal: "rpc.method_original",
  rpcStatus: "rpc.status_code",
  messagingSystem: "messaging.system.name",
  operationName: "messaging.operation.name",
  operationType: "messaging.operation.type",
  destination: "messaging.destination.name",
  bodySize: "messaging.message.body.size",
  batchCount: "messaging.batch.message_count",
  errorType: "error.type",
  serverAddress: "server.address",
  serverPort: "server.port",
  clientAddress: "client.address",
  clientPort: "client.port",
  peerAddress: "network.peer.address",
  peerPort: "network.peer.port",
  transport: "network.transport",
  protocolName: "network.protocol.name",
  direction: "network.io.direction",
  requestSize: "veltix.request.body.size",
  protocol: "veltix.protocol",
  attempt: "veltix.attempt",
  messageCode: "veltix.message.code",
  dropped: "veltix.broadcast.dropped",
  streamItems: "veltix.stream.items",
  role: "veltix.role",
  closeReason: "veltix.close.reason",
  connectionState: "veltix.connection.state",
  queue: "veltix.queue",
  action: "veltix.action",
} as const;

/** The boundaries of the histograms of durations, in seconds, as the conventions give them. */
export const BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** A metric: its name, instrument, unit and description. */
export interface MetricName {
  readonly name: string;
  readonly instrument: "Histogram" | "Counter" | "ObservableCounter" | "ObservableUpDownCounter" | "ObservableGauge";
  readonly unit: string;
  readonly description: string;
}

function metric(name: string, instrument: MetricName["instrument"], unit: string, description: string): MetricName {
  return { name, instrument, unit, description };
}

/** The keys of {@linkcode METRIC}. */
type MetricKey =
  | "clientCall"
  | "serverCall"
  | "process"
  | "sent"
  | "consumed"
  | "connections"
  | "refused"
  | "connectFailures"
  | "reconnects"
  | "disconnects"
  | "suspensions"
  | "resumptions"
  | "limited"
  | "io"
  | "frames"
  | "buffered"
  | "queue"
  | "pending"
  | "running"
  | "streams"
  | "dropped";

/** All metrics. */
export const METRIC: Readonly<Record<MetricKey, MetricName>> = {
  clientCall: metric("rpc.client.call.duration", "Histogram", "s", "Duration of requests and streams of this side"),
  serverCall: metric("rpc.server.call.duration", "Histogram", "s", "Duration of the handlers of requests and streams"),
  process: metric("messaging.process.duration", "Histogram", "s", "Duration of the handlers of messages"),
  sent: metric("messaging.client.sent.messages", "Counter", "{message}", "Messages sent, each copy of a broadcast"),
  consumed: metric("messaging.client.consumed.messages", "Counter", "{message}", "Messages handed to handlers"),
  connections: metric("veltix.connections", "ObservableUpDownCounter", "{connection}", "Connections by state"),
  refused: metric("veltix.handshakes.refused", "Counter", "{handshake}", "Connections that a server did not let in"),
  connectFailures: metric("veltix.connect.failures", "Counter", "{attempt}", "Attempts to connect that failed"),
  reconnects: metric("veltix.reconnects", "Counter", "{connection}", "Connections after the first one of a client"),
  disconnects: metric("veltix.disconnects", "Counter", "{connection}", "Connections and sessions that ended"),
  suspensions: metric("veltix.suspensions", "Counter", "{session}", "Sessions that lost their connection"),
  resumptions: metric("veltix.resumptions", "Counter", "{session}", "Sessions that went on over another connection"),
  limited: metric("veltix.rate_limited", "Counter", "{message}", "Messages that the rate limit held back or refused"),
  io: metric("veltix.io", "ObservableCounter", "By", "Bytes that sockets took and gave"),
  frames: metric("veltix.frames", "ObservableCounter", "{frame}", "Frames sent and received"),
  buffered: metric("veltix.buffer.size", "ObservableGauge", "By", "Bytes that wait to be sent"),
  queue: metric("veltix.queue.length", "ObservableGauge", "{message}", "Messages that wait"),
  pending: metric("veltix.requests.pending", "ObservableGauge", "{request}", "Requests that wait for an answer"),
  running: metric("veltix.handlers.running", "ObservableGauge", "{handler}", "Asynchronous handlers that run"),
  streams: metric("veltix.streams.open", "ObservableGauge", "{stream}", "Streams that are open"),
  dropped: metric("veltix.broadcasts.dropped", "ObservableCounter", "{message}", "Copies of broadcasts left out"),
};
