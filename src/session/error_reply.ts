/**
 * Writes an error as the content of an ERROR reply, JSON `{code, message, details?}`, and reads it as an error again. A
 * peer receives the code and the message of an error, never its stack.
 *
 * @module
 */

import { ProtocolError, RemoteError } from "../errors.ts";
import { decodeJson } from "../base/json.ts";
import type { Metadata } from "../wire/metadata.ts";
import { printable, readable } from "../base/untrusted.ts";

const MAX_CODE = 100;
const MAX_MESSAGE = 2_000;
/** The most bytes of the JSON of an ERROR reply. Code and message alone take less than 13,000. */
const MAX_BYTES = 65_536;

/** The content of the ERROR reply for an error that cannot be described. */
export const NO_DETAILS = '{"code":"handler-failed","message":"The handler failed"}';

/** Creates an error whose code and message become the answer to a request. */
export function answerError(code: string, message: string): Error & { readonly code: string } {
  return Object.assign(new Error(message), { code });
}

/** The answers of the library itself to what no handler gets. */
export const RATE_LIMITED: Error & { readonly code: string } = /* @__PURE__ */ answerError(
  "rate-limited",
  "More messages than the receiver takes",
);
export const TOO_MANY_STREAMS: Error & { readonly code: string } = /* @__PURE__ */ answerError(
  "too-many-streams",
  "The receiver takes no more streams for now",
);
export const GOING_AWAY: Error & { readonly code: string } = /* @__PURE__ */ answerError(
  "going-away",
  "The connection is being closed",
);
export const UNREADABLE: Error & { readonly code: string } = /* @__PURE__ */ answerError(
  "handler-failed",
  "The payload cannot be read",
);

/** Returns the content of the ERROR reply for an error. */
export function errorContent(error: unknown): string {
  try {
    const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
    return JSON.stringify({
      code: typeof code === "string" ? code.slice(0, MAX_CODE) : "handler-failed",
      message: typeof message === "string" ? message.slice(0, MAX_MESSAGE) : "The handler failed",
    });
  } catch {
    // Anything can be thrown, even a value whose properties cannot be read.
    return NO_DETAILS;
  }
}

/**
 * Returns the error that an ERROR reply describes. Programs print its text, so control characters, which could command
 * a terminal, are replaced. The message keeps its line breaks, because many errors have several lines.
 */
export function errorOf(content: Uint8Array, meta?: Metadata): RemoteError | ProtocolError {
  let value: unknown;
  try {
    value = decodeJson(content, { maxBytes: MAX_BYTES });
  } catch (cause) {
    return new ProtocolError("protocol-error", "The peer answered with an error that can't be read", { cause });
  }
  const { code, message, details } = (value ?? {}) as { code?: unknown; message?: unknown; details?: unknown };
  return new RemoteError(
    typeof code === "string" ? printable(code.slice(0, MAX_CODE)) : "unknown",
    typeof message === "string" ? readable(message.slice(0, MAX_MESSAGE)) : "The peer gave no reason",
    details,
    meta,
  );
}
