/**
 * Options that a Server and a Client share, with every default and its reason in one place.
 *
 * @module
 */

import { checkFunction, checkNames, type Names, nonEmpty, show, wholeNumber } from "../base/checks.ts";
import { ConfigError } from "../errors.ts";
import { CONSOLE, type Log } from "./log.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import type { Endpoint, TcpEndpoint } from "../base/address.ts";
import type { Transport } from "../transport.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import { protocol } from "../wire/protocols.ts";
import { requireDigest } from "../wire/python/sha256.ts";

/** Which sockets to use: `"auto"` for the runtime's best, one runtime's by name, or a {@linkcode Transport}. */
export type TransportChoice = "auto" | "bun" | "deno" | "node" | Transport;

/**
 * How much is read at once: a name (1, 8, 64 or 1,024 KiB) or a number of bytes. Node and Bun read up to 64 and 512 KiB at once
 * whatever it says: there it is how much is held, while nobody takes it, before reading stops.
 */
export type BufferSize = "small" | "medium" | "large" | "huge" | number;

/** Limits of a connection. Sizes are in bytes, times in milliseconds. */
export interface LimitOptions {
  /** The largest message accepted, header included; the default is Python's limit. @default 10485760 */
  readonly maxMessageSize?: number;
  /** Time for the whole handshake. @default 5000 for a server, 10000 for a client: a Python server may be busy for 5 s */
  readonly handshakeTimeout?: number;
  /**
   * Asynchronous handlers running at once, per connection. On a client, handlers that still run from earlier connections
   * count, too.
   * @default 100
   */
  readonly maxConcurrentHandlers?: number;
  /**
   * Messages waiting for a handler, per connection. At the limit reading a Python peer stops, and with it replies and PONGs.
   * A native peer stops sending messages by itself, at sixteen times as many at most. @default 1024
   */
  readonly maxQueuedMessages?: number;
  /**
   * Bytes of messages waiting for a handler, per connection, buffers counted whole; the same happens at the limit. A native
   * peer may overdraw it by one message. @default 4194304
   */
  readonly maxQueuedBytes?: number;
  /**
   * Bytes of payloads in running asynchronous handlers, per connection, those in worker threads included. Above it the next
   * message waits; one message of any size may always run. @default 16777216
   */
  readonly maxHandlerBytes?: number;
  /** Unsent bytes above which `send` returns false. @default 1048576, or half of `maxBufferedBytes` if that is less */
  readonly highWaterMark?: number;
  /**
   * Unsent bytes above which `send` throws, and answers wait. Below `highWaterMark` one message of any size is taken. A
   * handler is not started while the answers of those that run may bring the connection above it: each is expected to be
   * as large as the largest that its route has given. @default 16777216
   */
  readonly maxBufferedBytes?: number;
  /**
   * The same over all connections together. Above it each connection may still use `highWaterMark`; what is beyond is refused
   * or waits, and connections that hold more and take it too slowly are closed, those with most first. @default 268435456
   */
  readonly maxTotalBufferedBytes?: number;
  /**
   * Closes a peer that takes no message for this long while more than `highWaterMark` waits. The system reports progress in
   * steps of up to about a megabyte (a third of its socket buffer), so allow more for peers on very slow links.
   * @default 10000
   */
  readonly writeTimeout?: number;
  /**
   * How long a native peer may take to close the connection, whatever `drain` it announces. Until then this side
   * waits for it, and running handlers may still answer it.
   * @default 60000
   */
  readonly maxDrain?: number;
}

/** How eagerly small writes are sent and dead peers are sought; see {@linkcode CommonConfig}. */
export type PerformanceMode = "low" | "balanced" | "high";

/** When a silent peer is asked whether it lives. Any byte counts as life. Times are in milliseconds. */
export interface HeartbeatOptions {
  /** Sends a PING after this long without sending or hearing anything. @default 15000, by `performanceMode` */
  readonly idle?: number;
  /**
   * Closes a peer, reason `heartbeat`, that stays silent for this long after that.
   * @default 10000, by `performanceMode`; 30000 for Python peers, whose handlers may hold up their answers
   */
  readonly timeout?: number;
}

/**
 * How much each connection may bring. Answers to requests of this side are exempt; PINGs and other frames of the library
 * count. Needs `messages`, `bytes` or both.
 */
export interface RateLimitOptions {
  /** Messages and requests a second. @default unlimited */
  readonly messages?: number;
  /** Bytes of their payloads a second. @default unlimited */
  readonly bytes?: number;
  /** How many seconds' worth may come at once. @default 1 */
  readonly burst?: number;
  /**
   * `"throttle"` lets what is above wait, until the peer has to stop sending; `"reject"` drops it, and the request of a native
   * peer rejects with the code `rate-limited`; `"close"` closes the connection, reason `rate-limited`: what the peer has
   * sent after that is neither handled nor answered.
   * @default "throttle"
   */
  readonly action?: "throttle" | "reject" | "close";
}

/** Options that a Server and a Client share. */
export interface CommonConfig extends LimitOptions {
  /**
   * `"low"` gathers small writes for 5 ms, so that a device sends fewer packets, and asks silent peers after 60 s;
   * `"balanced"` writes once a turn of the event loop and asks after 15 s; `"high"` begins the next write as soon as the one
   * before is done, which costs throughput, and asks after 5 s. `heartbeat` overrides its times.
   * @default "balanced"
   */
  readonly performanceMode?: PerformanceMode;
  /** When silent peers are asked and given up; `false` never. @default by `performanceMode` */
  readonly heartbeat?: HeartbeatOptions | false;
  /** How much each connection may bring. @default no limit */
  readonly rateLimit?: RateLimitOptions;
  /**
   * What happens to a stream whose frames are torn, with peers of the Python releases from 1.7 on. `"close"` closes the
   * connection, reason `protocol-error`. `"resync"` searches on for the next whole frame, and an `error` event says how much was
   * skipped: a Python program of 1.7.0 to 3.2.0 that sends more than fits into its socket buffer tears its frames. The search finds
   * frames inside payloads, too, so set it for Python peers only whose payloads nobody else can write. Native peers never need
   * it, and it does not apply to them.
   * @default "close"
   */
  readonly recovery?: "close" | "resync";
  /** Which sockets to use. @default "auto" */
  readonly transport?: TransportChoice;
  /** How much is read at once. @default "large" */
  readonly bufferSize?: BufferSize;
  /**
   * Receives warnings and errors that no listener handles, and what goes on if it has the methods for that; a line for each
   * message only where its `level` is `"trace"`. What peers can cause is at most ten lines a second of each kind.
   * @default warnings and errors go to the console
   */
  readonly logger?: Log;
  /**
   * The message types that are used, as `messageTypes` returns them. Their `fingerprint` then stands in the log's line about each
   * handshake, and native peers tell each other theirs, also before they are let in, so that the line shows that they have different
   * ones. Nothing else depends on it: peers with different contracts talk to each other as well as they can.
   * @default nothing is said
   */
  readonly contract?: Readonly<Record<string, AnyMessageType>>;
}

/** All limits, with defaults filled in. */
export type Limits = Required<LimitOptions>;

/** The defaults of {@linkcode LimitOptions}, for a server. */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  maxMessageSize: 10 * 1024 * 1024,
  handshakeTimeout: 5_000,
  maxConcurrentHandlers: 100,
  maxQueuedMessages: 1_024,
  maxQueuedBytes: 4 * 1024 * 1024,
  maxHandlerBytes: 16 * 1024 * 1024,
  highWaterMark: 1024 * 1024,
  maxBufferedBytes: 16 * 1024 * 1024,
  maxTotalBufferedBytes: 256 * 1024 * 1024,
  writeTimeout: 10_000,
  maxDrain: 60_000,
});

/** The smallest sensible value of each limit; the largest is what a signed 32-bit timer or size can hold. */
const LEAST: readonly [keyof Limits, number][] = Object.entries<number>(
  {
    maxMessageSize: 256,
    handshakeTimeout: 1,
    maxConcurrentHandlers: 1,
    maxQueuedMessages: 1,
    maxQueuedBytes: 1,
    maxHandlerBytes: 1,
    highWaterMark: 0,
    maxBufferedBytes: 1,
    maxTotalBufferedBytes: 1,
    writeTimeout: 1,
    maxDrain: 1,
  } satisfies Limits,
) as [keyof Limits, number][];

const BUFFER_SIZES = { small: 1, medium: 8, large: 64, huge: 1024 } as const;
const TRANSPORTS: readonly unknown[] = ["auto", "bun", "deno", "node"];
const LONGEST_DRAIN = 0x7fffffff;

/** The names of {@linkcode CommonConfig}. */
export const COMMON_NAMES: Names<CommonConfig> = {
  maxMessageSize: true,
  handshakeTimeout: true,
  maxConcurrentHandlers: true,
  maxQueuedMessages: true,
  maxQueuedBytes: true,
  maxHandlerBytes: true,
  highWaterMark: true,
  maxBufferedBytes: true,
  maxTotalBufferedBytes: true,
  writeTimeout: true,
  maxDrain: true,
  transport: true,
  bufferSize: true,
  logger: true,
  contract: true,
  performanceMode: true,
  heartbeat: true,
  rateLimit: true,
  recovery: true,
};

/** The names of {@linkcode HeartbeatOptions}. */
export const HEARTBEAT_NAMES: Names<HeartbeatOptions> = { idle: true, timeout: true };

/** The names of {@linkcode RateLimitOptions}. */
export const RATE_NAMES: Names<RateLimitOptions> = { messages: true, bytes: true, burst: true, action: true };

/**
 * The limits of a configuration.
 *
 * @throws {RangeError | TypeError} One is no whole number in its range.
 */
export function limitsOf(config: LimitOptions, handshakeTimeout: number): Limits {
  const limits: Record<string, number> = { ...DEFAULT_LIMITS, handshakeTimeout };
  for (const [name, least] of LEAST) {
    const value = (config as Record<string, unknown>)[name];
    if (value !== undefined) limits[name] = wholeNumber(name, value, least);
  }
  if (config.highWaterMark === undefined) {
    limits.highWaterMark = Math.min(limits.highWaterMark, limits.maxBufferedBytes / 2);
  } else if (limits.highWaterMark > limits.maxBufferedBytes) {
    throw new RangeError(
      `highWaterMark must be at most maxBufferedBytes, ${limits.maxBufferedBytes}, not ${limits.highWaterMark}`,
    );
  }
  return limits as unknown as Limits;
}

/** The bytes of a {@linkcode BufferSize}. */
export function bufferBytes(size: BufferSize = "large"): number {
  if (typeof size === "number") return wholeNumber("bufferSize", size, 64, 16 * 1024 * 1024);
  if (typeof size === "string" && Object.hasOwn(BUFFER_SIZES, size)) return BUFFER_SIZES[size] * 1024;
  const right = `bufferSize must be ${Object.keys(BUFFER_SIZES).join(", ")} or a number, not ${show(size)}`;
  throw typeof size === "string" ? new RangeError(right) : new TypeError(right);
}

/** Where to listen at or connect to, checked. `prefix` stands before the names in messages. */
export function endpointOf(
  { path, hostname, port }: { readonly path?: string; readonly hostname?: string; readonly port?: number },
  defaults: TcpEndpoint,
  leastPort: 0 | 1,
  prefix: string = "",
): Endpoint {
  if (path === undefined) {
    return {
      hostname: nonEmpty(`${prefix}hostname`, hostname === undefined ? defaults.hostname : hostname),
      port: wholeNumber(`${prefix}port`, port === undefined ? defaults.port : port, leastPort, 65535),
    };
  }
  const other = hostname !== undefined ? "hostname" : port !== undefined ? "port" : undefined;
  if (other !== undefined) throw contradiction(`${prefix}path`, `${prefix}${other}`);
  return { path: nonEmpty(`${prefix}path`, path) };
}

/** The error for two members of which only one can be given. */
export function contradiction(one: string, other: string): ConfigError {
  return new ConfigError("invalid-config", `${one} stands in place of ${other}: give one of them`);
}

/**
 * A protocol name, checked. Returns it.
 *
 * @throws {ConfigError} `unsupported`: this runtime cannot compute its checksums.
 */
export function protocolOf(name: string, prefix: string = ""): string {
  if (typeof name !== "string") throw new TypeError(`${prefix}protocol must be a string, not ${show(name)}`);
  requireDigest(protocol(name), `Cannot use ${prefix}protocol`);
  return name;
}

/** What a torn stream does, checked. `prefix` stands before the name in messages. */
export function recoveryOf(recovery: Recovery = "close", prefix: string = ""): Recovery {
  if (recovery === "close" || recovery === "resync") return recovery;
  const right = `${prefix}recovery must be close or resync, not ${show(recovery)}`;
  throw typeof recovery === "string" ? new RangeError(right) : new TypeError(right);
}

/** The sockets of a configuration, checked. */
export function transportOf(transport: TransportChoice = "auto"): TransportChoice {
  if (TRANSPORTS.includes(transport)) return transport;
  const { connect, listen, defer, yield: letOthers, clock } = (transport ?? {}) as Partial<Transport>;
  const whole = [connect, listen, defer, letOthers, clock?.now, clock?.setTimeout, clock?.clearTimeout, clock?.unref];
  if (whole.every((member) => typeof member === "function")) return transport;
  const right = `transport must be ${TRANSPORTS.join(", ")} or a Transport, not ${show(transport)}`;
  throw typeof transport === "string" ? new RangeError(right) : new TypeError(right);
}

/** The logger of a configuration, checked. */
export function logOf(logger: Log | undefined): Log {
  if (logger === undefined) return CONSOLE;
  if (typeof logger?.warn !== "function" || typeof logger.error !== "function") {
    throw new TypeError("logger must have the methods warn and error");
  }
  for (const name of ["info", "debug", "trace"] as const) {
    if (logger[name] !== undefined) checkFunction(`logger.${name}`, logger[name]);
  }
  return logger;
}

/** How long closing may take, and when peers may come back, checked. */
export interface Closing {
  /** In milliseconds. */
  readonly drain: number;
  /** In milliseconds; `undefined` where that is not said. */
  readonly retryAfter: number | undefined;
}

/** The same as options. */
type ClosingOptions = Partial<Closing>;

const CLOSE_NAMES: Names<ClosingOptions> = { drain: true, retryAfter: true };
const CLIENT_CLOSE_NAMES: Names<Pick<ClosingOptions, "drain">> = { drain: true };

/** How to close a connection of a server, checked. */
export function closingOf(options: ClosingOptions): Closing {
  checkNames("close()", options, CLOSE_NAMES);
  return { drain: checkDrain(options.drain), retryAfter: checkRetryAfter(options.retryAfter) };
}

/** What a client that is shut out is told, checked. */
export interface ClosingWords {
  /** Why, for programs. */
  readonly code?: string;
  /** Why, for people. */
  readonly message?: string;
  /** Whether coming back is pointless. */
  readonly final?: boolean;
}

const CLIENT_INFO_CLOSE_NAMES: Names<ClosingOptions & ClosingWords> = {
  ...CLOSE_NAMES,
  code: true,
  message: true,
  final: true,
};

/** How to close one connection of a server, checked. */
export function shuttingOf(options: ClosingOptions & ClosingWords): Closing & ClosingWords {
  checkNames("close()", options, CLIENT_INFO_CLOSE_NAMES);
  const { code, drain, final, message, retryAfter } = options;
  if (code !== undefined) nonEmpty("code", code);
  if (message !== undefined) nonEmpty("message", message);
  if (final !== undefined && typeof final !== "boolean") {
    throw new TypeError(`final must be a boolean, not ${show(final)}`);
  }
  return { code, final, message, drain: checkDrain(drain), retryAfter: checkRetryAfter(retryAfter) };
}

/** How long closing a client may take, checked. */
export function drainOf(options: Pick<ClosingOptions, "drain">): number {
  checkNames("close()", options, CLIENT_CLOSE_NAMES);
  return checkDrain(options.drain);
}

function checkDrain(drain = 5_000): number {
  if (typeof drain !== "number") throw new TypeError(`drain must be a number, not ${show(drain)}`);
  if (drain >= 0 && drain <= LONGEST_DRAIN) return drain;
  throw new RangeError(`drain must be 0 to ${LONGEST_DRAIN} ms, not ${drain}`);
}

function checkRetryAfter(retryAfter: number | undefined): number | undefined {
  return retryAfter === undefined ? undefined : wholeNumber("retryAfter", retryAfter, 0);
}
