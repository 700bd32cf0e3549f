/**
 * Options that a Server and a Client share, with every default and its reason in one place.
 *
 * @module
 */

import { ConfigError } from "./errors.ts";
import { isThenable } from "./message/json.ts";
import type { Endpoint, TcpEndpoint, Transport } from "./transport.ts";
import { protocol } from "./wire/protocols.ts";

/** A logger: anything with these methods, such as `console`. */
export interface Log {
  /** Logs something that went wrong and was handled. */
  warn(message: string, ...data: unknown[]): void;
  /** Logs a failure. */
  error(message: string, ...data: unknown[]): void;
}

/** Which sockets to use: `"auto"` for the runtime's best, one runtime's by name, or a {@linkcode Transport}. */
export type SocketCore = "auto" | "bun" | "deno" | "node" | Transport;

/** How much is read at once: a name (1, 8, 64 or 1,024 KiB) or a number of bytes. */
export type BufferSize = "small" | "medium" | "large" | "huge" | number;

/** Limits of a connection. Sizes are in bytes, times in milliseconds. */
export interface LimitOptions {
  /** The largest message accepted, header included; the default is Python's limit. @default 10485760 */
  readonly maxMessageSize?: number;
  /** Time for the whole handshake. @default 5000 for a server, 10000 for a client: a Python server may be busy for 5 s */
  readonly handshakeTimeout?: number;
  /** Asynchronous handlers running at once, per connection. @default 100 */
  readonly maxWorkers?: number;
  /** Messages waiting for a handler, per connection; at the limit reading stops. @default 1024 */
  readonly maxQueuedMessages?: number;
  /** Bytes of messages waiting for a handler, per connection; at the limit reading stops. @default 4194304 */
  readonly maxQueuedBytes?: number;
  /** Unsent bytes above which `send` returns false. @default 1048576, or half of `maxBufferedBytes` if that is less */
  readonly highWaterMark?: number;
  /** Unsent bytes above which `send` throws. An empty buffer takes one message of any size. @default 16777216 */
  readonly maxBufferedBytes?: number;
  /** The same over all connections together. @default 268435456 */
  readonly maxTotalBufferedBytes?: number;
  /**
   * Closes a peer that takes nothing for this long while more than `highWaterMark` waits. The system reports progress in
   * steps of up to about a megabyte (a third of its socket buffer), so allow more for peers on very slow links.
   * @default 10000
   */
  readonly writeTimeout?: number;
}

/** Options that a Server and a Client share. */
export interface CommonConfig extends LimitOptions {
  /** Which sockets to use. @default "auto" */
  readonly socketCore?: SocketCore;
  /** How much is read at once. @default "large" */
  readonly bufferSize?: BufferSize;
  /** Receives warnings and errors that no listener handles. @default console */
  readonly logger?: Log;
}

/** All limits, with defaults filled in. */
export type Limits = Required<LimitOptions>;

/** The defaults of {@linkcode LimitOptions}, for a server. */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  maxMessageSize: 10 * 1024 * 1024,
  handshakeTimeout: 5_000,
  maxWorkers: 100,
  maxQueuedMessages: 1_024,
  maxQueuedBytes: 4 * 1024 * 1024,
  highWaterMark: 1024 * 1024,
  maxBufferedBytes: 16 * 1024 * 1024,
  maxTotalBufferedBytes: 256 * 1024 * 1024,
  writeTimeout: 10_000,
});

/** The smallest sensible value of each limit; the largest is what a signed 32-bit timer or size can hold. */
const LEAST: Limits = {
  maxMessageSize: 256,
  handshakeTimeout: 1,
  maxWorkers: 1,
  maxQueuedMessages: 1,
  maxQueuedBytes: 1,
  highWaterMark: 0,
  maxBufferedBytes: 1,
  maxTotalBufferedBytes: 1,
  writeTimeout: 1,
};

const BUFFER_SIZES = { small: 1, medium: 8, large: 64, huge: 1024 } as const;
const CORES: readonly unknown[] = ["auto", "bun", "deno", "node"];
const LONGEST_DRAIN = 0x7fffffff;

/** The names of a configuration's members. */
export type Names<Config> = Readonly<Record<keyof Config, true>>;

/** The names of {@linkcode CommonConfig}. */
export const COMMON_NAMES: Names<CommonConfig> = {
  maxMessageSize: true,
  handshakeTimeout: true,
  maxWorkers: true,
  maxQueuedMessages: true,
  maxQueuedBytes: true,
  highWaterMark: true,
  maxBufferedBytes: true,
  maxTotalBufferedBytes: true,
  writeTimeout: true,
  socketCore: true,
  bufferSize: true,
  logger: true,
};

/**
 * Refuses what is no configuration, and members that it does not have: a misspelt limit would silently not be set, and a
 * configuration that comes out of a file is seen by no compiler.
 *
 * @throws {TypeError} The message lists what there is.
 */
export function checkNames<Config extends object>(what: string, config: Config, names: Names<Config>): void {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new TypeError(`${what} must be an object, not ${show(config)}`);
  }
  for (const [name, value] of Object.entries(config)) {
    if (value === undefined || Object.hasOwn(names, name)) continue;
    throw new TypeError(`Unknown option "${name}": ${what} has ${Object.keys(names).sort().join(", ")}`);
  }
}

/**
 * The limits of a configuration.
 *
 * @throws {RangeError | TypeError} One is no whole number in its range.
 */
export function limitsOf(config: LimitOptions, handshakeTimeout: number): Limits {
  const limits: Record<string, number> = { ...DEFAULT_LIMITS, handshakeTimeout };
  for (const [name, least] of Object.entries(LEAST)) {
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

/** A protocol name, checked. Returns it. */
export function protocolOf(name: string, prefix: string = ""): string {
  if (typeof name !== "string") throw new TypeError(`${prefix}protocol must be a string, not ${show(name)}`);
  protocol(name);
  return name;
}

/** The sockets of a configuration, checked. */
export function coreOf(core: SocketCore = "auto"): SocketCore {
  if (CORES.includes(core)) return core;
  const { connect, listen, defer, yield: letOthers, clock } = (core ?? {}) as Partial<Transport>;
  const whole = [connect, listen, defer, letOthers, clock?.now, clock?.setTimeout, clock?.clearTimeout, clock?.unref];
  if (whole.every((member) => typeof member === "function")) return core;
  const right = `socketCore must be ${CORES.join(", ")} or a Transport, not ${show(core)}`;
  throw typeof core === "string" ? new RangeError(right) : new TypeError(right);
}

/** The logger of a configuration, checked. */
export function logOf(logger: Log | undefined): Log {
  if (logger === undefined) return console;
  if (typeof logger?.warn !== "function" || typeof logger.error !== "function") {
    throw new TypeError("logger must have the methods warn and error");
  }
  return logger;
}

/** Writes a line about an error. A logger that fails is let be: there is nobody left to tell. */
export function writeLine(log: Log, level: keyof Log, error: unknown): void {
  try {
    const result: unknown = log[level](error instanceof Error ? error.message : show(error), error);
    if (isThenable(result)) Promise.resolve(result).then(undefined, () => {});
  } catch {
    // See above.
  }
}

/** How long closing may take, checked. */
export function drainOf({ drain = 5_000 }: { readonly drain?: number }): number {
  if (typeof drain !== "number") throw new TypeError(`drain must be a number, not ${show(drain)}`);
  if (drain >= 0 && drain <= LONGEST_DRAIN) return drain;
  throw new RangeError(`drain must be 0 to ${LONGEST_DRAIN} ms, not ${drain}`);
}

/** A whole number, checked. The most is what a signed 32-bit timer or size can hold. */
export function wholeNumber(name: string, value: unknown, least: number, most: number = 0x7fffffff): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${show(value)}`);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} must be a whole number from ${least} to ${most}, not ${value}`);
}

function nonEmpty(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new TypeError(`${name} must be a non-empty string, not ${show(value)}`);
}

/** A wrong value in a message: never thrown at, never long. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 100));
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return value === null
    ? "null"
    : Array.isArray(value)
    ? "an array"
    : value === undefined
    ? "undefined"
    : `of type ${typeof value}`;
}
