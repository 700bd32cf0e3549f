/**
 * One life of a server, from listening to the end of closing: accepts connections, agrees with each beside all others, and has
 * the sessions of those that came in.
 *
 * @module
 */

import { ConnectionError, HandshakeError, ProtocolError } from "../errors.ts";
import { writeNote } from "../app/log.ts";
import type { Closing } from "../app/config.ts";
import { type CloseReason, handshakeReason } from "../link/close_reason.ts";
import { contractNote } from "../session/features/list.ts";
import type { EndpointCore } from "../app/endpoint_core.ts";
import { negotiate, type NegotiateOptions } from "../link/handshake.ts";
import { randomId } from "../session/request_ids.ts";
import type { Peer } from "../app/peer.ts";
import { makeShared, type PeerShared } from "../app/shared.ts";
import { Channel } from "../link/channel.ts";
import { StrangerTurns } from "../link/stranger_turns.ts";
import { type Address, addressText, type Endpoint, networkOf } from "../base/address.ts";
import type { Connection, Listener, Transport } from "../transport.ts";
import type { HandshakeOutcome, HandshakeStep } from "../wire/handshake/terms.ts";
import { refusalMessage } from "../wire/handshake/refusal.ts";
import { ServerHandshake } from "../wire/handshake/server.ts";
import { type Answer, ask } from "./authenticate.ts";
import { ConnectionLimits, type ConnectionSlot } from "./connection_limits.ts";
import { Groups } from "./groups.ts";
import { type AcceptedClient, ClientSession, type ClientSessionHost } from "./client_session.ts";
import { PendingHandshakes } from "./pending_handshakes.ts";
import type { Place, ServerLimits } from "./server_config.ts";
import type { ServerEvents } from "./server_events.ts";

/** What all lives of a server have in common. */
export interface ServerState<P> {
  /** Routes, events, limits and the log. */
  readonly core: EndpointCore<ServerEvents<P>>;
  /** Where to listen, and for whom. */
  readonly places: readonly Place<P>[];
  /** How many connections there may be. */
  readonly limits: ServerLimits;
  /** The number of the last client. */
  lastId: number;
  /** How many connections failed the handshake. */
  rejected: number;
  /** How many clients were closed because they did not read. */
  slowConsumers: number;
  /** How many copies of broadcasts full clients did not get. */
  broadcastsDropped: number;
  /** Whether the process may end although it listens. */
  unref: boolean;
}

/** One life of a server. */
export class Acceptor<P> implements ClientSessionHost<P> {
  /** The connected clients and their tags. */
  readonly groups: Groups<P>;
  readonly #owner: ServerState<P>;
  readonly #shared: PeerShared;
  readonly #handshakes: PendingHandshakes;
  readonly #gate: ConnectionLimits;
  readonly #strangers: StrangerTurns;
  readonly #listeners: Listener[] = [];
  readonly #accepting: Promise<void>[] = [];
  readonly #welcoming = new Set<Promise<void>>();
  readonly #peers = new Set<Peer>();
  #closing = false;
  /** What was said about those who are not let in, since the last one was let in. */
  readonly #said = new Set<unknown>();

  private constructor(owner: ServerState<P>, transport: Transport) {
    const { core, limits } = owner;
    this.#owner = owner;
    this.#shared = makeShared(transport, core);
    this.#handshakes = new PendingHandshakes(limits, this.#shared.wheel, this.#shared.clock);
    this.#strangers = new StrangerTurns(this.#shared.budget, this.#shared.clock);
    this.#gate = new ConnectionLimits(limits.maxConnections, limits.maxConnectionsPerAddress);
    this.groups = new Groups<P>(core.events);
  }

  /**
   * Listens, and begins to accept.
   *
   * @param owner What it has in common with other lives.
   * @param transport The sockets.
   * @param at Where to listen, one for each place.
   * @throws {ConnectionError} One of them is not to be had; nothing listens then.
   */
  static async start<P>(owner: ServerState<P>, transport: Transport, at: readonly Endpoint[]): Promise<Acceptor<P>> {
    const run = new Acceptor(owner, transport);
    const { bufferSize } = owner.core;
    try {
      run.#checkDescriptors(await transport.descriptors?.());
      for (const endpoint of at) run.#listeners.push(await transport.listen(endpoint, { bufferSize }));
    } catch (error) {
      await Promise.all(run.#listeners.map((listener) => listener.close()));
      run.#shared.close();
      throw error;
    }
    run.#listeners.forEach((listener, i) => {
      if (owner.unref) listener.unref();
      run.#accepting.push(run.#accept(listener, owner.places[i]));
    });
    return run;
  }

  /** Where events go. */
  get core(): EndpointCore<ServerEvents<P>> {
    return this.#owner.core;
  }

  /** Where it listens, with the actual ports. */
  get addresses(): readonly Address[] {
    return this.#listeners.map((listener) => listener.address);
  }

  /** How many connections are in their handshake. */
  get pendingHandshakes(): number {
    return this.#handshakes.size;
  }

  /** How many connections are no client's any more and not over. */
  get closing(): number {
    return this.#peers.size - this.groups.clients.size;
  }

  /** Whether no more connections may be open. */
  get full(): boolean {
    return this.#gate.full;
  }

  /** Bytes waiting to be sent, over all clients. */
  get buffered(): number {
    const { buffered, held } = this.#shared.total;
    return buffered + held;
  }

  /** Lets the process end although it listens and clients are connected. */
  unref(): void {
    for (const listener of this.#listeners) listener.unref();
    for (const { session } of this.#peers) session.unref();
  }

  /** Lets nothing take any more time that closing still waits for. */
  cut(): void {
    for (const peer of this.#peers) void peer.close("server-closed", 0);
  }

  /** Stops accepting, lets what runs take `drain` milliseconds, and cuts what is left. Never rejects. */
  async close({ drain, retryAfter }: Closing): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await Promise.all(this.#accepting);
    this.#handshakes.closeAll();
    // Close the timers last: lingering connections still need their deadline.
    await Promise.all([
      ...this.#welcoming,
      ...[...this.#peers].map((peer) => peer.close("server-closed", drain, { retryAfter })),
    ]);
    await this.#shared.budget.over();
    this.#shared.close();
  }

  /** What the caller of `close` waits for: `end`, or, if that is a handler, the end of everything but such handlers. */
  awaited(end: Promise<void>): Promise<void> {
    const { inside } = this.#shared;
    if (inside.dispatcher === undefined) return end;
    inside.waits = true;
    const all = Promise.all([...this.#peers].map((peer) => peer.ends()));
    return Promise.race([end, all.then(() => {})]);
  }

  /** Says so when there may be more connections than the process may have files and sockets. */
  #checkDescriptors(most: number | undefined): void {
    const { core: { log }, limits: { maxConnections, maxPendingHandshakes } } = this.#owner;
    if (most === undefined || maxConnections + maxPendingHandshakes <= most) return;
    const limit = `this process may have ${most} files and sockets open`;
    if (maxConnections === Infinity) {
      writeNote(log, "debug", () => `No limit of connections is set, and ${limit}: set maxConnections below it`);
      return;
    }
    const sum = maxConnections + maxPendingHandshakes;
    const text = `maxConnections and maxPendingHandshakes allow ${sum} connections, but ${limit}`;
    writeNote(log, "warn", () => `${text}: raise the limit (ulimit -n) or lower them`);
  }

  async #accept(listener: Listener, place: Place<P>): Promise<void> {
    try {
      for await (const connection of listener) {
        const network = networkOf(connection.remote);
        const refusal = this.#handshakes.refusal(network);
        if (refusal !== undefined) {
          // There may be thousands a second: nothing is made for one, and nobody waits for it.
          this.#reject(connection.remote, refusal);
          connection.abort(refusal);
          continue;
        }
        const turn = this.#strangers.next();
        if (turn !== undefined) await turn;
        const from = this.#strangers.begin();
        const welcome = this.#welcome(connection, network, place).finally(() => this.#welcoming.delete(welcome));
        this.#welcoming.add(welcome);
        this.#strangers.end(from);
      }
    } catch (error) {
      this.#owner.core.error(error);
    }
  }

  /** Lets one connection in or sees it off, beside all others. */
  async #welcome(accepted: Connection, network: string, place: Place<P>): Promise<void> {
    const { core, unref } = this.#owner;
    if (unref) accepted.unref();
    core.events.emit("handshake", accepted.remote);
    const channel = new Channel(accepted);
    let pass: ConnectionSlot | undefined;
    try {
      pass = this.#gate.enter(accepted.remote);
      const [outcome, principal] = await this.#agree(channel, network, place, pass);
      // Where there is no handshake, nothing was decided before.
      pass.open();
      if (!this.#closing) return this.#admit({ channel, outcome, principal, pass, recovery: place.recovery });
      channel.abort();
      pass.leave();
    } catch (error) {
      pass?.leave();
      this.#reject(accepted.remote, error);
      // Its connection is closed already.
      if (this.#handshakes.isCrowd(error)) return;
      const unheard = pass === undefined && error instanceof HandshakeError;
      await this.#handshakes.leave(channel, unheard ? refusalMessage(place.protocol, error) : undefined);
    }
  }

  async #agree(
    channel: Channel,
    network: string,
    place: Place<P>,
    pass: ConnectionSlot,
  ): Promise<[HandshakeOutcome, P]> {
    const { core: { features, limits } } = this.#owner;
    const { protocol } = place;
    const machine = new ServerHandshake({
      protocol,
      offer: features.offer,
      // Randomness is dear: it is taken where it is sent.
      helloId: protocol.handshake === "hello" ? randomId(protocol.ids) : 0,
      nonce: crypto.randomUUID(),
      now: Date.now(),
    });
    // Without `authenticate`, `P` is what a program says that it is.
    let principal = undefined as P;
    const letIn = (): HandshakeStep => {
      pass.open();
      return machine.accept();
    };
    const refuse = (error: unknown): HandshakeStep => {
      if (error instanceof HandshakeError && error.refusal !== undefined) return machine.refuse(error);
      throw error;
    };
    const { authenticate } = place;
    const take = (answer: Answer<P>): HandshakeStep => {
      if ("failed" in answer) return answer.failed;
      principal = answer.principal;
      // Others may have come in meanwhile.
      return letIn();
    };
    const decide: NegotiateOptions["decide"] = (peer, expires) => {
      try {
        if (authenticate === undefined) return letIn();
        const answer = ask(authenticate, peer, {
          channel,
          early: (chunk) => machine.push(chunk),
          expires,
          late: (error) => this.#owner.core.error(error),
        });
        if (!(answer instanceof Promise)) return take(answer);
        this.#handshakes.decides(pending);
        return answer.then(take).catch(refuse);
      } catch (error) {
        return refuse(error);
      }
    };
    const pending = this.#handshakes.begin(channel, network);
    let outcome: HandshakeOutcome;
    try {
      const { wheel } = this.#shared;
      outcome = await negotiate(channel, machine, {
        wheel,
        timeout: limits.handshakeTimeout,
        decide,
        turns: this.#strangers,
      });
    } finally {
      this.#handshakes.end(pending);
    }
    return [outcome, principal];
  }

  #admit(arrival: Omit<AcceptedClient<P>, "id">): void {
    const { groups, core } = this;
    const from = this.#strangers.begin();
    const id = ++this.#owner.lastId;
    const { info, peer } = new ClientSession<P>(this, this.#shared, { id, ...arrival });
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

  /** Called by a client's session: its connection is over. */
  gone(peer: Peer, reason: CloseReason): void {
    this.#peers.delete(peer);
    if (reason === "slow-consumer") this.#owner.slowConsumers++;
  }

  #reject(address: Address, error: unknown): void {
    const { core } = this.#owner;
    this.#owner.rejected++;
    const reason = this.#closing ? "server-closed" : handshakeReason(error);
    const told = core.events.emit("rejected", { address, reason, error });
    // What may come thousands of times a second is said once; a port scan is nothing to warn of.
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
