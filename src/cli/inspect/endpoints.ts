/**
 * Addresses and protocols as they are typed.
 *
 * @module
 */

import type { Endpoint } from "../../base/address.ts";
import { type Protocol, protocol } from "../../wire/protocols.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import { addressOf } from "../target.ts";

/**
 * Returns the protocol of a release; `undefined` for `auto`.
 *
 * @throws {RangeError} There is none.
 */
export function protocolOf(release: string): Protocol | undefined {
  return release === "auto" ? undefined : protocol(release);
}

/**
 * Returns where an address is at which a socket listens. Port 0 is a free one.
 *
 * @throws {CommandError} It is none, or a URL.
 */
export function endpointOf(text: string): Endpoint {
  const address = addressOf(text, 0);
  if ("url" in address) {
    throw new CommandError(ExitCode.USAGE, `Cannot listen at ${text}: write HOST:PORT or unix:PATH`);
  }
  return address;
}

/** Returns where a server is. That of a WebSocket is reached by TCP: what is passed on is not changed. */
export function serverOf(text: string): Endpoint {
  const address = addressOf(text);
  if (!("url" in address)) return address;
  const { hostname, port, protocol: scheme } = new URL(address.url);
  return {
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? scheme === "wss:" ? 443 : 80 : Number(port),
  };
}
