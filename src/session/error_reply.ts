/**
 * What an ERROR reply holds: JSON `{code, message, details?}`, written from an error here and read as an error there. A peer
 * learns code and message of a failure, never a stack.
 *
 * @module
 */

import { ProtocolError, RemoteError } from "../errors.ts";
import { decodeJson } from "../base/json.ts";
import { printable, readable } from "../base/untrusted.ts";

const MAX_CODE = 100;
const MAX_MESSAGE = 2_000;
/** The most bytes of an ERROR reply's JSON; code and message alone take less than 13,000. */
const MAX_BYTES = 65_536;

/** The content of the ERROR reply for a failure that can't be described. */
export const NO_DETAILS = '{"code":"handler-failed","message":"The handler failed"}';

/** What a peer is told that gets no other answer. */
export function answerError(code: string, message: string): Error & { readonly code: string } {
  return Object.assign(new Error(message), { code });
}

/** The content of the ERROR reply for a failure. */
export function errorContent(error: unknown): string {
  try {
    const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
    return JSON.stringify({
      code: typeof code === "string" ? code.slice(0, MAX_CODE) : "handler-failed",
      message: typeof message === "string" ? message.slice(0, MAX_MESSAGE) : "The handler failed",
    });
  } catch {
    // Anything can be thrown, also what can't be looked at.
    return NO_DETAILS;
  }
}

/**
 * The error of an ERROR reply. Programs print its text: nothing in it commands a terminal. Its message keeps line breaks, as
 * many errors take several lines.
 */
export function errorOf(content: Uint8Array): RemoteError | ProtocolError {
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
  );
}
