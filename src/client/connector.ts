/**
 * The connector of a client. It has one state from the first attempt to the final end, over any number of connections.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { HandlerLoad } from "../app/handler_load.ts";
import { closedError, handshakeReason } from "../link/close_reason.ts";
import type { EndpointCore } from "../app/endpoint_core.ts";
import type { Peer } from "../app/peer.ts";
import type { Endpoint } from "../base/address.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import type { EncryptionClientOptions } from "../encryption_seam.ts";
import { NATIVE } from "../wire/handshake/terms.ts";
import { protocol } from "../wire/protocols.ts";
import type { ClientEvents } from "./client_events.ts";
import {
  type ClientContext,
  type ConnectionContext,
  type ConnectionResult,
  ConnectLoop,
  failed,
  type Route,
} from "./connect_loop.ts";
import type { Destination } from "./destinations.ts";
import { loadComebacks, loadParts } from "./load_parts.ts";
import { Outgoing } from "./outgoing.ts";
import type { OutgoingQueue } from "./outgoing_queue.ts";
import { DEFAULT_RECONNECT, type ReconnectPolicy } from "./reconnect.ts";

/**
 * The state of a client.
 *
 * @category Client
 */
export type ClientState = "disconnected" | "connecting" | "connected" | "suspended" | "reconnecting" | "closing";

/** The connector of one client. */
export class Connector {
  readonly outgoing: Outgoing;
  readonly #context: ClientContext;
  readonly #destinations: readonly Destination[];
  readonly #encryption: EncryptionClientOptions | undefined;
  readonly #onEnd: () => void;
  /** The load of handlers, shared by all connect loops. */
  readonly #load = new HandlerLoad();
  #loop: ConnectLoop | undefined = undefined;
  /** The loop that begins after one that was given up. There is one if somebody waits for it. */
  #following: ConnectLoop | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  readonly #closed = new ResettablePromise();

  /**
   * @param core The routes, events and limits.
   * @param destinations The servers to connect to, in turn.
   * @param target How to connect to them.
   * @param encryption The options of the encryption; `undefined` for none.
   * @param policy When to try again; `undefined` for never.
   * @param queue The queue that keeps messages while there is no connection.
   * @param handle The second argument of handlers.
   * @param onEnd Called when the client is disconnected and no attempt follows.
   */
  constructor(
    core: EndpointCore<ClientEvents>,
    destinations: readonly Destination[],
    target: ClientContext["target"],
    encryption: EncryptionClientOptions | undefined,
    policy: ReconnectPolicy | undefined,
    queue: OutgoingQueue | undefined,
    handle: unknown,
    onEnd: () => void,
  ) {
    const { headerSize } = target.protocol === "auto" ? NATIVE : protocol(target.protocol);
    const outgoing = this.outgoing = new Outgoing(queue, core, headerSize);
    this.#context = {
      core,
      target,
      policy,
      outgoing,
      handle,
      encryption: undefined,
      turn: 0,
      seenNative: false,
      unref: false,
    };
    this.#destinations = destinations;
    this.#encryption = encryption;
    this.#onEnd = onEnd;
  }

  get state(): ClientState {
    const loop = this.#following ?? this.#loop;
    if (loop === undefined) return "disconnected";
    // A loop that was given up or has ended still closes its sockets.
    return this.#closing !== undefined || loop.ended && loop.peer === undefined ? "closing" : loop.state;
  }

  /** The server of the current connection, or the one that is tried next. */
  get server(): Endpoint {
    return this.#destinations[this.#context.turn].endpoint;
  }

  /** The peer of the current connection. */
  get peer(): Peer | undefined {
    return this.#loop?.peer;
  }

  /** Resolves when the client is disconnected and no attempt follows; never rejects. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Connects, or waits for the attempt that is under way. */
  connect(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closing !== undefined || this.#loop?.state === "closing") {
      return Promise.reject(
        new ConnectionError(
          "closed",
          `Cannot connect: the ${
            this.#closing !== undefined ? "client is being closed" : "server ends the connection"
          }, await closed first`,
        ),
      );
    }
    const loop = this.#underWay(false, this.#context.policy?.attempts ?? 0);
    return loop.join(signal, (reason) => this.#giveUp(loop, reason));
  }

  /** Makes no more attempts. An open connection stays. */
  stopRetry(): void {
    for (const loop of [this.#loop, this.#following]) {
      if (loop === undefined) continue;
      loop.stopRetry();
      if (loop.retrying) this.#giveUp(loop, new ConnectionError("closed", "Cannot connect: stopRetry() was called"));
    }
  }

  /** Makes up to `max` more attempts in a row, and begins at once if nothing is under way. */
  retry(max: number = this.#context.policy?.attempts ?? DEFAULT_RECONNECT.attempts): Promise<void> {
    if (this.#closing === undefined) this.#underWay(true, max).retry(max);
    return this.connect(undefined);
  }

  /** Closes the client. */
  close(drain: number): Promise<void> {
    const { peer } = this;
    if (this.#closing !== undefined) {
      if (drain <= 0) void peer?.close("manual", 0);
      return peer?.awaited(this.#closing) ?? this.#closing;
    }
    if (this.#loop === undefined) {
      this.#onEnd();
      this.#closed.release();
      return Promise.resolve();
    }
    // Set before anything happens: a listener to `closing` may call `close` again.
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closing = promise;
    resolve(this.#close(this.#loop, drain));
    return peer?.awaited(promise) ?? promise;
  }

  /** Lets the process end while the client is open. */
  unref(): void {
    this.#context.unref = true;
    this.#loop?.unref();
    this.#following?.unref();
  }

  async #close(loop: ConnectLoop, drain: number): Promise<void> {
    const over = this.closed;
    loop.end();
    this.#context.core.events.emit("closing");
    const { peer } = loop;
    if (peer?.session.open) {
      // One time limit covers all: coming back, the messages in the queue, and the end of the connection.
      let left = drain;
      if (left > 0 && loop.suspended) left -= await loop.back(left);
      if (left > 0 && this.outgoing.queued > 0) left -= await this.outgoing.emptied(peer, left);
      // A session that is still suspended is lost.
      void peer.close("manual", drain > 0 ? Math.max(1, left) : 0);
    } else {
      void peer?.close("manual", drain);
      const reason = new ConnectionError("closed", "Cannot connect: the client was closed");
      if (this.#following !== undefined) this.#giveUp(this.#following, reason);
      this.#giveUp(loop, reason);
    }
    await over;
  }

  /** Returns the loop to wait for. A new loop begins now, or after one that was given up and has not ended yet. */
  #underWay(retrying: boolean, retryMax: number): ConnectLoop {
    const loop = this.#loop;
    if (loop?.ended) return this.#following ??= new ConnectLoop(this.#context, retrying, retryMax);
    if (loop !== undefined) return loop;
    this.#closed.reset();
    this.outgoing.allowQueue();
    this.#loop = new ConnectLoop(this.#context, retrying, retryMax);
    void this.#run(this.#loop);
    return this.#loop;
  }

  /** Gives up a loop, or the one that was to follow it. An open connection stays. */
  #giveUp(loop: ConnectLoop, reason: unknown): void {
    loop.giveUp(reason);
    if (loop !== this.#following) return;
    this.#following = undefined;
    loop.reject(() => reason);
  }

  /** Loads the sockets for a server. */
  async #routeTo({ endpoint, url }: Destination): Promise<Route> {
    const { core, target: { tls } } = this.#context;
    if (url !== undefined) return { endpoint, transport: (await core.webSockets()).client(url, tls) };
    return { endpoint, transport: tls === undefined ? await core.sockets(undefined) : (await core.tls()).client(tls) };
  }

  /** Runs one connect loop after another, until no other follows. */
  async #run(loop: ConnectLoop): Promise<void> {
    const { core } = this.#context;
    let connections: ConnectionContext | undefined;
    let result: ConnectionResult;
    for (;;) {
      try {
        connections ??= await this.#prepare();
        result = await loop.run(connections);
      } catch (error) {
        result = failed(error, handshakeReason(error));
      }
      if (this.#closing !== undefined && result.lasted === undefined) result = { ...result, reason: "manual" };
      await Promise.all([core.workers.close(), connections?.shared.budget.over()]);
      const next = this.#following;
      if (next === undefined) break;
      this.#following = undefined;
      this.#loop = next;
      loop.finish(result, 0);
      loop = next;
    }
    const lost = this.outgoing.end(() => closedError("Cannot send what was queued", result.reason, result.why()));
    connections?.shared.close();
    this.#loop = undefined;
    this.#closing = undefined;
    this.#onEnd();
    // Reset the state first: whoever waits for the end may connect again at once.
    this.#closed.release();
    loop.finish(result, lost);
  }

  /** Loads what the connections need. */
  async #prepare(): Promise<ConnectionContext> {
    const { core } = this.#context;
    const [parts, routes, comebacks, encryption] = await Promise.all([
      loadParts(),
      Promise.all(this.#destinations.map((destination) => this.#routeTo(destination))),
      core.resume === undefined ? undefined : loadComebacks(),
      this.#encryption === undefined ? undefined : core.encryption(),
    ]);
    this.#context.encryption ??= encryption?.client(this.#encryption!);
    const features = await parts.featureSetOf(core, core.extraFeatures);
    const shared = parts.makeShared(core.loopOf(routes[0].transport), core, features, this.#load);
    this.outgoing.begin(shared);
    return { parts, comebacks, shared, routes };
  }
}
