/**
 * The errors of WebSockets that every runtime has.
 *
 * @module
 */

import { ConnectionError, HandshakeError } from "../../errors.ts";

/**
 * Returns the error for a server that opens no WebSocket, or none with the right protocol in it.
 *
 * @param url The URL.
 * @param state What the server did.
 * @param cause The error of the runtime, if there is one.
 */
export function unlike(url: string, state: string, cause?: unknown): HandshakeError {
  const text = `Cannot connect to "${url}": ${state}, check the URL`;
  return new HandshakeError("handshake-failed", text, cause === undefined ? undefined : { cause });
}

/** Returns the error for a WebSocket that was closed before it was open, where the runtime does not say why. */
export function unexplained(url: string, code: number): ConnectionError {
  const state = `there is no WebSocket, and the runtime does not say why (close code ${code})`;
  const cure = "check host, port and path, and that the server's `origins` name this page; the server's log says more";
  return new ConnectionError("network-error", `Cannot connect to "${url}": ${state}: ${cure}`);
}
