/**
 * A client's way to its server: one state, from the first attempt to the end for good, over as many connections as it takes.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { loadTransport } from "../load_transport.ts";
import { HandlerLoad } from "../app/handler_load.ts";
import { closedError, handshakeReason } from "../link/close_reason.ts";
import type { EndpointCore } from "../app/endpoint_core.ts";
import type { Peer } from "../app/peer.ts";
import { makeShared, type PeerShared } from "../app/shared.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import { NATIVE } from "../wire/handshake/terms.ts";
import { protocol } from "../wire/protocols.ts";
import type { ClientEvents } from "./client_events.ts";
import { ConnectLoop, type End, failed, type Way } from "./connect_loop.ts";
import { Outgoing } from "./outgoing.ts";
import type { OutgoingQueue } from "./outgoing_queue.ts";
import { DEFAULT_RECONNECT, type ReconnectPolicy } from "./reconnect.ts";

/** The state of a client. */
export type ClientState = "disconnected" | "connecting" | "connected" | "reconnecting" | "closing";

/** The way to one server. */
export class Connector {
  /** What is sent goes through here. */
  readonly outgoing: Outgoing;
  readonly #way: Way;
  readonly #onEnd: () => void;
  /** Over all lives. */
  readonly #load = new HandlerLoad();
  #life: ConnectLoop | undefined = undefined;
  /** What begins when what was given up is over; somebody waits for it. */
  #following: ConnectLoop | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  readonly #closed = new ResettablePromise();

  /**
   * @param core Routes, events and limits.
   * @param target Whom to reach.
   * @param policy When to try again.
   * @param queue What keeps messages meanwhile.
   * @param handle The second argument of handlers.
   * @param onEnd Called when it is over for good.
   */
  constructor(
    core: EndpointCore<ClientEvents>,
    target: Way["target"],
    policy: ReconnectPolicy | undefined,
    queue: OutgoingQueue | undefined,
    handle: unknown,
    onEnd: () => void,
  ) {
    const { headerSize } = target.protocol === "auto" ? NATIVE : protocol(target.protocol);
    const outgoing = this.outgoing = new Outgoing(queue, core, headerSize);
    this.#way = { core, target, policy, outgoing, handle, seenNative: false, unref: false };
    this.#onEnd = onEnd;
  }

  /** The state. */
  get state(): ClientState {
    const life = this.#following ?? this.#life;
    if (life === undefined) return "disconnected";
    // What is given up, or what ended, is put away.
    return this.#closing !== undefined || life.ended && life.peer === undefined ? "closing" : life.state;
  }

  /** The connection, if there is one. */
  get peer(): Peer | undefined {
    return this.#life?.peer;
  }

  /** Settles, never rejects, when it is over for good. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Connects, or waits for what is under way. */
  connect(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closing !== undefined || this.#life?.state === "closing") {
      return Promise.reject(
        new ConnectionError(
          "closed",
          `Cannot connect: the ${
            this.#closing !== undefined ? "client is being closed" : "server ends the connection"
          }, await closed first`,
        ),
      );
    }
    const life = this.#underWay(false, this.#way.policy?.attempts ?? 0);
    return life.join(signal, (reason) => this.#giveUp(life, reason));
  }

  /** Tries no more; an open connection stays. */
  stopRetry(): void {
    for (const life of [this.#life, this.#following]) {
      if (life === undefined) continue;
      life.stopRetry();
      if (life.retrying) this.#giveUp(life, new ConnectionError("closed", "Cannot connect: stopRetry() was called"));
    }
  }

  /** Tries `max` times more in a row from now on, and begins if there is nothing under way. */
  retry(max: number = this.#way.policy?.attempts ?? DEFAULT_RECONNECT.attempts): Promise<void> {
    if (this.#closing === undefined) this.#underWay(true, max).retry(max);
    return this.connect(undefined);
  }

  /** Closes it for good. */
  close(drain: number): Promise<void> {
    const { peer } = this;
    if (this.#closing !== undefined) {
      if (drain <= 0) void peer?.close("manual", 0);
      return peer?.awaited(this.#closing) ?? this.#closing;
    }
    if (this.#life === undefined) {
      this.#onEnd();
      this.#closed.release();
      return Promise.resolve();
    }
    // Kept before anything happens: a listener to `closing` may close once more.
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closing = promise;
    resolve(this.#close(this.#life, drain));
    return peer?.awaited(promise) ?? promise;
  }

  /** Lets the process end although it is open. */
  unref(): void {
    this.#way.unref = true;
    this.#life?.unref();
    this.#following?.unref();
  }

  async #close(life: ConnectLoop, drain: number): Promise<void> {
    const over = this.closed;
    life.end();
    this.#way.core.events.emit("closing");
    const { peer } = life;
    if (peer?.session.open) {
      // One limit for both: what waits for the connection, and the connection's own end.
      const spent = drain > 0 && this.outgoing.queued > 0 ? await this.outgoing.emptied(peer, drain) : 0;
      void peer.close("manual", drain > 0 ? Math.max(1, drain - spent) : 0);
    } else {
      void peer?.close("manual", drain);
      const reason = new ConnectionError("closed", "Cannot connect: the client was closed");
      if (this.#following !== undefined) this.#giveUp(this.#following, reason);
      this.#giveUp(life, reason);
    }
    await over;
  }

  /** What there is to wait for: it begins now if there is nothing, and after what was given up if that is not over. */
  #underWay(retrying: boolean, retryMax: number): ConnectLoop {
    const life = this.#life;
    if (life?.ended) return this.#following ??= new ConnectLoop(this.#way, retrying, retryMax);
    if (life !== undefined) return life;
    this.#closed.reset();
    this.outgoing.open();
    this.#life = new ConnectLoop(this.#way, retrying, retryMax);
    void this.#live(this.#life);
    return this.#life;
  }

  /** Ends what is under way, but for an open connection, or what was to follow it. */
  #giveUp(life: ConnectLoop, reason: unknown): void {
    life.giveUp(reason);
    if (life !== this.#following) return;
    this.#following = undefined;
    life.reject(() => reason);
  }

  /** One life after another, to the end for good. */
  async #live(life: ConnectLoop): Promise<void> {
    const { core } = this.#way;
    let shared: PeerShared | undefined;
    let end: End;
    for (;;) {
      try {
        if (shared === undefined) {
          shared = makeShared(await loadTransport(core.transport), core, this.#load);
          this.outgoing.begin(shared);
        }
        end = await life.run(shared);
      } catch (error) {
        end = failed(error, handshakeReason(error));
      }
      if (this.#closing !== undefined && end.lasted === undefined) end = { ...end, reason: "manual" };
      await Promise.all([core.workers.close(), shared?.budget.over()]);
      const next = this.#following;
      if (next === undefined) break;
      this.#following = undefined;
      this.#life = next;
      life.finish(end, 0);
      life = next;
    }
    const lost = this.outgoing.end(() => closedError("Cannot send what was queued", end.reason, end.why()));
    shared?.close();
    this.#life = undefined;
    this.#closing = undefined;
    this.#onEnd();
    // In this order: whoever hears of the end may connect again at once.
    this.#closed.release();
    life.finish(end, lost);
  }
}
