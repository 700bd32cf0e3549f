/**
 * The acceptor of a server, from listening to the end of closing. It takes connections from listeners and from the
 * program, does the handshake with each of them in parallel, and runs the sessions of those that were let in. A server
 * that starts again gets a new acceptor.
 *
 * @module
 */

import { ConnectionError, HandshakeError, ProtocolError } from "../errors.ts";
import { writeNote } from "../app/log.ts";
import type { Closing } from "../app/closing.ts";
import { type CloseReason, handshakeReason } from "../link/close_reason.ts";
import { contractNote, featureSetOf } from "../session/features/list.ts";
import type { FeatureSet } from "../session/feature.ts";
import type { EndpointCore } from "../app/endpoint_core.ts";
import type { Peer } from "../app/peer.ts";
import { makeShared, type PeerShared } from "../app/shared.ts";
import { Channel } from "../link/channel.ts";
import { StrangerTurns } from "../link/stranger_turns.ts";
import { type Address, addressText, networkOf, networkText } from "../base/address.ts";
import type { Connection, EventLoop, Listener } from "../transport.ts";
import { refusalMessage } from "../wire/handshake/refusal.ts";
import { ConnectionLimits, type ConnectionSlot } from "./connection_limits.ts";
import { upgrades } from "../wire/handshake/greeting.ts";
import type { ServerResumeTerms } from "../app/resume_config.ts";
import type { Comeback } from "./comeback.ts";
import type { HandedOverPlaces } from "./accept_options.ts";
import { greet, type GreetContext, type Greeted } from "./greet.ts";
import { Groups } from "./groups.ts";
import { type AcceptedClient, ClientSession, type ClientSessionHost } from "./client_session.ts";
import { Offenders } from "./offenders.ts";
import { PendingHandshakes } from "./pending_handshakes.ts";
import { ProxiedConnection } from "./proxied_connection.ts";
import { ResumableSessions } from "./resumable_sessions.ts";
import type { ListenerPlace, Place, ServerLimits } from "./server_config.ts";
import type { ServerEvents } from "./server_events.ts";
import { checkDescriptors, type Spot } from "./spots.ts";
import { throughProxy } from "./through_proxy.ts";

/** The state that all acceptors of one server share. */
export interface ServerState<P> {
  /** The routes, events, limits and the log. */
  readonly core: EndpointCore<ServerEvents<P>>;
  /** The addresses to listen at, with the protocol and the checks of each. */
  readonly places: readonly ListenerPlace<P>[];
  /** The terms of connections that the program hands over. */
  readonly handedOver: HandedOverPlaces<P>;
  /** The limits of the numbers of connections. */
  readonly limits: ServerLimits;
  /** The number of the last client, which is also the number of all clients that were let in. */
  lastId: number;
  /** The number of connections that were not let in. */
  rejected: number;
  /** The number of clients that were closed as `slow-consumer`. */
  slowConsumers: number;
  /** The number of copies of broadcasts that were skipped. */
  broadcastsDropped: number;
  /** The terms of resumption; `undefined` without the option `resume`. */
  readonly resume: ServerResumeTerms | undefined;
  /** True if the process may end while the server listens. */
  unref: boolean;
  /** True if nothing is logged for an address that is open to other machines. */
  readonly quiet: boolean;
}

/** A client that was let in, and what it got to come back with. */
type LetIn<P> = Omit<AcceptedClient<P>, "id"> & Pick<Greeted<P>, "ticket">;

/** The acceptor. {@linkcode Acceptor.start} makes one that listens. */
export class Acceptor<P> implements ClientSessionHost<P> {
  /** The connected clients and their tags. */
  readonly groups: Groups<P>;
  /** The sessions that clients may come back to; `undefined` without the option `resume`. */
  readonly sessions: ResumableSessions | undefined;
  readonly #owner: ServerState<P>;
  readonly #shared: PeerShared;
  readonly #handshakes: PendingHandshakes;
  readonly #limits: ConnectionLimits;
  readonly #offenders: Offenders;
  readonly #strangers: StrangerTurns;
  readonly #greeting: GreetContext<P>;
  readonly #listeners: Listener[] = [];
  /** The loops of the listeners, and the connections that wait for their turn. */
  readonly #accepting = new Set<Promise<void>>();
  readonly #welcoming = new Set<Promise<void>>();
  readonly #peers = new Set<Peer>();
  #closing = false;
  /** The kinds of refusals that were logged since the last client was let in. */
  readonly #said = new Set<unknown>();

  private constructor(owner: ServerState<P>, loop: EventLoop, features: FeatureSet) {
    const { core, limits, resume } = owner;
    this.#owner = owner;
    this.#shared = makeShared(loop, core, features);
    this.#handshakes = new PendingHandshakes(limits, this.#shared.wheel, this.#shared.clock);
    this.#strangers = new StrangerTurns(this.#shared.budget, loop);
    const { clock, wheel } = this.#shared;
    if (resume !== undefined) {
      const { maxPendingHandshakes } = limits;
      const { handshakeTimeout } = core.limits;
      this.sessions = new ResumableSessions({ ...resume, handshakeTimeout, maxPendingHandshakes }, wheel, clock);
    }
    this.#offenders = new Offenders(this.#shared.clock, wheel);
    this.#greeting = {
      core,
      features,
      wheel,
      handshakes: this.#handshakes,
      offenders: this.#offenders,
      strangers: this.#strangers,
      greetings: new Map(),
      sessions: this.sessions,
      authenticateAgain: resume?.authenticateAgain ?? false,
      stranger: (address, error) => this.#reject(address, error),
    };
    this.#limits = new ConnectionLimits(limits.maxConnections, limits.maxConnectionsPerAddress);
    this.groups = new Groups<P>(core.events);
  }

  /**
   * Listens and begins to accept connections.
   *
   * @param owner The state that all acceptors of the server share.
   * @param loop The event loop of all connections.
   * @param spots The addresses with their sockets, one for each place.
   * @throws {ConnectionError} One of the addresses cannot be listened at. Then nothing listens.
   */
  static async start<P>(owner: ServerState<P>, loop: EventLoop, spots: readonly Spot[]): Promise<Acceptor<P>> {
    const { core } = owner;
    const run = new Acceptor(owner, loop, await featureSetOf(core, core.extraFeatures));
    const { bufferSize } = core;
    try {
      await checkDescriptors(core.log, owner.limits, spots);
      for (const { at, transport } of spots) run.#listeners.push(await transport.listen(at, { bufferSize }));
    } catch (error) {
      await Promise.all(run.#listeners.map((listener) => listener.close()));
      run.#shared.close();
      throw error;
    }
    run.#listeners.forEach((listener, i) => {
      if (owner.unref) listener.unref();
      run.#accepting.add(run.#accept(listener, owner.places[i]));
    });
    return run;
  }

  /** The routes and events. */
  get core(): EndpointCore<ServerEvents<P>> {
    return this.#owner.core;
  }

  /** The addresses it listens at, with the actual ports. */
  get addresses(): readonly Address[] {
    return this.#listeners.map((listener) => listener.address);
  }

  /** The number of connections in their handshake. */
  get pendingHandshakes(): number {
    return this.#handshakes.size;
  }

  /** The number of connections that are being closed, or whose peer has finished sending. */
  get closing(): number {
    return this.#peers.size - this.groups.clients.size;
  }

  /** The number of clients whose sessions wait for another connection. */
  get suspended(): number {
    return this.sessions?.suspended.size ?? 0;
  }

  /** True while as many connections are open as `maxConnections` allows. */
  get full(): boolean {
    return this.#limits.full;
  }

  /** The number of bytes that wait to be sent or are held back, over all clients. */
  get buffered(): number {
    const { buffered, held } = this.#shared.total;
    return buffered + held;
  }

  /** Lets the process end while the server listens or clients are connected. */
  unref(): void {
    for (const listener of this.#listeners) listener.unref();
    for (const { session } of this.#peers) session.unref();
  }

  /** Closes at once every connection that closing still waits for. */
  cut(): void {
    for (const peer of this.#peers) void peer.close("server-closed", 0);
  }

  /** Stops accepting, gives running work `drain` milliseconds, and closes what is left. Never rejects. */
  async close({ drain, retryAfter }: Closing): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await Promise.all(this.#accepting);
    this.#handshakes.closeAll();
    const steps = this.#strangers.close(new ConnectionError("closed", "The server was closed during the handshake"));
    this.#offenders.close();
    // Close the timers last: a refused connection that is being closed still needs its deadline.
    await Promise.all([
      ...this.#welcoming,
      ...[...this.#peers].map((peer) => peer.close("server-closed", drain, { retryAfter })),
    ]);
    await steps;
    await this.#shared.budget.over();
    this.#shared.close();
  }

  /**
   * Returns what the caller of `close` waits for. That is `end`, or, if a handler calls, the end of everything except
   * such handlers.
   */
  awaited(end: Promise<void>): Promise<void> {
    const { inside } = this.#shared;
    if (inside.dispatcher === undefined) return end;
    inside.waits = true;
    const all = Promise.all([...this.#peers].map((peer) => peer.ends()));
    return Promise.race([end, all.then(() => {})]);
  }

  /**
   * Takes a connection. Does the handshake with it, and lets it in or refuses it. When many come at once, it waits for its
   * turn first. Then a promise is returned, and a listener takes no other connection until it resolves.
   */
  take(connection: Connection, place: Place<P>): Promise<void> | undefined {
    if (this.#closing) return this.#turnAway(connection, new ConnectionError("closed", "The server is being closed"));
    // Without an address nobody can say whether it is a proxy, so its bytes must not be taken for anything.
    if (place.proxies !== undefined && hasLeft(connection.remote)) return this.#turnAway(connection, left());
    const proxied = place.proxies?.has(connection.remote) === true;
    // Whose connection the proxy passes on is known later.
    const network = proxied ? "" : networkOf(connection.remote);
    const refusal = this.#handshakes.refusal(network);
    // This may happen thousands of times a second, so create no objects and wait for nothing.
    if (refusal !== undefined) return this.#turnAway(connection, refusal);
    const turn = this.#strangers.next();
    if (turn === undefined) return this.#begin(connection, network, place, proxied);
    const waiting = turn.then(() => {
      this.#accepting.delete(waiting);
      // Others of its network may have begun meanwhile.
      const refusal = this.#handshakes.refusal(network);
      if (refusal !== undefined) this.#turnAway(connection, refusal);
      else this.#begin(connection, network, place, proxied);
    });
    this.#accepting.add(waiting);
    return waiting;
  }

  async #accept(listener: Listener, place: Place<P>): Promise<void> {
    try {
      for await (const connection of listener) {
        const turn = this.take(connection, place);
        if (turn !== undefined) await turn;
      }
    } catch (error) {
      this.#owner.core.error(error);
    }
  }

  #turnAway(connection: Connection, refusal: Error): undefined {
    this.#reject(connection.remote, refusal);
    connection.abort(refusal);
  }

  #begin(connection: Connection, network: string, place: Place<P>, proxied: boolean): undefined {
    const from = this.#strangers.begin();
    if (this.#owner.unref) connection.unref();
    const { handshakeTimeout } = this.core.limits;
    const welcomed = proxied
      ? this.#welcomeProxied(connection, place)
      : this.#welcome(connection, network, place, handshakeTimeout);
    const welcome = welcomed.finally(() => this.#welcoming.delete(welcome));
    this.#welcoming.add(welcome);
    this.#strangers.end(from);
  }

  /** Learns from a proxy whose connection it passes on, and then does the handshake with it. */
  async #welcomeProxied(accepted: Connection, place: Place<P>): Promise<void> {
    const { wheel, clock } = this.#shared;
    const timeout = this.core.limits.handshakeTimeout;
    const channel = new Channel(accepted);
    const from = clock.now();
    try {
      const { remote, rest } = await throughProxy(channel, { wheel, handshakes: this.#handshakes, timeout });
      const connection = new ProxiedConnection(accepted, remote, rest);
      const network = networkOf(remote);
      const refusal = this.#handshakes.refusal(network);
      if (refusal !== undefined) return this.#turnAway(connection, refusal);
      const begun = this.#strangers.begin();
      const welcome = this.#welcome(connection, network, place, Math.max(1, timeout - (clock.now() - from)));
      this.#strangers.end(begun);
      await welcome;
    } catch (error) {
      await this.#refuse(channel, place, error, place.tls === undefined && place.encryption === undefined);
    }
  }

  /** Does the handshake with one connection, and lets it in or refuses it. Other handshakes run at the same time. */
  async #welcome(accepted: Connection, network: string, place: Place<P>, timeout: number): Promise<void> {
    this.core.events.emit("handshake", accepted.remote);
    const channel = new Channel(accepted);
    const slot = this.#limits.slot(accepted.remote);
    /** True if the peer is refused before anything was said. */
    let early = false;
    try {
      const refused = this.#enter(slot, place);
      // A listener with encryption says nothing in plain, so the refusal takes the place of the greeting. So it does within
      // a WebSocket, as a page is not told why there is none.
      early = refused !== undefined && place.encryption === undefined && place.webSocket === undefined;
      if (early) throw refused;
      const arrival = { channel, network, place, slot, timeout, refused };
      const { comeback, ...greeted } = await greet(this.#greeting, arrival);
      if (comeback !== undefined) return this.#goOn(comeback, channel, slot);
      // A protocol without a handshake has not counted the connection yet.
      slot.open();
      if (!this.#closing) return this.#admit({ channel, slot, recovery: place.recovery, ...greeted }, place);
      channel.abort();
      slot.leave();
    } catch (error) {
      slot.leave();
      await this.#refuse(channel, place, error, early || error === channel.security?.fault);
    }
  }

  /** Closes a connection that is not let in. `told` is true if the peer can still hear why. */
  async #refuse(channel: Channel, { protocol }: Place<P>, error: unknown, told: boolean): Promise<void> {
    this.#reject(channel.remote, error);
    // `#handshakes` has already closed a connection that made room for others.
    if (this.#handshakes.isCrowd(error)) return;
    const lastWord = told && error instanceof HandshakeError ? refusalMessage(protocol, error) : undefined;
    await this.#handshakes.leave(channel, lastWord);
  }

  /**
   * Counts a connection for its address. Returns the error if there is no place for it. Where clients may come back, it may
   * be one that has a place already, so it is refused at the end of its handshake.
   */
  #enter(slot: ConnectionSlot, { protocol }: Place<P>): HandshakeError | undefined {
    try {
      slot.enter();
      return undefined;
    } catch (error) {
      return this.sessions !== undefined && upgrades(protocol) ? undefined : error as HandshakeError;
    }
  }

  /** Lets a client go on with its session over another connection. */
  #goOn(comeback: Comeback, channel: Channel, slot: ConnectionSlot): void {
    slot.leave();
    const from = this.#strangers.begin();
    if (this.#closing || !comeback.resume()) channel.abort();
    this.#strangers.end(from);
  }

  /** Lets a client in. */
  #admit({ ticket, ...arrival }: LetIn<P>, place: Place<P>): void {
    const { groups, core, sessions } = this;
    const from = this.#strangers.begin();
    const id = ++this.#owner.lastId;
    const session = new ClientSession<P>(this, this.#shared, { id, ...arrival });
    const { info, peer } = session;
    if (ticket !== undefined) {
      session.resumable = sessions!.add(ticket, session, { place, security: arrival.channel.security });
    }
    this.#said.clear();
    this.#peers.add(peer);
    groups.join(info, peer);
    writeNote(core.log, "debug", () => {
      const contract = contractNote(core.contract, arrival.outcome.features, "client");
      return `Client ${id} connected from ${addressText(info.address)}: ${peer.session.protocolName}${contract}`;
    });
    core.events.emit("connect", info);
    this.#strangers.end(from);
    peer.session.run();
  }

  /** Called when a client's connection is over. */
  gone(peer: Peer, address: Address, reason: CloseReason): void {
    this.#peers.delete(peer);
    if (reason === "slow-consumer") this.#owner.slowConsumers++;
    if (!this.#offenders.ended(address, reason)) return;
    const text = (): string =>
      `Connections from ${networkText(address)} are greeted at a limited pace: its clients were closed for faults of ` +
      `their own again and again, the last one as ${reason}`;
    this.core.faults.note("warn", "offending networks", text);
  }

  /** Counts a connection that was not let in, emits `rejected` for it and logs it. */
  #reject(address: Address, error: unknown): void {
    const { core } = this.#owner;
    this.#owner.rejected++;
    const reason = this.#closing ? "server-closed" : handshakeReason(error);
    const told = core.events.emit("rejected", { address, reason, error });
    // A kind of refusal that may come thousands of times a second is logged once. A port scan gives no warning.
    const crowd = this.#handshakes.isCrowd(error);
    const kind = crowd ? error : reason;
    const known = this.#said.has(kind);
    if (crowd || reason === "too-many-connections") this.#said.add(kind);
    if (!told && !known && (error instanceof HandshakeError || error instanceof ProtocolError)) {
      core.faults.error("warn", error);
    } else if (!crowd) {
      const why = error instanceof ConnectionError && error.code === "closed" ? `. ${error.message}` : "";
      const text = (): string => `Connection from ${addressText(address)} rejected: ${reason}${why}`;
      core.faults.note("debug", `connections rejected: ${reason}`, text);
    }
  }
}

/** Returns whether a socket has lost its address, because its peer was gone before it was looked at. */
function hasLeft(remote: Address): boolean {
  return "hostname" in remote && remote.hostname === "";
}

/** Proxies that only look whether the server is there leave like this. */
function left(): ConnectionError {
  return new ConnectionError("closed", "Cannot agree with the peer: it had left before its address was known");
}
