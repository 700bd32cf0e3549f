/**
 * The message in which a client sends its credentials, and the checks of credentials before there is a connection.
 *
 * @module
 */

import type { PeerObject } from "../../base/untrusted.ts";
import { ConfigError } from "../../errors.ts";
import { WIRE_LIMITS } from "../frame.ts";
import { checkFits, jsonMessage } from "./messages.ts";
import { NATIVE_VERSIONS } from "./terms.ts";

/**
 * Checks a client's credentials together with its `protocol` option. Only the native protocol carries credentials.
 *
 * @throws {ConfigError} `invalid-config`: `protocol` is a Python release.
 * @throws {TypeError} The credentials cannot be represented as JSON.
 * @throws {RangeError} The credentials do not fit into one handshake message: too large, too deep, or too many values.
 */
export function checkCredentials(spoken: string, credentials: unknown): void {
  if (credentials === undefined) return;
  if (spoken !== "auto" && spoken !== "native") {
    throw new ConfigError(
      "invalid-config",
      `credentials need the native protocol: leave protocol out or set it to "native", not "${spoken}"`,
    );
  }
  checkNative({ versions: NATIVE_VERSIONS, features: {}, maxMessageSize: 0xffffffff, credentials });
}

/**
 * Checks the `native` member of message 2, which has the credentials.
 *
 * @throws {TypeError} The credentials cannot be represented as JSON.
 * @throws {RangeError} The message is too large, too deep, or has too many values.
 */
export function checkNative(native: PeerObject & { readonly credentials?: unknown }): void {
  const { credentials } = native;
  if (JSON.stringify(credentials) === undefined) {
    throw new TypeError(`Cannot send the credentials: a ${typeof credentials} is no JSON`);
  }
  checkFits(nativeAnswer("9".repeat(32), native));
}

/** Returns message 2 of a native client. */
export function nativeAnswer(release: string, native: PeerObject): Uint8Array {
  return jsonMessage({ v: release, meta: { native } }, WIRE_LIMITS.maxHandshakeRequest);
}
