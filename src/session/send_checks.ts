/**
 * Checks of what is sent. A client makes them also while it is not connected.
 *
 * @module
 */

import { MessageTypeError, PayloadError } from "../errors.ts";

/** The default time to wait for an answer, in milliseconds. */
export const REQUEST_TIMEOUT = 5_000;

/**
 * Checks the timeout of a request.
 *
 * @throws {RangeError} It is not a number above 0 and at most 2147483647.
 */
export function checkTimeout(what: string, timeout: number): void {
  if (typeof timeout === "number" && timeout > 0 && timeout <= 0x7fffffff) return;
  throw new RangeError(`Cannot request "${what}": timeout must be above 0 and at most 2147483647 ms, not ${timeout}`);
}

/** Returns the error for a payload that is too large. The peer takes frames of at most `most` bytes. */
export function payloadTooLarge(name: string, content: Uint8Array | string, most: number): PayloadError {
  const unit = typeof content === "string" ? "characters" : "bytes";
  return new PayloadError(
    "payload-too-large",
    `Cannot send "${name}": its ${content.length} ${unit} and the header are above the ${most} bytes that the peer takes`,
  );
}

/** Returns the error for a request whose type has no reply. */
export function noReplyCodec(name: string): MessageTypeError {
  return new MessageTypeError("no-reply-codec", `Cannot request "${name}": its type has no reply, use send`);
}
