/**
 * The options `performanceMode`, `heartbeat` and `rateLimit`, and the times that follow from them.
 *
 * @module
 */

import {
  type Checks,
  type Given,
  oneOf,
  optional,
  type OptionTable,
  readOptions,
  show,
  whole,
} from "../base/checks.ts";
import type { HeartbeatPace } from "../link/heartbeat.ts";
import type { Rate } from "./token_buckets.ts";

/**
 * How eagerly small writes are sent and dead peers are detected; see `CommonConfig`.
 *
 * @category Options
 */
export type PerformanceMode = "low" | "balanced" | "high";

/**
 * When a silent peer gets a PING, and when it is closed. Any byte that it sends ends the silence. Times are in
 * milliseconds.
 *
 * @category Options
 */
export interface HeartbeatOptions {
  /** Sends a PING after this long without sending or receiving anything. @default 15000, by `performanceMode` */
  readonly idle?: number;
  /**
   * Closes a peer, reason `heartbeat`, that stays silent for this long after the PING.
   * @default 10000, by `performanceMode`; 30000 for Python peers, whose handlers may delay their answers
   */
  readonly timeout?: number;
}

/**
 * How much the peer of each connection may send. Answers to requests of this side are exempt. PINGs and other frames of
 * the library count. Needs `messages`, `bytes` or both.
 *
 * @category Options
 */
export interface RateLimitOptions {
  /** Messages and requests per second. @default unlimited */
  readonly messages?: number;
  /** Bytes of their payloads per second. @default unlimited */
  readonly bytes?: number;
  /** The messages and bytes of how many seconds may come at once. @default 1 */
  readonly burst?: number;
  /**
   * What happens to messages above the limit. `"throttle"` lets them wait, until the peer has to stop sending.
   * `"reject"` drops them, and the request of a native peer rejects with the code `rate-limited`. `"close"` closes the
   * connection, reason `rate-limited`. What the peer sends after that is neither handled nor answered.
   * @default "throttle"
   */
  readonly action?: "throttle" | "reject" | "close";
}

/** The times and the rate limit of one Server or Client. */
export interface Tuning {
  /** How long small writes are gathered, in milliseconds; 0 to write at the end of each turn. */
  readonly gather: number;
  /** True if a write begins as soon as the one before is done, without waiting for the end of the turn. */
  readonly eager: boolean;
  /** When native peers get a PING and are closed; `undefined` for never. */
  readonly heartbeat: HeartbeatPace | undefined;
  /** The same for Python peers, whose answers may take longer. */
  readonly pythonHeartbeat: HeartbeatPace | undefined;
  /** How much a peer may send; `undefined` for no limit. */
  readonly rate: Rate | undefined;
}

/** The times of each mode, in milliseconds. */
const MODES: Record<PerformanceMode, { gather: number; eager: boolean; idle: number; timeout: number }> = {
  low: { gather: 5, eager: false, idle: 60_000, timeout: 20_000 },
  balanced: { gather: 0, eager: false, idle: 15_000, timeout: 10_000 },
  high: { gather: 0, eager: true, idle: 5_000, timeout: 5_000 },
};

const PYTHON_TIMEOUT = 30_000;

const HEARTBEAT = {
  idle: optional(whole(1)),
  timeout: optional(whole(1)),
} satisfies OptionTable<HeartbeatOptions>;

const RATE = {
  messages: optional(whole(1)),
  bytes: optional(whole(1)),
  burst: optional((name, value) => {
    if (typeof value === "number" && value > 0 && value <= 3_600) return value;
    throw new RangeError(`${name} must be above 0 and at most 3600 s, not ${show(value)}`);
  }, 1),
  action: optional(oneOf("throttle", "reject", "close"), "throttle"),
} satisfies OptionTable<RateLimitOptions>;

/** The checked options that {@linkcode readTuning} takes. */
export interface TuningOptions {
  readonly performanceMode: PerformanceMode;
  readonly heartbeat: Given<HeartbeatOptions> | false | undefined;
  readonly rateLimit: Rate | undefined;
}

/** The check of each of these options. */
export const TUNING_OPTIONS: Checks<TuningOptions> = {
  performanceMode: optional(oneOf("low", "balanced", "high"), "balanced"),
  heartbeat: optional((name, value) =>
    value === false ? value : readOptions(name, value as object, HEARTBEAT, `${name}.`)
  ),
  rateLimit: optional(rateOf),
};

/** Returns the tuning for checked options. */
export function readTuning({ performanceMode, heartbeat, rateLimit }: TuningOptions): Tuning {
  const { gather, eager, ...defaults } = MODES[performanceMode];
  const { idle = defaults.idle, timeout } = heartbeat || {};
  const off = heartbeat === false;
  return {
    gather,
    eager,
    heartbeat: off ? undefined : { idle, timeout: timeout ?? defaults.timeout },
    pythonHeartbeat: off ? undefined : { idle, timeout: timeout ?? PYTHON_TIMEOUT },
    rate: rateLimit,
  };
}

function rateOf(name: string, value: unknown): Rate {
  const { messages, bytes, burst, action } = readOptions(name, value as object, RATE, `${name}.`);
  if (messages === undefined && bytes === undefined) {
    throw new TypeError("rateLimit must have messages, bytes or both");
  }
  return { messages: messages ?? Infinity, bytes: bytes ?? Infinity, burst, action };
}
