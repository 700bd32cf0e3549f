/**
 * The option `resume` of a Server and of a Client.
 *
 * @module
 */

import { type Check, checkBoolean, optional, type OptionTable, readOptions, show, whole } from "../base/checks.ts";
import type { ResumeTerms } from "../session/resumption.ts";

/**
 * Options of resumption on a Client; all optional.
 *
 * @category Options
 */
export interface ResumeOptions {
  /**
   * How many bytes are kept for the other side until it has acknowledged them. While so many are kept, nothing new begins
   * to be sent. So a connection carries about this much in a round trip. At least 65,536.
   * @default 1048576
   */
  readonly buffer?: number;
}

/**
 * Options of resumption on a Server; all optional.
 *
 * @category Options
 */
export interface ServerResumeOptions extends ResumeOptions {
  /**
   * How long the session of a client is kept without a connection, in milliseconds. The clients learn it from the server.
   * @default 30000
   */
  readonly keep?: number;
  /**
   * The most sessions that are kept without a connection. Above it sessions end, first those of the network that has most
   * of them, and of these the one that has waited for longest. It counts as half of `maxConnections` if that is less.
   * @default 1024
   */
  readonly maxSuspended?: number;
  /**
   * The most bytes of all these sessions together: what is kept, what waits to be sent, what waits for handlers, and
   * incomplete frames. They are counted once a second. Above it sessions end in the same order.
   * @default 67108864
   */
  readonly maxSuspendedBytes?: number;
  /**
   * Asks `authenticate` again when a client comes back. Its argument has the client's principal as `principal`. If it
   * refuses the client, the session ends. Otherwise the client keeps that principal, whatever `authenticate` returns.
   * @default false
   */
  readonly authenticateAgain?: boolean;
}

/** The option `resume` of a Server, read. */
export interface ServerResumeTerms extends ResumeTerms {
  readonly keep: number;
  readonly maxSuspended: number;
  readonly maxSuspendedBytes: number;
  readonly authenticateAgain: boolean;
}

const BUFFER = optional(whole(65_536), 1024 * 1024);

const CLIENT = { buffer: BUFFER } satisfies OptionTable<ResumeOptions>;

const SERVER = {
  buffer: BUFFER,
  keep: optional(whole(1, 0x7fffffff), 30_000),
  maxSuspended: optional(whole(1), 1_024),
  maxSuspendedBytes: optional(whole(1), 64 * 1024 * 1024),
  authenticateAgain: optional(checkBoolean, false),
} satisfies OptionTable<ServerResumeOptions>;

/**
 * Checks the option `resume` of a Client. Returns `undefined` if it is off.
 *
 * @throws {RangeError | TypeError} It is not a boolean or an object, or one of its options is wrong.
 */
export const clientResume: Check<ResumeTerms | undefined> = (name, value) => {
  const given = givenOptions(name, value);
  return given && readOptions(name, given, CLIENT, `${name}.`);
};

/**
 * Checks the option `resume` of a Server. Returns `undefined` if it is off.
 *
 * @throws {RangeError | TypeError} It is not a boolean or an object, or one of its options is wrong.
 */
export const serverResume: Check<ServerResumeTerms | undefined> = (name, value) => {
  const given = givenOptions(name, value);
  return given && readOptions(name, given, SERVER, `${name}.`);
};

function givenOptions(name: string, value: unknown): object | undefined {
  if (value === false) return undefined;
  if (value === true) return {};
  if (typeof value === "object" && value !== null) return value;
  throw new TypeError(`${name} must be true, false or an object, not ${show(value)}`);
}
