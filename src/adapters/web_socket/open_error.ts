/**
 * The errors of WebSockets that could not be opened.
 *
 * @module
 */

import { ConnectionError, type VeltixError } from "../../errors.ts";
import type { TcpEndpoint } from "../../base/address.ts";
import { connectError, systemError } from "../system_errors.ts";
import { tlsError } from "../tls_errors.ts";

/**
 * Returns the error for a WebSocket that was closed before it was open. What a runtime tells differs: Bun gives codes of
 * the system, Deno only words, and a browser nothing.
 *
 * @param url The URL.
 * @param to Its host and port.
 * @param event The event `error`, if there was one.
 * @param code The close code.
 */
export function openError(url: string, to: TcpEndpoint, event: unknown, code: number): VeltixError {
  const { error, message = "" } = (event ?? {}) as { readonly error?: unknown; readonly message?: string };
  const status = /status code:? (\d{3})/i.exec(message)?.[1];
  if (status !== undefined) return statusError(url, Number(status));
  const failure = `Cannot connect to "${url}"`;
  const known = typeof (error as { readonly code?: unknown } | undefined)?.code === "string";
  if (known) return tlsError(failure, error, "server") ?? connectError(to, error);
  if (/\bdns error\b/.test(message)) return connectError(to, systemError("ENOTFOUND"));
  // Deno says the same if the host cannot be reached.
  if (/\btcp connect error\b/.test(message)) return connectError(to, systemError("ECONNREFUSED"));
  const state = message === "" ? `the runtime does not say why (close code ${code})` : message;
  return new ConnectionError("network-error", `${failure}: ${state}`, { cause: error });
}

/** Returns the error for a server that has answered with a status in place of a WebSocket. */
export function statusError(url: string, status: number): ConnectionError {
  return new ConnectionError(
    "refused",
    `Cannot connect to "${url}": the server answered with the status ${status} and not with a WebSocket`,
  );
}
