/**
 * The options that a Server and a Client share, with every default and its reason in one place.
 *
 * @module
 */

import {
  checkFunction,
  type Checks,
  oneOf,
  optional,
  type OptionTable,
  readOptions,
  show,
  whole,
  wholeNumber,
} from "../base/checks.ts";
import { compressionOf, type CompressionOptions, type CompressionSettings } from "./compression_config.ts";
import { ConfigError } from "../errors.ts";
import { fingerprint } from "../message/contract.ts";
import { CONSOLE, type Log } from "./log.ts";
import {
  type HeartbeatOptions,
  type PerformanceMode,
  type RateLimitOptions,
  TUNING_OPTIONS,
  type TuningOptions,
} from "./tuning.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import type { AnyStreamType } from "../message/stream_type.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import type { Endpoint, TcpEndpoint, UnixEndpoint } from "../base/address.ts";
import { type TransportChoice, transportOf } from "./transport_choice.ts";
import { protocol } from "../wire/protocols.ts";
import { requireDigest } from "../wire/python/sha256.ts";

/**
 * How much is read at once: a name (1, 8, 64 or 1,024 KiB) or a number of bytes. Node and Bun always read up to 64 and
 * 512 KiB at once. There, it is how much may wait to be processed before reading stops.
 *
 * @category Options
 */
export type BufferSize = "small" | "medium" | "large" | "huge" | number;

/**
 * Limits of a connection. Sizes are in bytes, times in milliseconds.
 *
 * @category Options
 */
export interface LimitOptions {
  /** The largest message accepted, including its header. The default is Python's limit. @default 10485760 */
  readonly maxMessageSize?: number;
  /**
   * Time for the whole handshake.
   * @default 5000 for a server, 10000 for a client: a Python server may be busy for 5 s
   */
  readonly handshakeTimeout?: number;
  /**
   * The most asynchronous handlers that run at once, per connection. On a client, handlers that still run from earlier
   * connections count, too.
   * @default 100
   */
  readonly maxConcurrentHandlers?: number;
  /**
   * The most messages that wait for a handler, per connection. At the limit, nothing more is read from a Python peer,
   * including replies and PONGs. A native peer stops sending messages by itself, at sixteen times as many at most.
   * @default 1024
   */
  readonly maxQueuedMessages?: number;
  /**
   * The most bytes of messages that wait for a handler, per connection. Buffers are counted whole. At the limit, the
   * same happens as for `maxQueuedMessages`. A native peer may exceed it by one message.
   * @default 4194304
   */
  readonly maxQueuedBytes?: number;
  /**
   * The most bytes of payloads in running asynchronous handlers, per connection. Those in worker threads are included.
   * Above it the next message waits. One message of any size may always run. On a client, handlers that still run from
   * earlier connections count, too.
   * @default 16777216
   */
  readonly maxHandlerBytes?: number;
  /** Unsent bytes above which `send` returns false. @default 1048576, or half of `maxBufferedBytes` if that is less */
  readonly highWaterMark?: number;
  /**
   * Unsent bytes above which `send` throws, and answers wait. Below `highWaterMark`, one message of any size is
   * accepted. A handler is not started while the answers of running handlers may bring the connection above this limit.
   * Each answer is expected to be as large as the largest one that its route has given.
   * @default 16777216
   */
  readonly maxBufferedBytes?: number;
  /**
   * The same over all connections together. Above it, each connection may still use `highWaterMark`. Beyond that,
   * messages are refused and answers wait. Connections that hold more and are read too slowly by their peer are closed,
   * beginning with those that hold most.
   * @default 268435456
   */
  readonly maxTotalBufferedBytes?: number;
  /**
   * Closes a peer that takes no message for this long while more than `highWaterMark` waits. The system reports
   * progress in steps of up to about a megabyte (a third of its socket buffer), so allow more for peers on very slow
   * links.
   * @default 10000
   */
  readonly writeTimeout?: number;
  /**
   * How long a native peer may take to close the connection, whatever `drain` it announces. Until then this side waits
   * for the peer, and running handlers may still answer it.
   * @default 60000
   */
  readonly maxDrain?: number;
  /**
   * The most streams that the peer of a connection may have open. One is open until its handler has settled. On a client
   * it also bounds the running handlers of streams over all its connections.
   * @default 128
   */
  readonly maxStreams?: number;
  /** The bytes that a peer may send on a new stream before they are read. From 1,024. @default 65536 */
  readonly streamWindow?: number;
  /**
   * The most bytes that a peer may send on a stream before they are read. The window of a stream grows up to this while
   * it is what limits the speed, so that fast connections over long distances are filled. Half of `maxStreamBytes` and of
   * `maxTotalStreamBytes` stays free for new streams, so by default a window grows to 8 MiB.
   * @default 16777216
   */
  readonly maxStreamWindow?: number;
  /**
   * The most bytes of the windows of all streams of a connection, and of the heads of those that the peer has opened.
   * Above it, streams are refused. Windows grow only while half of it is free, so that new streams find room.
   * @default 16777216
   */
  readonly maxStreamBytes?: number;
  /** The same for all connections together. @default 268435456 */
  readonly maxTotalStreamBytes?: number;
}

/**
 * Options that a Server and a Client share.
 *
 * @category Options
 */
export interface CommonConfig extends LimitOptions {
  /**
   * How eagerly small writes are sent, and when silent peers get a PING. `"low"` gathers small writes for 5 ms, so that
   * a device sends fewer packets, and sends PINGs after 60 s. `"balanced"` writes once per turn of the event loop and
   * sends PINGs after 15 s. `"high"` begins the next write as soon as the one before is done, which costs throughput,
   * and sends PINGs after 5 s. `heartbeat` overrides the times.
   * @default "balanced"
   */
  readonly performanceMode?: PerformanceMode;
  /** When silent peers get a PING, and when they are closed; `false` for never. @default by `performanceMode` */
  readonly heartbeat?: HeartbeatOptions | false;
  /** How much the peer of each connection may send. @default no limit */
  readonly rateLimit?: RateLimitOptions;
  /**
   * What happens when the stream of a Python peer (release 1.7 or later) is damaged. `"close"` closes the connection,
   * reason `protocol-error`. `"resync"` searches for the next whole frame, and an `error` event says how much was
   * skipped. A Python program of 1.7.0 to 3.2.0 damages its stream when it sends more than fits into its socket buffer.
   * The search also finds frames inside payloads, so use `"resync"` only with Python peers whose payloads nobody else
   * can write. Native peers do not need it, and it does not apply to them.
   * @default "close"
   */
  readonly recovery?: "close" | "resync";
  /**
   * Compresses payloads on connections to native peers that have this option, too. `true` means the defaults of
   * {@linkcode CompressionOptions}. Only messages, answers and pieces of streams of 1 KiB to 4 MiB are compressed, and
   * only if they shrink by an eighth or more. An attacker who chooses text beside a secret can guess the secret by the size
   * of what is sent: see `docs/security.md`, and `compress: false` of a type.
   * @default false
   */
  readonly compression?: boolean | CompressionOptions;
  /** Which sockets to use. @default "auto" */
  readonly transport?: TransportChoice;
  /** How much is read at once. @default "large" */
  readonly bufferSize?: BufferSize;
  /**
   * Receives warnings, and errors that no listener handles. Its methods `info` and `debug`, if it has them, receive
   * what happens. It gets a line for each message only if its `level` is `"trace"`. Peers can cause at most ten lines
   * per second of each kind.
   * @default warnings and errors go to the console
   */
  readonly logger?: Log;
  /**
   * The message types in use, as `messageTypes` returns them. Their `fingerprint` then appears in the log's line about
   * each handshake. Native peers send each other their fingerprints, also before they are let in, so the line shows if
   * they differ. Nothing else depends on it: peers with different contracts can talk to each other.
   * @default no fingerprint is sent or logged
   */
  readonly contract?: Readonly<Record<string, AnyMessageType | AnyStreamType>>;
}

/**
 * All limits, with defaults filled in.
 *
 * @category Options
 */
export type Limits = Required<LimitOptions>;

/** The checked limits, before the default of `highWaterMark` is known. */
interface ReadLimits extends Omit<Limits, "highWaterMark"> {
  readonly highWaterMark: number | undefined;
}

/** The least value of each limit and its default. The largest value is that of a signed 32-bit integer. */
const LIMITS: Checks<ReadLimits> = {
  maxMessageSize: optional(whole(256), 10 * 1024 * 1024),
  handshakeTimeout: optional(whole(1), 5_000),
  maxConcurrentHandlers: optional(whole(1), 100),
  maxQueuedMessages: optional(whole(1), 1_024),
  maxQueuedBytes: optional(whole(1), 4 * 1024 * 1024),
  maxHandlerBytes: optional(whole(1), 16 * 1024 * 1024),
  highWaterMark: optional(whole(0)),
  maxBufferedBytes: optional(whole(1), 16 * 1024 * 1024),
  maxTotalBufferedBytes: optional(whole(1), 256 * 1024 * 1024),
  writeTimeout: optional(whole(1), 10_000),
  maxDrain: optional(whole(1), 60_000),
  maxStreams: optional(whole(0), 128),
  streamWindow: optional(whole(1_024), 64 * 1024),
  maxStreamWindow: optional(whole(1_024), 16 * 1024 * 1024),
  maxStreamBytes: optional(whole(0), 16 * 1024 * 1024),
  maxTotalStreamBytes: optional(whole(0), 256 * 1024 * 1024),
};

const BUFFER_SIZES: Readonly<Record<string, number>> = { small: 1, medium: 8, large: 64, huge: 1024 };

/** The checked options of {@linkcode CommonConfig}. */
export interface CommonOptions extends ReadLimits, TuningOptions {
  readonly recovery: Recovery;
  readonly transport: TransportChoice;
  readonly compression: CompressionSettings | undefined;
  /** In bytes. */
  readonly bufferSize: number;
  readonly logger: Log;
  /** The fingerprint of the message types; `undefined` without a contract. */
  readonly contract: string | undefined;
}

/** The check of each common option. */
export const COMMON_OPTIONS: Checks<CommonOptions> = {
  ...LIMITS,
  ...TUNING_OPTIONS,
  recovery: optional(oneOf("close", "resync"), "close"),
  transport: optional(transportOf, "auto"),
  compression: optional(compressionOf),
  bufferSize: optional(bufferBytes, 64 * 1024),
  logger: optional(logOf, CONSOLE),
  contract: optional((_name, value) => fingerprint(value as NonNullable<CommonConfig["contract"]>)),
} satisfies OptionTable<CommonConfig>;

/**
 * The defaults of {@linkcode LimitOptions} for a server.
 *
 * @category Options
 */
export const DEFAULT_LIMITS: Limits = Object.freeze(limitsOf(readOptions("limits", {}, LIMITS)));

/**
 * Returns the limits among checked options.
 *
 * @throws {RangeError} Two limits do not fit together.
 */
export function limitsOf(options: ReadLimits): Limits {
  const { maxBufferedBytes } = options;
  const { highWaterMark = Math.min(1024 * 1024, maxBufferedBytes / 2) } = options;
  if (highWaterMark > maxBufferedBytes) {
    throw new RangeError(`highWaterMark must be at most maxBufferedBytes, ${maxBufferedBytes}, not ${highWaterMark}`);
  }
  const { maxStreamWindow, streamWindow } = options;
  if (streamWindow > maxStreamWindow) {
    throw new RangeError(`streamWindow must be at most maxStreamWindow, ${maxStreamWindow}, not ${streamWindow}`);
  }
  const names = Object.keys(LIMITS) as (keyof Limits)[];
  const limits = Object.fromEntries(names.map((name) => [name, options[name]])) as unknown as Limits;
  return { ...limits, highWaterMark };
}

/** Returns the address to listen at or connect to. `prefix` precedes the names of options in error messages. */
export function endpointOf(
  { path, hostname, port }: Partial<TcpEndpoint & UnixEndpoint>,
  defaults: TcpEndpoint,
  prefix: string = "",
): Endpoint {
  if (path === undefined) return { hostname: hostname ?? defaults.hostname, port: port ?? defaults.port };
  const other = hostname !== undefined ? "hostname" : port !== undefined ? "port" : undefined;
  if (other !== undefined) throw contradiction(`${prefix}path`, `${prefix}${other}`);
  return { path };
}

/** Returns the error for two options of which only one may be given. */
export function contradiction(one: string, other: string): ConfigError {
  return new ConfigError("invalid-config", `${one} stands in place of ${other}: give one of them`);
}

/**
 * Checks the name of a protocol. Returns it.
 *
 * @throws {ConfigError} `unsupported`: this runtime cannot compute its checksums.
 */
export function protocolOf(name: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`${name} must be a string, not ${show(value)}`);
  requireDigest(protocol(value), `Cannot use ${name}`);
  return value;
}

function bufferBytes(name: string, size: unknown): number {
  if (typeof size === "number") return wholeNumber(name, size, 64, 16 * 1024 * 1024);
  if (typeof size === "string" && Object.hasOwn(BUFFER_SIZES, size)) return BUFFER_SIZES[size] * 1024;
  const right = `${name} must be ${Object.keys(BUFFER_SIZES).join(", ")} or a number, not ${show(size)}`;
  throw typeof size === "string" ? new RangeError(right) : new TypeError(right);
}

function logOf(name: string, value: unknown): Log {
  const logger = value as Log | null;
  if (typeof logger?.warn !== "function" || typeof logger.error !== "function") {
    throw new TypeError(`${name} must have the methods warn and error`);
  }
  for (const method of ["info", "debug", "trace"] as const) {
    if (logger[method] !== undefined) checkFunction(`${name}.${method}`, logger[method]);
  }
  return logger;
}
