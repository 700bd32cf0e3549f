/**
 * One connected client of a server, from admission to its end. It passes the events of its session on. Each client has
 * one object instead of a closure for each event, because there may be many clients, and most of them are usually idle.
 *
 * @module
 */

import { writeNote } from "../app/log.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import type { CloseReason } from "../link/close_reason.ts";
import type { EndpointCore } from "../app/endpoint_core.ts";
import type { IncomingMessage } from "../app/incoming_message.ts";
import { Peer, type PeerOwner } from "../app/peer.ts";
import type { PeerShared } from "../app/shared.ts";
import type { Address } from "../base/address.ts";
import type { Channel } from "../link/channel.ts";
import type { HandshakeOutcome } from "../wire/handshake/terms.ts";
import type { OutgoingMiddlewares } from "../app/outgoing_middleware.ts";
import { type ClientMember, ConnectedClient } from "./connected_client.ts";
import type { ConnectionSlot } from "./connection_limits.ts";
import type { Groups } from "./groups.ts";
import type { ResumableClient, ResumableSession, ResumableSessions } from "./resumable_sessions.ts";
import type { ServerEvents } from "./server_events.ts";

/** The part of a server that its clients share. */
export interface ClientSessionHost<P> {
  /** The routes and events. */
  readonly core: EndpointCore<ServerEvents<P>>;
  /** The connected clients and their tags. */
  readonly groups: Groups<P>;
  /** The sessions that clients may come back to; `undefined` without the option `resume`. */
  readonly sessions: ResumableSessions | undefined;
  /** Called when a client's connection is over. */
  gone(peer: Peer, address: Address, reason: CloseReason): void;
}

/** A client that was let in. */
export interface AcceptedClient<P> {
  /** The client's number. */
  readonly id: number;
  readonly channel: Channel;
  readonly outcome: HandshakeOutcome;
  /** The value that `authenticate` returned. */
  readonly principal: P;
  /** The client's place among the limits. */
  readonly slot: ConnectionSlot;
  /** What happens when the stream of a Python peer is damaged. */
  readonly recovery: Recovery;
}

/** One connected client. */
export class ClientSession<P> implements PeerOwner, ResumableClient, ClientMember {
  /** The client as handlers see it. */
  readonly info: ConnectedClient<P>;
  /** The client's connection and its messages. Nothing is read from it before `session.run`. */
  readonly peer: Peer;
  /** The address of the client's connection, or of the last one. */
  address: Address;
  /** The client's place among the limits. */
  readonly slot: ConnectionSlot;
  /** The session, if the client may come back to it over another connection. */
  resumable: ResumableSession | undefined = undefined;
  readonly #host: ClientSessionHost<P>;

  /**
   * @param host The part of the server that all clients share.
   * @param shared The part that all peers of the server share.
   * @param arrival The client.
   */
  constructor(host: ClientSessionHost<P>, shared: PeerShared, arrival: AcceptedClient<P>) {
    const { id, channel, outcome, principal, slot, recovery } = arrival;
    this.#host = host;
    this.slot = slot;
    this.address = channel.remote;
    this.info = new ConnectedClient(id, principal, this, host.groups);
    this.peer = new Peer(channel, outcome, "server", shared, recovery, this, this.info);
  }

  get outgoing(): OutgoingMiddlewares | undefined {
    return this.#host.core.outgoing;
  }

  unrouted(message: IncomingMessage): Promise<unknown>[] {
    return this.#host.core.unrouted(message, this.info);
  }

  error(error: unknown, message?: IncomingMessage): void {
    this.#host.core.error(error, this.info, message);
  }

  closing(): void {
    const { groups, sessions } = this.#host;
    if (this.resumable !== undefined) sessions!.forget(this.resumable);
    if (this.peer.session.leaving) groups.untag(this.info);
    else groups.leave(this.info);
  }

  suspended(reason: CloseReason, getError: () => unknown): void {
    const { core, sessions } = this.#host;
    sessions!.cut(this.resumable!, reason);
    writeNote(core.log, "debug", () => `Client ${this.info.id} suspended: ${reason}`);
    if (core.events.has("suspended")) core.events.emit("suspended", this.info, { reason, error: getError() });
    // Only now, as it may be this session that has to give way.
    sessions!.trim();
  }

  /** Goes on over another connection. */
  resume(channel: Channel, received: number): void {
    const { core, sessions } = this.#host;
    const { id } = this.info;
    this.address = channel.remote;
    const ms = Math.max(0, Math.round(sessions!.now - this.resumable!.since));
    const replayedBytes = this.peer.session.resume(channel, received);
    writeNote(core.log, "debug", () => `Client ${id} resumed after ${ms} ms: ${replayedBytes} bytes again`);
    core.events.emit("resumed", this.info, { ms, replayedBytes });
    // Only now: what was pushed back may cut the connection again.
    this.peer.session.run();
  }

  suspected(): void {}

  closed(reason: CloseReason, getError: () => unknown): void {
    const { groups, core } = this.#host;
    groups.leave(this.info);
    this.#host.gone(this.peer, this.info.address, reason);
    this.slot.leave();
    writeNote(core.log, "debug", () => `Client ${this.info.id} disconnected: ${reason}`);
    const { unhandled } = this.peer;
    if (unhandled > 0) {
      const text = (): string => `Client ${this.info.id} is gone, and ${unhandled} of its messages were not handled`;
      core.faults.note("warn", "messages not handled", text);
    }
    if (core.events.has("disconnect")) {
      core.events.emit("disconnect", this.info, { reason, error: getError(), unhandled });
    }
  }
}
