/**
 * One attempt to connect: a connection and its handshake, within one time limit.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { Channel } from "../link/channel.ts";
import { negotiate, type NegotiateOptions } from "../link/handshake.ts";
import type { PeerShared } from "../app/shared.ts";
import { Timeout } from "../base/timer_wheel.ts";
import type { Endpoint } from "../base/address.ts";
import type { ClientEncryption } from "../encryption_seam.ts";
import type { TlsClientOptions } from "../tls_seam.ts";
import type { Transport } from "../transport.ts";
import { ClientHandshake, type ClientHandshakeOptions } from "../wire/handshake/client.ts";
import { EMPTY } from "../wire/handshake/messages.ts";
import type { HandshakeOutcome, HandshakeStep } from "../wire/handshake/terms.ts";
import { protocol } from "../wire/protocols.ts";

/** The server to connect to, and how to connect. */
export interface Target {
  readonly transport: Transport;
  readonly endpoint: Endpoint;
  /** The encryption of the connection; `undefined` for none. */
  readonly encryption: ClientEncryption | undefined;
  /** The options of TLS; `undefined` for no TLS. */
  readonly tls: TlsClientOptions | undefined;
  /** How much is read at once, in bytes. */
  readonly bufferSize: number;
  /** The protocol that the server must speak, or `"auto"`. */
  readonly protocol: string;
  /** True if only a native connection is accepted. */
  readonly nativeOnly: boolean;
  /** The value that the server's `authenticate` receives, or a function that returns it. */
  readonly credentials: unknown;
  /** The number of the attempt, from 0. */
  readonly attempt: number;
  /** The time limit of the whole attempt, in milliseconds. */
  readonly timeout: number;
  /** True if the process may end during the attempt. */
  readonly unref: boolean;
  /** See {@linkcode ClientHandshakeOptions.answered}. If it throws, the attempt fails with that error. */
  readonly answered?: ClientHandshakeOptions["answered"];
  /**
   * Called when the server has sent something, before anything is said to it. The attempt goes on when the promise
   * resolves, and fails when it rejects.
   * @default the attempt goes on at once
   */
  readonly heard?: (() => Promise<void>) | undefined;
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
    const credentials = await credentialsOf(target, late.signal);
    const made = channel = new Channel(await transport.connect(endpoint, { signal: late.signal, bufferSize }));
    wheel.remove(deadline);
    if (target.unref) channel.unref();
    // It may have been aborted at the very moment when the socket connected.
    if (late.signal.aborted) cut(channel, late.signal.reason);
    const machine = new ClientHandshake({
      protocol: target.protocol === "auto" ? "auto" : protocol(target.protocol),
      offer: shared.features.offer,
      answered: target.answered,
      credentials,
      nativeOnly: target.nativeOnly,
      now: Date.now(),
    });
    const { encryption, heard } = target;
    const outcome = await negotiate(channel, machine, {
      wheel,
      secure: encryption !== undefined
        ? encrypted(channel, encryption, endpoint, machine, heard)
        : heard && ((step) => spoken(made, heard, step)),
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

/** Returns the credentials of an attempt. If they are a function, calls it. */
async function credentialsOf({ attempt, credentials }: Target, signal: AbortSignal): Promise<unknown> {
  if (typeof credentials !== "function") return credentials;
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const given: unknown = await Promise.race([credentials(attempt), aborted]);
  signal.throwIfAborted();
  return given;
}

/** Returns a function that encrypts a channel. The client's first bytes travel within the encryption's handshake. */
function encrypted(
  channel: Channel,
  encryption: ClientEncryption,
  to: Endpoint,
  machine: ClientHandshake,
  heard: Target["heard"],
): NegotiateOptions["secure"] {
  return async (step) => {
    const answer = (greeting: Uint8Array): Uint8Array => {
      if (step.state === "waiting") step = machine.push(greeting);
      const { send = EMPTY, ...rest } = step as { readonly send?: Uint8Array } & HandshakeStep;
      step = rest as HandshakeStep;
      return send;
    };
    await channel.wrap(async (connection) => ({ connection: await encryption.connect(connection, to, answer, heard) }));
    return step;
  };
}

/** Goes on with a step when the server has sent something and `heard` is done. */
async function spoken(channel: Channel, heard: () => Promise<void>, step: HandshakeStep): Promise<HandshakeStep> {
  if (await channel.peek() !== null) await heard();
  return step;
}

/** Aborts a channel. The caller of `dial` gets the reason, which may be anything. */
function cut(channel: Channel, reason: unknown): void {
  channel.abort(reason instanceof Error ? reason : undefined);
}
