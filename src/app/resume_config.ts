/**
 * The option `resume` of a Server and of a Client.
 *
 * @module
 */

import { type Check, checkBoolean, optional, type OptionTable, readOptions, show, whole } from "../base/checks.ts";
import type { ResumeTerms } from "../session/resumption.ts";

/** Options of resumption on a Client; all optional. */
export interface ResumeOptions {
  /**
   * The most bytes that are kept for the other side until it has acknowledged them. Above it, nothing new is sent. A
   * connection carries at most this much in a round trip. From 65,536.
   * @default 1048576
   */
  readonly buffer?: number;
}

/** Options of resumption on a Server; all optional. */
export interface ServerResumeOptions extends ResumeOptions {
  /** How long the session of a client is kept without a connection, in milliseconds. @default 30000 */
  readonly keep?: number;
  /**
   * The most sessions that are kept without a connection. Above it sessions end, first those of the address that has most
   * of them, and there the oldest. At most half of `maxConnections`.
   * @default 1024
   */
  readonly maxSuspended?: number;
  /**
   * The most bytes of all these sessions together: what is kept and waits to be sent, and what waits for handlers.
   * Above it sessions end, too.
   * @default 67108864
   */
  readonly maxSuspendedBytes?: number;
  /**
   * Asks `authenticate` again when a client comes back. It sees the client's principal as `principal`. A refusal ends the
   * session. The client keeps the principal that it has.
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
  keep: optional(whole(1), 30_000),
  maxSuspended: optional(whole(1), 1_024),
  maxSuspendedBytes: optional(whole(1), 64 * 1024 * 1024),
  authenticateAgain: optional(checkBoolean, false),
} satisfies OptionTable<ServerResumeOptions>;

/** Checks the option `resume` of a Client. Returns `undefined` if it is off. */
export const clientResume: Check<ResumeTerms | undefined> = (name, value) => {
  const given = givenOptions(name, value);
  return given && readOptions(name, given, CLIENT, `${name}.`);
};

/** Checks the option `resume` of a Server. Returns `undefined` if it is off. */
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
