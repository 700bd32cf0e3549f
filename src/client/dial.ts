/**
 * One attempt to connect: a connection and its handshake, within one time limit.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { Channel } from "../link/channel.ts";
import { negotiate } from "../link/handshake.ts";
import type { PeerShared } from "../app/shared.ts";
import { Timeout } from "../base/timer_wheel.ts";
import type { Endpoint } from "../base/address.ts";
import type { TlsClientOptions } from "../tls_seam.ts";
import type { Transport } from "../transport.ts";
import { ClientHandshake } from "../wire/handshake/client.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import { protocol } from "../wire/protocols.ts";

/** The server to connect to, and how to connect. */
export interface Target {
  readonly transport: Transport;
  readonly endpoint: Endpoint;
  /** The options of TLS; `undefined` for none. */
  readonly tls: TlsClientOptions | undefined;
  /** How much is read at once, in bytes. */
  readonly bufferSize: number;
  /** The protocol that the server must speak, or `"auto"`. */
  readonly protocol: string;
  /** True if only a native connection is accepted. */
  readonly nativeOnly: boolean;
  /** The value that the server's `authenticate` receives. */
  readonly credentials: unknown;
  /** The time limit of the whole attempt, in milliseconds. */
  readonly timeout: number;
  /** True if the process may end meanwhile. */
  readonly unref: boolean;
}

/** An open connection, and the outcome of its handshake. */
export interface Dialed {
  readonly channel: Channel;
  readonly outcome: HandshakeOutcome;
}

/**
 * Connects to a server and does the handshake. An attempt that fails leaves no socket open.
 *
 * @throws {ConnectionError | HandshakeError | ProtocolError} The server could not be reached, or the handshake failed.
 * @throws {unknown} The reason of `signal`, as it is.
 */
export async function dial(target: Target, shared: PeerShared, signal: AbortSignal): Promise<Dialed> {
  const { wheel } = shared;
  const { timeout, transport } = target;
  const began = shared.clock.now();
  const late = new AbortController();
  const deadline = new Timeout(() =>
    late.abort(new ConnectionError("timed-out", `Cannot connect: no connection within ${timeout} ms`))
  );
  signal.throwIfAborted();
  let channel: Channel | undefined;
  const giveUp = (): void => {
    if (channel === undefined) late.abort(signal.reason);
    else cut(channel, signal.reason);
  };
  signal.addEventListener("abort", giveUp, { once: true });
  wheel.add(deadline, timeout);
  try {
    const { bufferSize, endpoint } = target;
    channel = new Channel(await transport.connect(endpoint, { signal: late.signal, bufferSize }));
    wheel.remove(deadline);
    if (target.unref) channel.unref();
    // It may have been aborted at the very moment when the socket connected.
    if (late.signal.aborted) cut(channel, late.signal.reason);
    const machine = new ClientHandshake({
      protocol: target.protocol === "auto" ? "auto" : protocol(target.protocol),
      offer: shared.features.offer,
      credentials: target.credentials,
      nativeOnly: target.nativeOnly,
      now: Date.now(),
    });
    const outcome = await negotiate(channel, machine, {
      wheel,
      timeout: Math.max(1, Math.ceil(timeout - (shared.clock.now() - began))),
    });
    // It may have been aborted at the very moment when the handshake was done.
    signal.throwIfAborted();
    return { channel, outcome };
  } catch (error) {
    await channel?.linger(wheel);
    throw signal.aborted ? signal.reason : error;
  } finally {
    wheel.remove(deadline);
    signal.removeEventListener("abort", giveUp);
  }
}

/** Aborts a channel. The caller of `dial` gets the reason, which may be anything. */
function cut(channel: Channel, reason: unknown): void {
  channel.abort(reason instanceof Error ? reason : undefined);
}
