/**
 * Decides when a client tries again. Delays are exponential with full jitter, so that a thousand clients of a server
 * that restarts do not come back at the same moment. See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * @module
 */

import { ConfigError, HandshakeError } from "../errors.ts";
import {
  type Check,
  checkBoolean,
  optional,
  type OptionTable,
  readOptions,
  unchecked,
  whole,
  wholeNumber,
  wholeOrInfinity,
} from "../base/checks.ts";

/**
 * How a client reconnects. Times are in milliseconds.
 *
 * @category Client
 */
export interface ReconnectOptions {
  /** The most attempts in a row. @default Infinity */
  readonly attempts?: number;
  /** The longest wait before the first attempt. It doubles with each further attempt. @default 1000 */
  readonly delay?: number;
  /** The limit up to which the longest wait doubles. @default 30000, or `delay` if that is longer */
  readonly maxDelay?: number;
  /**
   * True to draw each wait at random from 0 up to the longest (full jitter); false to wait the longest. @default true
   */
  readonly jitter?: boolean;
}

/** The options with their defaults. */
export type ReconnectPolicy = Required<ReconnectOptions>;

/** The limit up to which the delay doubles by default, in milliseconds. */
const LONGEST_DELAY = 30_000;

/**
 * A connection that lasted at least this long, in milliseconds, and at least as long as the wait before it, begins a
 * new row of attempts.
 */
export const LASTING = 1_000;

/** The check of a number of attempts. */
export const attemptsOf: Check<number> = wholeOrInfinity(0);

const OPTIONS = {
  attempts: optional(attemptsOf, Infinity),
  delay: optional(whole(0), 1_000),
  // Checked below: its lower bound is `delay`.
  maxDelay: unchecked<unknown>(),
  jitter: optional(checkBoolean, true),
} satisfies OptionTable<ReconnectOptions>;

/** The policy of `reconnect: true`. */
export const DEFAULT_RECONNECT: ReconnectPolicy = reconnectOf("reconnect", true)!;

/**
 * Returns the policy that an option asks for; `undefined` for none.
 *
 * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type.
 */
export function reconnectOf(name: string, reconnect: unknown): ReconnectPolicy | undefined {
  if (reconnect === undefined || reconnect === false) return undefined;
  const given = reconnect === true ? {} : reconnect as ReconnectOptions;
  const { maxDelay, ...policy } = readOptions(name, given, OPTIONS, `${name}.`);
  if (maxDelay === undefined) return { ...policy, maxDelay: Math.max(policy.delay, LONGEST_DELAY) };
  return { ...policy, maxDelay: wholeNumber(`${name}.maxDelay`, maxDelay, policy.delay) };
}

/**
 * Returns how long to wait before an attempt, in milliseconds.
 *
 * @param policy The policy.
 * @param attempt The number of the attempt in its row, from 1.
 * @param error The error of the last attempt. That of a full server says when it is worth trying again.
 * @param random A random number from 0 up to 1.
 */
export function delayBefore(policy: ReconnectPolicy, attempt: number, error: unknown, random: number): number {
  const longest = Math.min(policy.maxDelay, policy.delay * 2 ** Math.min(attempt - 1, 30));
  const least = error instanceof HandshakeError ? Math.min(error.refusal?.retryAfter ?? 0, 24 * 3_600_000) : 0;
  // No runtime has timers for more than 2^31 - 1 ms.
  return Math.min(0x7fffffff, Math.round(least + (policy.jitter ? random * longest : longest)));
}

/** Returns whether another attempt can succeed. */
export function worthRetrying(error: unknown, connectedBefore: boolean): boolean {
  if (error instanceof ConfigError) return false;
  if (!(error instanceof HandshakeError)) return true;
  if (error.code === "unauthorized") return false;
  // A server that was the right one may be restarting, and be another release for a moment.
  return connectedBefore || error.code !== "version-mismatch" && error.code !== "native-required";
}

/** Returns whether another attempt to bring a session back can succeed. */
export function worthComingBack(error: unknown): boolean {
  return worthRetrying(error, true) && !(error instanceof HandshakeError && error.refusal?.final === true);
}
