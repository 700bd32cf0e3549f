/**
 * One attempt of a client to come back to its session. The old connection works on until the attempt takes the session
 * over. That is one step: the old connection is left, what was received is counted, and the answer to the client is made.
 *
 * @module
 */

import { ConnectionError, HandshakeError, ProtocolError } from "../errors.ts";
import type { Channel } from "../link/channel.ts";
import { type ComebackRequest, RESUME } from "../session/resumption.ts";
import type { PeerObject } from "../base/untrusted.ts";
import type { ConnectionSlot } from "./connection_limits.ts";
import type { ResumableSession, ResumableSessions } from "./resumable_sessions.ts";

/** One attempt, after the key, the identity and the number of the attempt were found right. */
export class Comeback {
  readonly #sessions: ResumableSessions;
  readonly #session: ResumableSession;
  readonly #claimed: ComebackRequest;
  readonly #channel: Channel;

  constructor(sessions: ResumableSessions, session: ResumableSession, claimed: ComebackRequest, channel: Channel) {
    this.#sessions = sessions;
    this.#session = session;
    this.#claimed = claimed;
    this.#channel = channel;
    // An earlier attempt that still waits for the program's decision has been given up by the client.
    session.giveUp?.(superseded());
    session.giveUp = undefined;
  }

  /** What `authenticate` returned for the client at the beginning of the session. */
  get principal(): unknown {
    return this.#session.client.info.principal;
  }

  /** Called while the program decides, with the function that ends the wait. */
  waits(giveUp: (error: Error) => void): void {
    this.#session.giveUp = giveUp;
  }

  /** Called when `authenticate` has thrown. If it has refused the client, the session ends. */
  refused(error: unknown): void {
    if (!(error instanceof HandshakeError) || error.code !== "unauthorized" || !this.#current) return;
    const { code, message, retryAfter } = error.refusal!;
    const final = retryAfter === undefined;
    void this.#session.client.peer.close("unauthorized", 0, { code, message, retryAfter, final });
  }

  /**
   * Takes the session over. Returns this side's parameters for the answer to the client; `undefined` if the session is
   * lost for the client.
   *
   * @param slot The place of the new connection.
   * @throws {ConnectionError} A later attempt was made.
   */
  takeOver(slot: ConnectionSlot): Readonly<Record<string, PeerObject>> | undefined {
    const session = this.#session;
    const { client } = session;
    const { peer } = client;
    if (!this.#sessions.has(session)) return undefined;
    if (!this.#current) throw superseded();
    session.giveUp = undefined;
    const { received } = this.#claimed;
    if (!peer.session.resumable(received)) {
      // The right client has left its old connection, so nobody will resume this session.
      client.error(
        new ProtocolError("protocol-error", `The client cannot have received the ${received} bytes that it names`),
      );
      void peer.close("protocol-error", 0);
      return undefined;
    }
    if (!this.#takesPlace(slot)) return undefined;
    session.returning = this;
    this.#sessions.wake(session);
    peer.session.suspend("replaced");
    // A listener of the event may have closed the client.
    if (!this.#sessions.has(session)) return undefined;
    return { [RESUME]: { received: peer.session.resumption!.received } };
  }

  /**
   * Called when the handshake is over. Goes on with the session over the new connection. Returns false if a later attempt
   * was made meanwhile, or if the session is over.
   */
  resume(): boolean {
    const session = this.#session;
    if (!this.#current || session.returning !== this) {
      this.fail();
      return false;
    }
    session.returning = undefined;
    session.client.slot.move(this.#channel.remote);
    session.client.resume(this.#channel, this.#claimed.received);
    return true;
  }

  /** Called when the handshake has failed. The session goes on waiting. */
  fail(): void {
    const session = this.#session;
    if (session.returning !== this) return;
    session.returning = undefined;
    if (!this.#sessions.has(session)) return;
    this.#sessions.wait(session);
    this.#sessions.trim();
  }

  /** True while the session can be resumed and no later attempt was made. */
  get #current(): boolean {
    return this.#sessions.has(this.#session) && this.#session.attempt === this.#claimed.attempt;
  }

  /** Finds a place for an unproven session, which has none while it waits. Returns false if there is none. */
  #takesPlace(slot: ConnectionSlot): boolean {
    const own = this.#session.client.slot;
    if (own.taken) return true;
    slot.rest();
    own.move(this.#channel.remote);
    try {
      own.open();
      return true;
    } catch {
      return false;
    }
  }
}

function superseded(): ConnectionError {
  return new ConnectionError("closed", "Cannot agree with the peer: it has come back once more meanwhile");
}
