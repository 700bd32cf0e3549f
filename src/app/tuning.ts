/**
 * How eager a Server or a Client is: what `performanceMode`, `heartbeat` and `rateLimit` come down to.
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

/** How eagerly small writes are sent and dead peers are sought; see `CommonConfig`. */
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

/** The pace of one Server or Client. */
export interface Tuning {
  /** How long small writes are gathered, in milliseconds; 0 writes at the end of each turn. */
  readonly gather: number;
  /** Whether a write follows the one before at once, without waiting for the turn to end. */
  readonly eager: boolean;
  /** When native peers are asked and given up; `undefined` for never. */
  readonly heartbeat: HeartbeatPace | undefined;
  /** The same for Python peers, which may be held up for longer. */
  readonly pythonHeartbeat: HeartbeatPace | undefined;
  /** How much a peer may send; `undefined` for no limit. */
  readonly rate: Rate | undefined;
}

/** What each mode stands for, in milliseconds. */
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

/** The options that {@linkcode readTuning} takes. */
export interface TuningOptions {
  readonly performanceMode: PerformanceMode;
  readonly heartbeat: Given<HeartbeatOptions> | false | undefined;
  readonly rateLimit: Rate | undefined;
}

/** How they are read. */
export const TUNING_OPTIONS: Checks<TuningOptions> = {
  performanceMode: optional(oneOf("low", "balanced", "high"), "balanced"),
  heartbeat: optional((name, value) =>
    value === false ? value : readOptions(name, value as object, HEARTBEAT, `${name}.`)
  ),
  rateLimit: optional(rateOf),
};

/** The pace that checked options ask for. */
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
