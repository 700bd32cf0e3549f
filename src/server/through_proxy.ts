/**
 * Reads the header of the PROXY protocol from a connection that comes from a proxy.
 *
 * @module
 */

import { ConnectionError, HandshakeError } from "../errors.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import type { Channel } from "../link/channel.ts";
import type { Address } from "../base/address.ts";
import { ProxyHeaderReader } from "../wire/proxy_header.ts";
import type { PendingHandshakes } from "./pending_handshakes.ts";

/** What waiting for a header needs. */
export interface ThroughProxyOptions {
  readonly wheel: TimerWheel;
  /** The connections that have not been let in. The connection is one of them while it is waited for. */
  readonly handshakes: PendingHandshakes;
  /** The most time, in milliseconds. */
  readonly timeout: number;
}

/** The peer behind a proxy. */
export interface ProxiedPeer {
  /** Its address; that of the proxy if the proxy speaks for itself, or does not know the peer. */
  readonly remote: Address;
  /** The bytes that were read after the header. */
  readonly rest: Uint8Array;
}

/**
 * Waits for the header. The connection stays open if there is none.
 *
 * @throws {HandshakeError} `proxy-header-required`: the connection does not begin with a header. `handshake-timeout`: no
 * header came in time.
 * @throws {ConnectionError} The connection was lost.
 */
export async function throughProxy(
  channel: Channel,
  { wheel, handshakes, timeout }: ThroughProxyOptions,
): Promise<ProxiedPeer> {
  const reader = new ProxyHeaderReader();
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  const deadline = new Timeout(() => late.reject(tooLate(timeout, reader.size)));
  wheel.add(deadline, timeout);
  // Nobody knows yet whose connection it is, so it counts for no network.
  const pending = handshakes.begin(channel, "");
  try {
    for (;;) {
      const chunk = await Promise.race([channel.peek(), late.promise]);
      handshakes.check(pending);
      if (chunk === null) throw ended(reader.size);
      void channel.read(); // Takes the chunk that `peek` returned.
      const step = reader.push(chunk);
      channel.recycle(chunk);
      if (step.state === "done") return { remote: step.source ?? channel.remote, rest: step.rest };
      if (step.state === "failed") throw required(step.why);
    }
  } finally {
    wheel.remove(deadline);
    handshakes.end(pending);
  }
}

function required(why: string): HandshakeError {
  return new HandshakeError(
    "proxy-header-required",
    `Cannot agree with the peer: its PROXY header ${why}. One must come first from an address in proxyProtocol.from`,
    { refusal: REFUSAL },
  );
}

/** All that such a peer learns. */
const REFUSAL = {
  code: "proxy-header-required",
  message: "The server takes connections from this address only with a PROXY header",
  retryAfter: undefined,
};

function tooLate(timeout: number, size: number): HandshakeError {
  const text = `Cannot agree with the peer: its PROXY header did not come within ${timeout} ms, only ${size} bytes did`;
  return new HandshakeError("handshake-timeout", text, { refusal: REFUSAL });
}

function ended(size: number): Error {
  if (size > 0) return required(`is cut off after ${size} bytes`);
  return new ConnectionError("closed", "Cannot agree with the peer: it closed the connection before any byte");
}
