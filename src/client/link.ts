/**
 * A client's way to its server: one state, from the first attempt to the end for good, over as many connections as it takes.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { loadTransport } from "../load_transport.ts";
import { writeNote } from "../options.ts";
import { addressText } from "../session/address.ts";
import { closedError, type CloseReason, handshakeReason } from "../session/close_reason.ts";
import type { Hub } from "../session/hub.ts";
import { Latch } from "../tools/latch.ts";
import { Stop } from "../tools/stop.ts";
import { Session } from "../session/session.ts";
import { makeShared, type SessionShared } from "../session/shared.ts";
import { isNative } from "../wire/protocols.ts";
import { reach, type Reached, type Target } from "./attempt.ts";
import { Callers } from "./callers.ts";
import type { ClientEvents } from "./client_events.ts";
import type { MessageCounts } from "./disconnect.ts";
import { Outgoing } from "./outgoing.ts";
import type { OutgoingQueue } from "./outgoing_queue.ts";
import { Pause } from "./pause.ts";
import { DEFAULT_RECONNECT, delayBefore, type ReconnectPolicy, worthRetrying } from "./reconnect.ts";

/** The state of a client. */
export type ClientState = "disconnected" | "connecting" | "connected" | "reconnecting" | "closing";

/** A connection that lasted this long in milliseconds, or as long as the wait before it, begins a new row of attempts. */
const LASTING = 1_000;

/** From `connect()` to its end: attempts, and the connections that they bring. */
interface Life {
  /** Given when it is given up. */
  readonly stop: Stop;
  /** Whether nothing more is tried, though not all is put away. */
  ended: boolean;
  /** Who waits for the next connection. */
  callers: Callers;
  /** Whether there was a connection. */
  connected: boolean;
  /** Whether it tries again, or for the first time by `retry`. */
  retrying: boolean;
  /** How many attempts were made in a row. */
  attempt: number;
  /** The most attempts in a row; changed by `retry` and `stopRetry`. */
  retryMax: number;
}

/** How a connection or an attempt ended. */
interface End {
  readonly reason: CloseReason;
  /** Makes the error behind it, if there is one. */
  readonly why: () => unknown;
  /** When the server that went away may be asked again, in milliseconds. */
  readonly retryAfter: number;
  /** How long there was a connection, in milliseconds; `undefined` if there was none. */
  readonly lasted: number | undefined;
}

/** The way to one server. */
export class Link {
  readonly #hub: Hub<ClientEvents>;
  readonly #target: Omit<Target, "nativeOnly" | "unref">;
  readonly #peer: unknown;
  readonly #onEnd: () => void;
  readonly #policy: ReconnectPolicy | undefined;
  /** What is sent goes through here. */
  readonly outgoing: Outgoing;
  #life: Life | undefined = undefined;
  /** What begins when what was given up is over; somebody waits for it. */
  #following: Life | undefined = undefined;
  #session: Session | undefined = undefined;
  readonly #pause = new Pause();
  #closing: Promise<void> | undefined = undefined;
  readonly #closed = new Latch();
  /** Whether the server has spoken native: then nothing less will do. */
  #seenNative = false;
  #unref = false;

  /**
   * @param hub Routes, events and limits.
   * @param target Whom to reach.
   * @param policy When to try again.
   * @param queue What keeps messages meanwhile.
   * @param peer The second argument of handlers.
   * @param onEnd Called when it is over for good.
   */
  constructor(
    hub: Hub<ClientEvents>,
    target: Omit<Target, "nativeOnly" | "unref">,
    policy: ReconnectPolicy | undefined,
    queue: OutgoingQueue | undefined,
    peer: unknown,
    onEnd: () => void,
  ) {
    this.#hub = hub;
    this.#onEnd = onEnd;
    this.#target = target;
    this.#policy = policy;
    this.#peer = peer;
    this.outgoing = new Outgoing(queue, hub);
  }

  /** The state. */
  get state(): ClientState {
    const life = this.#life;
    if (life === undefined) return "disconnected";
    if (this.#closing !== undefined) return "closing";
    if (this.#session?.open) return "connected";
    if (life.retrying || this.#session !== undefined && life.retryMax > 0) return "reconnecting";
    return this.#session === undefined ? "connecting" : "closing";
  }

  /** The connection, if there is one. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Settles, never rejects, when it is over for good. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Connects, or waits for what is under way. */
  connect(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.state === "closing") {
      return Promise.reject(
        new ConnectionError(
          "closed",
          `Cannot connect: the ${
            this.#closing !== undefined ? "client is being closed" : "server ends the connection"
          }, await closed first`,
        ),
      );
    }
    const life = this.#underWay(false, this.#policy?.attempts ?? 0);
    return life.callers.join(signal, (reason) => {
      // The first attempt goes on as long as anybody waits for it; reconnecting goes on by itself.
      if (life.connected) return false;
      this.#giveUp(life, reason);
      return true;
    });
  }

  /** Tries no more; an open connection stays. */
  stopRetry(): void {
    for (const life of [this.#life, this.#following]) {
      if (life === undefined) continue;
      life.retryMax = 0;
      if (life.retrying) this.#giveUp(life, new ConnectionError("closed", "Cannot connect: stopRetry() was called"));
    }
  }

  /** Tries `max` times more in a row from now on, and begins if there is nothing under way. */
  retry(max = this.#policy?.attempts ?? DEFAULT_RECONNECT.attempts): Promise<void> {
    if (this.#closing === undefined) {
      const life = this.#underWay(true, max);
      life.retryMax = max;
      // A new row begins with the attempt that was waited for.
      life.attempt = Math.min(life.attempt, 1);
      if (life === this.#life) this.#pause.end();
    }
    return this.connect(undefined);
  }

  /** Closes it for good. */
  close(drain: number): Promise<void> {
    if (this.#closing !== undefined) {
      if (drain <= 0) void this.#session?.close("manual", 0);
      return this.#closing;
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
    return promise;
  }

  /** Lets the process end although it is open. */
  unref(): void {
    this.#unref = true;
    this.#session?.unref();
    this.#pause.unref();
  }

  async #close(life: Life, drain: number): Promise<void> {
    const over = this.closed;
    this.#hub.events.emit("closing");
    const session = this.#session;
    if (session?.open) {
      // One limit for both: what waits for the connection, and the connection's own end.
      const spent = drain > 0 && this.outgoing.queued > 0 ? await this.outgoing.emptied(session, drain) : 0;
      void session.close("manual", drain > 0 ? Math.max(1, drain - spent) : 0);
    } else {
      void session?.close("manual", drain);
      const reason = new ConnectionError("closed", "Cannot connect: the client was closed");
      if (this.#following !== undefined) this.#giveUp(this.#following, reason);
      this.#giveUp(life, reason);
    }
    await over;
  }

  /** What there is to wait for: it begins now if there is nothing, and after what was given up if that is not over. */
  #underWay(retrying: boolean, retryMax: number): Life {
    const life = this.#life;
    if (life !== undefined && !life.ended && !life.stop.given) return life;
    if (life !== undefined) return this.#following ??= newLife(retrying, retryMax);
    this.#closed.reset();
    this.outgoing.open();
    this.#life = newLife(retrying, retryMax);
    void this.#live(this.#life);
    return this.#life;
  }

  /** Ends what is under way, but for an open connection, or what was to follow it. */
  #giveUp(life: Life, reason: unknown): void {
    life.stop.give(reason);
    if (life === this.#following) {
      this.#following = undefined;
      life.callers.reject(() => reason);
    } else this.#pause.end();
  }

  /** From the first attempt to the end for good. */
  async #live(life: Life): Promise<void> {
    let shared: SessionShared | undefined;
    let end: End;
    for (;;) {
      try {
        if (shared === undefined) {
          shared = makeShared(await loadTransport(this.#hub.core), this.#hub);
          this.outgoing.begin(shared);
        }
        end = await this.#attempts(life, shared);
      } catch (error) {
        end = failed(error, handshakeReason(error));
      }
      if (this.#closing !== undefined && end.lasted === undefined) end = { ...end, reason: "manual" };
      await this.#hub.workers.close();
      const next = this.#following;
      if (next === undefined) break;
      this.#following = undefined;
      this.#life = next;
      this.#finish(life, end, 0);
      life = next;
    }
    const lost = this.outgoing.end(() => closedError("Cannot send what was queued", end.reason, end.why()));
    shared?.close();
    this.#life = undefined;
    this.#closing = undefined;
    this.#onEnd();
    // In this order: whoever hears of the end may connect again at once.
    this.#closed.release();
    this.#finish(life, end, lost);
  }

  /** Tells of the end of what was under way. */
  #finish(life: Life, end: End, lost: number): void {
    const { given, reason } = life.stop;
    life.callers.reject(() => given ? reason : end.why() ?? closedError("Cannot connect", end.reason));
    if (life.connected || life.attempt > 0) this.#tell(life, end, life.attempt, undefined, this.outgoing.counts(lost));
  }

  /** Attempts, and the connections that they bring, until there is to be no other. */
  async #attempts(life: Life, shared: SessionShared): Promise<End> {
    let end: End;
    for (let wait = 0;;) {
      end = await this.#once(life, shared, life.attempt);
      this.#session = undefined;
      if (end.lasted !== undefined) {
        life.connected = true;
        if (end.lasted >= Math.max(LASTING, wait)) life.attempt = 0;
      }
      if (!this.#tryAgain(life, end)) break;
      const attempt = ++life.attempt;
      wait = end.retryAfter +
        delayBefore(this.#policy ?? DEFAULT_RECONNECT, attempt, end.why(), Math.random());
      life.retrying = true;
      this.#tell(life, end, attempt - 1, wait, this.outgoing.counts(0));
      this.#hub.events.emit("reconnecting", { attempt, retryMax: life.retryMax, delay: wait });
      if (goesOn(life)) await this.#pause.run(shared.transport.clock, wait);
      // Told by now: what ends the wait is another end.
      end = { ...end, lasted: undefined };
      if (!goesOn(life)) break;
    }
    life.ended = true;
    return end;
  }

  /** One attempt, and the connection that it brought. */
  async #once(life: Life, shared: SessionShared, attempt: number): Promise<End> {
    const { clock } = shared.transport;
    this.#hub.events.emit("connecting", { attempt });
    let reached: Reached;
    try {
      const nativeOnly = this.#seenNative;
      reached = await reach({ ...this.#target, nativeOnly, unref: this.#unref }, shared, life.stop);
    } catch (error) {
      // What was given up here is no failure of the network.
      return failed(error, life.stop.given ? "manual" : handshakeReason(error));
    }
    const { connection, outcome } = reached;
    // Given up since it was reached: nobody would end it any more.
    if (life.stop.given) {
      connection.abort();
      return failed(life.stop.reason, "manual");
    }
    const since = clock.now();
    if (isNative(outcome.protocol)) this.#seenNative = true;
    const { promise, resolve } = Promise.withResolvers<End>();
    const session: Session = new Session(connection, outcome, "client", shared, this.#hub.recovery, {
      unrouted: (message) => this.#hub.unrouted(message),
      error: (error, message) => this.#hub.error(error, message),
      closing: () => this.#leaving(life),
      closed: (reason, why) => {
        this.outgoing.detach(session);
        resolve({ reason, why, retryAfter: session.retryAfter, lasted: clock.now() - since });
      },
    }, this.#peer);
    if (this.#unref) session.unref();
    this.#session = session;
    life.callers.resolve();
    life.retrying = false;
    writeNote(this.#hub.log, "info", () => `Connected to ${addressText(connection.remote)}: ${session.spoken}`);
    this.outgoing.attach(session, () => this.#hub.events.emit("connect", { protocol: session.spoken, attempt }));
    session.run(outcome.rest);
    return await promise;
  }

  /** The connection can't be used any more: whoever wants one waits for the next. */
  #leaving(life: Life): void {
    life.connected = true;
    life.callers = new Callers();
  }

  #tryAgain(life: Life, { why, lasted }: End): boolean {
    if (this.#closing !== undefined || life.stop.given || life.attempt >= life.retryMax) return false;
    return lasted !== undefined || worthRetrying(why(), life.connected);
  }

  #tell(
    { retryMax }: Life,
    end: End,
    attempt: number,
    nextDelay: number | undefined,
    messages: MessageCounts | undefined,
  ): void {
    const { reason } = end;
    const permanent = nextDelay === undefined;
    const next = permanent ? "" : `, trying again in ${nextDelay} ms`;
    writeNote(this.#hub.log, "info", () => `Disconnected: ${reason}${next}`);
    if (!this.#hub.events.has("disconnect")) return;
    const state = { reason, error: end.why(), permanent, attempt, retryMax, nextDelay };
    this.#hub.events.emit("disconnect", messages === undefined ? state : { ...state, messages });
  }
}

/** Nothing was tried yet. */
function newLife(retrying: boolean, retryMax: number): Life {
  return {
    stop: new Stop(),
    ended: false,
    callers: new Callers(),
    connected: false,
    retrying,
    attempt: retrying ? 1 : 0,
    retryMax,
  };
}

/** Whether the next attempt is still wanted. */
function goesOn({ stop, retryMax }: Life): boolean {
  return !stop.given && retryMax > 0;
}

/** The end of an attempt that brought no connection. */
function failed(error: unknown, reason: CloseReason): End {
  return { reason, why: () => error, retryAfter: 0, lasted: undefined };
}
