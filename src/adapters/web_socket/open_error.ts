/**
 * The errors of WebSockets that could not be opened.
 *
 * @module
 */

import { HandshakeError, type VeltixError } from "../../errors.ts";
import type { TcpEndpoint } from "../../base/address.ts";
import { printable } from "../../base/untrusted.ts";
import { connectError } from "../system_errors.ts";
import { certificateError, tlsError } from "../tls_errors.ts";
import { unexplained, unlike } from "./unlike.ts";

/** The first byte of a server that speaks TLS, and hears something else. */
const ALERT = 0x15;

/** An error of a runtime. */
type OpenError = Error & {
  readonly code?: unknown;
  /** What the parser of HTTP could not read, where the runtime says so. */
  readonly rawPacket?: Uint8Array;
};

/**
 * Returns the error for a WebSocket that could not be opened.
 *
 * @param url The URL.
 * @param to Its host and port.
 * @param error The error of the system, of TLS, of the parser of HTTP or of the library of WebSockets.
 */
export function openError(url: string, to: TcpEndpoint, error: OpenError): VeltixError {
  const failure = `Cannot connect to "${url}"`;
  const { code, message, rawPacket } = error;
  if (String(code).startsWith("HPE_")) {
    if (rawPacket?.[0] === ALERT) {
      return new HandshakeError("tls-required", `${failure}: the server speaks TLS there, use wss:`, { cause: error });
    }
    return unlike(url, `the server does not answer as one of HTTP (${printable(message)})`, error);
  }
  if (code === undefined) return unlike(url, `the server opens no WebSocket (${printable(message)})`, error);
  return certificateError(failure, error, "server") ?? tlsError(failure, error, "server") ?? connectError(to, error);
}

/**
 * Returns the error for a WebSocket of Bun that was closed before it was open.
 *
 * @param url The URL.
 * @param to Its host and port.
 * @param event The event `error`, if there was one.
 * @param code The close code.
 */
export function bunOpenError(url: string, to: TcpEndpoint, event: unknown, code: number): VeltixError {
  const { error, message = "" } = (event ?? {}) as { readonly error?: unknown; readonly message?: string };
  const status = /\bExpected 101 status code: (\d{3})/.exec(message)?.[1];
  if (status !== undefined) return statusError(url, Number(status));
  // What went wrong in TLS is in the message.
  const reason = /\bOPENSSL_internal:(\w+)/.exec(message)?.[1];
  if (reason !== undefined) return openError(url, to, Object.assign(new Error(message), { code: `ERR_SSL_${reason}` }));
  if (!(error instanceof Error)) return unexplained(url, code);
  const { code: system } = error as { readonly code?: string };
  const text = message.replace(/^WebSocket connection to '.*' failed: /, "");
  return openError(
    url,
    to,
    Object.assign(new Error(text, { cause: error }), system === undefined ? {} : { code: system }),
  );
}

/** Returns the error for a server that has answered with a status in place of a WebSocket. */
export function statusError(url: string, status: number): HandshakeError {
  return unlike(url, `the server answered with the status ${status} and not with a WebSocket`);
}
