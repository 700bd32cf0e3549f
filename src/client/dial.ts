/**
 * One attempt to reach a server: a connection, and what is agreed on over it, within one time limit.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { Channel } from "../link/channel.ts";
import { negotiate } from "../link/handshake.ts";
import type { PeerShared } from "../app/shared.ts";
import type { Stop } from "../base/stop.ts";
import { Timeout } from "../base/timer_wheel.ts";
import type { Endpoint } from "../base/address.ts";
import type { Connection } from "../transport.ts";
import { ClientHandshake } from "../wire/handshake/client.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import { protocol } from "../wire/protocols.ts";

/** Whom to reach, and how. */
export interface Target {
  /** Where. */
  readonly endpoint: Endpoint;
  /** How much is read at once, in bytes. */
  readonly bufferSize: number;
  /** What it must speak. */
  readonly protocol: string;
  /** Whether nothing less than native will do. */
  readonly nativeOnly: boolean;
  /** What proves who the client is. */
  readonly credentials: unknown;
  /** For all of it, in milliseconds. */
  readonly timeout: number;
  /** Whether the process may end meanwhile. */
  readonly unref: boolean;
}

/** An open connection, and what was agreed on. */
export interface Dialed {
  readonly channel: Channel;
  /** What was agreed on. */
  readonly outcome: HandshakeOutcome;
}

/**
 * Reaches a server. What fails leaves no socket behind.
 *
 * @throws {ConnectionError | HandshakeError | ProtocolError} It could not be reached, or there is no agreement.
 * @throws {unknown} The reason of `stop`.
 */
export async function reach(target: Target, shared: PeerShared, stop: Stop): Promise<Dialed> {
  const { transport, wheel } = shared;
  const { timeout } = target;
  const began = shared.clock.now();
  const late = new AbortController();
  const deadline = new Timeout(() =>
    late.abort(new ConnectionError("timed-out", `Cannot connect: no connection within ${timeout} ms`))
  );
  if (stop.given) throw stop.reason;
  stop.listen((reason) => late.abort(reason));
  wheel.add(deadline, timeout);
  let channel: Channel | undefined;
  try {
    const { bufferSize, endpoint } = target;
    const connection = await transport.connect(endpoint, { signal: late.signal, bufferSize });
    channel = new Channel(connection);
    wheel.remove(deadline);
    if (target.unref) connection.unref();
    stop.listen((reason) => cut(connection, reason));
    // In the very moment in which it was reached.
    if (late.signal.aborted) cut(connection, late.signal.reason);
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
    // What was given up in the very moment it was reached is given up all the same.
    if (stop.given) throw stop.reason;
    return { channel, outcome };
  } catch (error) {
    await channel?.linger(wheel);
    throw stop.given ? stop.reason : error;
  } finally {
    wheel.remove(deadline);
    stop.listen(undefined);
  }
}

/** Gives a connection up. What for is told to the caller, and may be anything. */
function cut(connection: Connection, reason: unknown): void {
  connection.abort(reason instanceof Error ? reason : undefined);
}
