/**
 * When a client tries again: exponential delays with full jitter, so that a thousand clients of a server that restarts do not
 * come back in one moment. See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * @module
 */

import { ConfigError, HandshakeError } from "../errors.ts";
import { checkNames, type Names, wholeNumber } from "../base/checks.ts";

/** How a client reconnects. Times are in milliseconds. */
export interface ReconnectOptions {
  /** How often it tries in a row. @default Infinity */
  readonly attempts?: number;
  /** The longest wait before the first attempt; it doubles with each one after that. @default 1000 */
  readonly delay?: number;
  /** Where it stops doubling. @default 30000 */
  readonly maxDelay?: number;
  /** Whether the wait is drawn from 0 up to the longest (full jitter), or is the longest. @default true */
  readonly jitter?: boolean;
}

/** The same, decided. */
export type ReconnectPolicy = Required<ReconnectOptions>;

const NAMES: Names<ReconnectOptions> = { attempts: true, delay: true, maxDelay: true, jitter: true };

/** The policy of `reconnect: true`. */
export const DEFAULT_RECONNECT: ReconnectPolicy = { attempts: Infinity, delay: 1_000, maxDelay: 30_000, jitter: true };

/**
 * The policy that a configuration asks for; `undefined` for none.
 *
 * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type.
 */
export function reconnectOf(reconnect: boolean | ReconnectOptions | undefined): ReconnectPolicy | undefined {
  if (reconnect === undefined || reconnect === false) return undefined;
  if (reconnect === true) return DEFAULT_RECONNECT;
  checkNames("reconnect", reconnect, NAMES);
  const policy = { ...DEFAULT_RECONNECT };
  const { attempts, delay, maxDelay, jitter } = reconnect;
  if (attempts !== undefined) policy.attempts = attemptsOf("reconnect.attempts", attempts);
  if (delay !== undefined) policy.delay = wholeNumber("reconnect.delay", delay, 0);
  policy.maxDelay = maxDelay === undefined
    ? Math.max(policy.delay, policy.maxDelay)
    : wholeNumber("reconnect.maxDelay", maxDelay, policy.delay);
  if (jitter !== undefined) {
    if (typeof jitter !== "boolean") throw new TypeError(`reconnect.jitter must be a boolean, not ${typeof jitter}`);
    policy.jitter = jitter;
  }
  return policy;
}

/** A number of attempts, checked. */
export function attemptsOf(name: string, attempts: number): number {
  return attempts === Infinity ? attempts : wholeNumber(name, attempts, 0);
}

/**
 * How long to wait before an attempt, in milliseconds.
 *
 * @param policy The policy.
 * @param attempt Its number in a row, from 1.
 * @param error What the last one failed with: a server that is full says when it is worth trying again.
 * @param random From 0 up to 1.
 */
export function delayBefore(policy: ReconnectPolicy, attempt: number, error: unknown, random: number): number {
  const longest = Math.min(policy.maxDelay, policy.delay * 2 ** Math.min(attempt - 1, 30));
  const least = error instanceof HandshakeError ? Math.min(error.refusal?.retryAfter ?? 0, 24 * 3_600_000) : 0;
  // No runtime has timers for more than 2^31 - 1 ms.
  return Math.min(0x7fffffff, Math.round(least + (policy.jitter ? random * longest : longest)));
}

/** Whether another attempt can go better. */
export function worthRetrying(error: unknown, connectedBefore: boolean): boolean {
  if (error instanceof ConfigError) return false;
  if (!(error instanceof HandshakeError)) return true;
  if (error.code === "unauthorized") return false;
  // A server that was the right one may be restarting as another release for a moment.
  return connectedBefore || error.code !== "version-mismatch" && error.code !== "native-required";
}
