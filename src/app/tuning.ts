/**
 * How eager a Server or a Client is: what `performanceMode`, `heartbeat` and `rateLimit` come down to.
 *
 * @module
 */

import { checkNames, wholeNumber } from "../base/checks.ts";
import {
  type CommonConfig,
  HEARTBEAT_NAMES,
  type PerformanceMode,
  RATE_NAMES,
  type RateLimitOptions,
} from "./config.ts";
import type { HeartbeatPace } from "../link/heartbeat.ts";
import type { Rate } from "./rate_limit.ts";

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

/**
 * The pace that a configuration asks for.
 *
 * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type.
 */
export function readTuning({ performanceMode = "balanced", heartbeat, rateLimit }: CommonConfig): Tuning {
  if (!Object.hasOwn(MODES, performanceMode)) {
    const right = `performanceMode must be ${Object.keys(MODES).join(", ")}, not ${String(performanceMode)}`;
    throw typeof performanceMode === "string" ? new RangeError(right) : new TypeError(right);
  }
  const { gather, eager, ...defaults } = MODES[performanceMode];
  if (heartbeat !== undefined && heartbeat !== false) checkNames("heartbeat", heartbeat, HEARTBEAT_NAMES);
  const { idle = defaults.idle, timeout } = heartbeat || {};
  wholeNumber("heartbeat.idle", idle, 1);
  if (timeout !== undefined) wholeNumber("heartbeat.timeout", timeout, 1);
  const off = heartbeat === false;
  return {
    gather,
    eager,
    heartbeat: off ? undefined : { idle, timeout: timeout ?? defaults.timeout },
    pythonHeartbeat: off ? undefined : { idle, timeout: timeout ?? PYTHON_TIMEOUT },
    rate: rateLimit === undefined ? undefined : rateOf(rateLimit),
  };
}

function rateOf(options: RateLimitOptions): Rate {
  checkNames("rateLimit", options, RATE_NAMES);
  const { messages, bytes, burst = 1, action = "throttle" } = options;
  if (messages === undefined && bytes === undefined) {
    throw new TypeError("rateLimit must have messages, bytes or both");
  }
  if (messages !== undefined) wholeNumber("rateLimit.messages", messages, 1);
  if (bytes !== undefined) wholeNumber("rateLimit.bytes", bytes, 1);
  if (!(typeof burst === "number" && burst > 0 && burst <= 3_600)) {
    throw new RangeError(`rateLimit.burst must be above 0 and at most 3600 s, not ${burst}`);
  }
  if (action !== "throttle" && action !== "reject" && action !== "close") {
    throw new RangeError(`rateLimit.action must be throttle, reject or close, not ${String(action)}`);
  }
  return { messages: messages ?? Infinity, bytes: bytes ?? Infinity, burst, action };
}
