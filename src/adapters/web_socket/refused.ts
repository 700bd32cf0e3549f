/**
 * Tells a server of the requests for WebSockets that are not accepted. The peer has its answer already.
 *
 * @module
 */

import { type Address, addressText } from "../../base/address.ts";
import { excerpt } from "../../base/untrusted.ts";
import { ConnectionError, HandshakeError, type VeltixError } from "../../errors.ts";
import type { Connection } from "../../transport.ts";
import type { ReceivedRequest, Rejection } from "./request.ts";

/**
 * Returns the error for a request that is not accepted.
 *
 * @param from The address that it came from.
 * @param request The request.
 * @param rejection The answer to it.
 */
export function refusedError(
  from: Address,
  { headers, method, target }: ReceivedRequest,
  { cause, status, text }: Rejection,
): VeltixError {
  const failure = `Cannot agree with "${addressText(from)}"`;
  if (!headers.has("upgrade")) {
    // A browser, a port scan, or something that looks whether the server is there.
    return new ConnectionError(
      "closed",
      `${failure}: it sent ${excerpt(method)} ${excerpt(target)}, and asked for no WebSocket`,
    );
  }
  const origin = headers.get("origin");
  const page = origin === null ? "" : ` from a page of "${excerpt(origin)}"`;
  const why = cause === undefined ? text : `${text} (${excerpt(String(cause))})`;
  return new HandshakeError(
    "handshake-failed",
    `${failure}: its request for ${excerpt(target)}${page} was answered with the status ${status}: ${why}`,
    cause === undefined ? undefined : { cause },
  );
}

/** A connection that is over, because its request was not accepted. */
export class RefusedConnection implements Connection {
  readonly local: Address;
  readonly remote: Address;
  readonly closed: Promise<Error>;
  readonly #error: Error;

  /**
   * @param local The address of this end.
   * @param remote The address of the peer's end.
   * @param error Why it is not accepted.
   */
  constructor(local: Address, remote: Address, error: Error) {
    this.local = local;
    this.remote = remote;
    this.closed = Promise.resolve(error);
    this.#error = error;
  }

  secure(): Promise<Connection> {
    return Promise.reject(this.#error);
  }

  read(): Promise<null> {
    return Promise.reject(this.#error);
  }

  write(): Promise<void> {
    return Promise.reject(this.#error);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  abort(): void {}

  unref(): void {}
}
