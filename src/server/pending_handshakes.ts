/**
 * Connections in the middle of their handshake, bounded: when there are too many, the oldest that has sent nothing goes.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import type { Limits } from "../options.ts";
import { farewell } from "../session/farewell.ts";
import { negotiate } from "../session/negotiate.ts";
import { randomId } from "../session/request_ids.ts";
import type { TimerWheel } from "../session/timer_wheel.ts";
import type { Connection } from "../transport.ts";
import type { HandshakeOutcome } from "../wire/handshake.ts";
import type { Protocol } from "../wire/protocols.ts";
import { ServerHandshake } from "../wire/server_handshake.ts";

/** The set of them. */
export class PendingHandshakes {
  readonly #most: number;
  readonly #silent = new Set<Connection>();
  readonly #speaking = new Set<Connection>();
  readonly #leaving = new Set<Connection>();

  /** @param most How many there may be. */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many there are. */
  get size(): number {
    return this.#silent.size + this.#speaking.size;
  }

  /**
   * Agrees with a peer.
   *
   * @throws {HandshakeError | ProtocolError | ConnectionError} There is no agreement; {@linkcode leave} it.
   */
  async agree(connection: Connection, wire: Protocol, wheel: TimerWheel, limits: Limits): Promise<HandshakeOutcome> {
    const machine = new ServerHandshake({
      protocol: wire,
      offer: { maxMessageSize: limits.maxMessageSize },
      helloId: randomId(wire.ids),
      nonce: crypto.randomUUID(),
      now: Date.now(),
    });
    this.#add(connection);
    const outcome = await negotiate(connection, machine, {
      wheel,
      timeout: limits.handshakeTimeout,
      onBytes: () => {
        if (this.#silent.delete(connection)) this.#speaking.add(connection);
      },
    });
    this.#delete(connection);
    return outcome;
  }

  /** Leaves a peer that there is no agreement with. Never rejects. */
  async leave(connection: Connection, wheel: TimerWheel): Promise<void> {
    this.#delete(connection);
    this.#leaving.add(connection);
    await farewell(connection, wheel);
    this.#leaving.delete(connection);
  }

  /** Closes all: the server stops. */
  closeAll(): void {
    for (const connection of [...this.#silent, ...this.#speaking, ...this.#leaving]) connection.abort();
  }

  #add(connection: Connection): void {
    if (this.size >= this.#most) {
      const oldest = (this.#silent.size > 0 ? this.#silent : this.#speaking).values().next().value!;
      this.#delete(oldest);
      oldest.abort(
        new HandshakeError(
          "handshake-timeout",
          `Cannot agree with the peer: it was the oldest of ${this.#most} connections in their handshake`,
        ),
      );
    }
    this.#silent.add(connection);
  }

  #delete(connection: Connection): void {
    this.#silent.delete(connection);
    this.#speaking.delete(connection);
  }
}
