/**
 * Connections that are not clients: in the middle of their handshake, or being told that there is no agreement. Their number
 * is bounded. When there are too many, one that is only being left goes first, then the oldest that has sent nothing.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import { farewell } from "../session/farewell.ts";
import { negotiate, type NegotiateOptions } from "../session/negotiate.ts";
import type { TimerWheel } from "../tools/timer_wheel.ts";
import type { Connection } from "../transport.ts";
import type { HandshakeOutcome } from "../wire/handshake.ts";
import type { ServerHandshake } from "../wire/server_handshake.ts";

/** The set of them. */
export class PendingHandshakes {
  readonly #most: number;
  readonly #wheel: TimerWheel;
  readonly #silent = new Set<Connection>();
  readonly #speaking = new Set<Connection>();
  readonly #leaving = new Set<Connection>();

  /**
   * @param most How many there may be.
   * @param wheel For time limits.
   */
  constructor(most: number, wheel: TimerWheel) {
    this.#most = most;
    this.#wheel = wheel;
  }

  /** How many are in their handshake. */
  get size(): number {
    return this.#silent.size + this.#speaking.size;
  }

  /**
   * Agrees with a peer.
   *
   * @throws {HandshakeError | ProtocolError | ConnectionError} There is no agreement; {@linkcode leave} it.
   */
  async agree(
    connection: Connection,
    machine: ServerHandshake,
    options: Pick<NegotiateOptions, "timeout" | "decide">,
  ): Promise<HandshakeOutcome> {
    this.#makeRoom();
    this.#silent.add(connection);
    const outcome = await negotiate(connection, machine, {
      ...options,
      wheel: this.#wheel,
      onBytes: () => {
        if (this.#silent.delete(connection)) this.#speaking.add(connection);
      },
    });
    this.#delete(connection);
    return outcome;
  }

  /** Leaves a peer that there is no agreement with, after a last word if there is one. Never rejects. */
  async leave(connection: Connection, lastWord?: Uint8Array): Promise<void> {
    this.#delete(connection);
    // A stranger in its handshake does not have to go for the sake of one that is going anyway.
    if (this.#full && !this.#dropLeaving()) return connection.abort();
    this.#leaving.add(connection);
    // What was written goes out before FIN; that it cannot be written shows there, too.
    if (lastWord !== undefined) connection.write(lastWord).catch(() => {});
    await farewell(connection, this.#wheel);
    this.#leaving.delete(connection);
  }

  /** Closes all: the server stops. */
  closeAll(): void {
    for (const connection of [...this.#silent, ...this.#speaking, ...this.#leaving]) connection.abort();
  }

  get #full(): boolean {
    return this.size + this.#leaving.size >= this.#most;
  }

  #makeRoom(): void {
    if (!this.#full || this.#dropLeaving()) return;
    const oldest = (this.#silent.size > 0 ? this.#silent : this.#speaking).values().next().value!;
    this.#delete(oldest);
    oldest.abort(
      new HandshakeError(
        "handshake-timeout",
        `Cannot agree with the peer: it was the oldest of ${this.#most} connections in their handshake`,
      ),
    );
  }

  /** Cuts the connection that has been left for the longest; false if there is none. */
  #dropLeaving(): boolean {
    for (const connection of this.#leaving) {
      this.#leaving.delete(connection);
      connection.abort();
      return true;
    }
    return false;
  }

  #delete(connection: Connection): void {
    this.#silent.delete(connection);
    this.#speaking.delete(connection);
  }
}
