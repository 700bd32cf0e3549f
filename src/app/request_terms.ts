/**
 * Reads the options of a request.
 *
 * @module
 */

import { RemoteError, TimeoutError } from "../errors.ts";
import type { RequestOptions, RequestScope } from "../session/requests.ts";
import { checkTimeout, REQUEST_TIMEOUT } from "../session/send_checks.ts";
import { metadataMembers } from "../wire/metadata.ts";
import { deadlineExceeded } from "./deadline.ts";

/** The options of a request, checked and combined. */
export interface RequestTerms {
  /** How long to wait for the answer, in milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** The members of the metadata, see `metadataMembers`. */
  readonly meta: string;
  /** True if the peer is to know how much time is left. */
  readonly deadline: boolean;
  /** True if the time is that of the message on whose behalf the request is made. */
  readonly scoped: boolean;
}

/** Returns whether a request has only default terms. Most have, and nothing is created for them. */
export function isPlainRequest({ timeout, meta, within }: RequestOptions): boolean {
  return timeout === undefined && meta === undefined && within === undefined;
}

/** The longest time of a request, in milliseconds. */
const LONGEST = 0x7fffffff;

/**
 * Returns the terms of a request that is made now.
 *
 * @param verb What is done; to open a stream may take any time, unless the options say otherwise.
 * @throws {TypeError | RangeError} An option is wrong.
 * @throws {TimeoutError} `deadline-exceeded`: the message on whose behalf it is made has no time left.
 * @throws {unknown} The reason of a signal that is aborted.
 */
export function requestTerms(
  name: string,
  options: RequestOptions,
  verb: "request" | "open" = "request",
): RequestTerms {
  const { timeout = verb === "open" ? LONGEST : REQUEST_TIMEOUT, signal, meta, within } = options;
  checkTimeout(name, timeout);
  signal?.throwIfAborted();
  const what = `Cannot ${verb} "${name}"`;
  const deadline = options.timeout !== undefined || within !== undefined;
  const members = meta === undefined ? "" : metadataMembers(what, meta, deadline);
  if (within === undefined) return { timeout, signal, meta: members, deadline, scoped: false };
  checkScope(what, within);
  within.signal.throwIfAborted();
  const left = within.timeLeft ?? Infinity;
  if (left <= 0) throw deadlineExceeded(what);
  return {
    timeout: Math.min(timeout, left),
    signal: signal === undefined ? within.signal : AbortSignal.any([signal, within.signal]),
    meta: members,
    deadline,
    scoped: left < timeout,
  };
}

/**
 * Returns the answer to a request. Both sides count its time, and the peer may be first to say that it is over: the error
 * is a `TimeoutError` in either case. If the time was that of a message, the error says so.
 */
export function timelyAnswer<T>(name: string, terms: RequestTerms, answer: Promise<T>): Promise<T> {
  const { deadline, scoped, timeout } = terms;
  if (!deadline) return answer;
  return answer.catch((error) => {
    const remote = error instanceof RemoteError && error.code === "deadline-exceeded";
    if (!remote && !(scoped && error instanceof TimeoutError)) throw error;
    const cause = remote ? { cause: error } : undefined;
    if (scoped) throw deadlineExceeded(`No answer to "${name}"`, cause);
    throw new TimeoutError("timeout", `No answer to "${name}" within ${timeout} ms`, cause);
  });
}

function checkScope(what: string, within: RequestScope): void {
  if (typeof within?.signal?.throwIfAborted === "function") {
    const { timeLeft } = within;
    if (timeLeft === undefined || typeof timeLeft === "number" && !Number.isNaN(timeLeft)) return;
  }
  throw new TypeError(`${what}: within must be a message`);
}
