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
import type { TimerHandle } from "../transport.ts";
import { isNative } from "../wire/protocols.ts";
import { reach, type Reached, type Target } from "./attempt.ts";
import type { ClientEvents } from "./client_events.ts";
import type { MessageCounts } from "./disconnect.ts";
import { Outgoing } from "./outgoing.ts";
import type { OutgoingQueue } from "./outgoing_queue.ts";
import { DEFAULT_RECONNECT, delayBefore, type ReconnectPolicy, worthRetrying } from "./reconnect.ts";

/** The state of a client. */
export type ClientState = "disconnected" | "connecting" | "connected" | "reconnecting" | "closing";

/** A connection that lasted this long in milliseconds, or as long as the wait before it, begins a new row of attempts. */
const LASTING = 1_000;

/** From `connect()` to the end for good. */
interface Life {
  /** Given when it is given up. */
  readonly stop: Stop;
  /** Settles when it is over. Never rejects. */
  readonly over: Latch;
  /** Whether it is being closed. */
  closing: boolean;
  /** How many wait for the first connection. */
  callers: number;
  /** Whether there was a connection. */
  connected: boolean;
  /** Settles with the next connection, or rejects with the end. */
  next: PromiseWithResolvers<void>;
  /** How many attempts were made in a row. */
  attempt: number;
  /** Looks whether the wait for the next attempt is over. */
  wake: () => void;
  /** Whether it is over although its time is not. */
  hurried: boolean;
}

/** How a connection or an attempt ended. */
interface End {
  readonly reason: CloseReason;
  /** Makes the error behind it, if there is one. */
  readonly why: () => unknown;
  /** When the server that went away may be asked again, in milliseconds. */
  readonly retryAfter: number;
  /** How long there was a connection, in milliseconds. */
  readonly lasted: number;
  /** Whether there was one. */
  readonly connected: boolean;
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
  /** The most attempts in a row; changed by `retry` and `stopRetry`. */
  #retryMax: number;
  #life: Life | undefined = undefined;
  #session: Session | undefined = undefined;
  #retrying = false;
  /** Whether it waits for the next attempt. */
  #waiting = false;
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
    this.#retryMax = policy?.attempts ?? 0;
    this.#peer = peer;
    this.outgoing = new Outgoing(queue, hub);
  }

  /** The state. */
  get state(): ClientState {
    if (this.#life === undefined) return "disconnected";
    if (this.#life.closing) return "closing";
    if (this.#session?.open) return "connected";
    if (this.#retrying || this.#session !== undefined && this.#retryMax > 0) return "reconnecting";
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
            this.#life?.closing ? "client is being closed" : "server ends the connection"
          }, await closed first`,
        ),
      );
    }
    const life = this.#life ??= this.#begin(false);
    const { promise } = life.next;
    life.callers++;
    if (signal === undefined) return promise;
    return new Promise((resolve, reject) => {
      // The first attempt goes on as long as anybody waits for it; reconnecting goes on by itself.
      const giveUp = (): void => {
        // It came in time: the promise says so in a moment.
        if (this.#session?.open) return;
        if (--life.callers === 0 && !life.connected) life.stop.give(signal.reason);
        else reject(signal.reason);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      promise.finally(() => signal.removeEventListener("abort", giveUp)).then(resolve, reject);
    });
  }

  /** Tries no more; an open connection stays. */
  stopRetry(): void {
    this.#retryMax = 0;
    if (this.#retrying && !this.#session?.open) {
      this.#life?.stop.give(new ConnectionError("closed", "Cannot connect: stopRetry() was called"));
    }
    this.#life?.wake();
  }

  /** Tries `max` times more in a row from now on, and begins if there is nothing under way. */
  retry(max: number | undefined): Promise<void> {
    this.#retryMax = max ?? this.#policy?.attempts ?? DEFAULT_RECONNECT.attempts;
    if (this.#life === undefined) {
      this.#life = this.#begin(true);
      this.#life.callers++;
      return this.#life.next.promise;
    }
    // A new row begins with the attempt that was waited for.
    this.#life.attempt = Math.min(this.#life.attempt, 1);
    this.#life.hurried = this.#waiting;
    this.#life.wake();
    return this.connect(undefined);
  }

  /** Closes it for good. */
  close(drain: number): Promise<void> {
    if (this.#closing !== undefined && drain <= 0) void this.#session?.close("manual", 0);
    if (this.#closing === undefined && this.#life === undefined) {
      this.#onEnd();
      this.#closed.release();
      return Promise.resolve();
    }
    if (this.#closing !== undefined) return this.#closing;
    // Kept before anything happens: a listener to `closing` may close once more.
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closing = promise;
    resolve(this.#close(this.#life!, drain));
    return promise;
  }

  /** Lets the process end although it is open. */
  unref(): void {
    this.#unref = true;
    this.#session?.unref();
    this.#life?.wake();
  }

  async #close(life: Life, drain: number): Promise<void> {
    life.closing = true;
    this.#hub.events.emit("closing");
    const session = this.#session;
    if (session?.open) {
      // One limit for both: what waits for the connection, and the connection's own end.
      const spent = drain > 0 && this.outgoing.queued > 0 ? await this.outgoing.emptied(session, drain) : 0;
      void session.close("manual", drain > 0 ? Math.max(1, drain - spent) : 0);
    } else {
      void session?.close("manual", drain);
      life.stop.give(new ConnectionError("closed", "Cannot connect: the client was closed"));
      life.wake();
    }
    await life.over.promise;
  }

  #begin(retrying: boolean): Life {
    this.#closed.reset();
    const life: Life = {
      stop: new Stop(),
      over: new Latch(),
      closing: false,
      callers: 0,
      connected: false,
      next: waited(),
      attempt: retrying ? 1 : 0,
      wake: () => {},
      hurried: false,
    };
    if (!retrying) this.#retryMax = this.#policy?.attempts ?? 0;
    this.#retrying = retrying;
    this.outgoing.open();
    void this.#live(life);
    return life;
  }

  async #live(life: Life): Promise<void> {
    let shared: SessionShared | undefined;
    let end: End;
    let wait = 0;
    try {
      shared = makeShared(await loadTransport(this.#hub.core), this.#hub);
      this.outgoing.begin(shared);
      for (;;) {
        end = await this.#once(life, shared, life.attempt);
        this.#session = undefined;
        if (end.connected) {
          life.connected = true;
          if (end.lasted >= Math.max(LASTING, wait)) life.attempt = 0;
        }
        if (!this.#tryAgain(life, end)) break;
        const attempt = ++life.attempt;
        wait = end.retryAfter +
          delayBefore(this.#policy ?? DEFAULT_RECONNECT, attempt, end.why(), Math.random());
        this.#retrying = true;
        this.#tell(end, attempt - 1, wait, this.outgoing.counts(0));
        // Told by now: what ends the wait is another end.
        end = { ...end, connected: false };
        this.#hub.events.emit("reconnecting", { attempt, retryMax: this.#retryMax, delay: wait });
        await this.#sleep(life, shared, wait);
        if (life.stop.given || this.#retryMax === 0) break;
      }
    } catch (error) {
      end = { reason: handshakeReason(error), why: () => error, retryAfter: 0, lasted: 0, connected: false };
    }
    const { attempt } = life;
    const told = life.connected || attempt > 0;
    if (life.closing) end = { ...end, reason: end.connected ? end.reason : "manual" };
    const lost = this.outgoing.end(() => closedError("Cannot send what was queued", end.reason, end.why()));
    await this.#hub.workers.close();
    shared?.close();
    this.#life = undefined;
    this.#retrying = false;
    this.#closing = undefined;
    this.#onEnd();
    // In this order: whoever hears of the end may connect again at once.
    this.#closed.release();
    life.over.release();
    const { given: aborted, reason } = life.stop;
    // Mostly nobody waits, and an error with its stack costs more than all the rest.
    if (aborted || life.callers > 0) {
      life.next.reject(aborted ? reason : end.why() ?? closedError("Cannot connect", end.reason));
    }
    if (told) this.#tell(end, attempt, undefined, this.outgoing.counts(lost));
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
      const reason = life.stop.given ? "manual" : handshakeReason(error);
      return { reason, why: () => error, retryAfter: 0, lasted: 0, connected: false };
    }
    const { connection, outcome } = reached;
    // Given up since it was reached: nobody would end it any more.
    if (life.stop.given) {
      const { reason: error } = life.stop;
      connection.abort();
      return { reason: handshakeReason(error), why: () => error, retryAfter: 0, lasted: 0, connected: false };
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
        resolve({ reason, why, retryAfter: session.retryAfter, lasted: clock.now() - since, connected: true });
      },
    }, this.#peer);
    if (this.#unref) session.unref();
    this.#session = session;
    this.#retrying = false;
    writeNote(this.#hub.log, "info", () => `Connected to ${addressText(connection.remote)}: ${session.spoken}`);
    // A listener may close the client: what follows is another promise then.
    const { next } = life;
    this.outgoing.attach(session, () => this.#hub.events.emit("connect", { protocol: session.spoken, attempt }));
    next.resolve();
    session.run(outcome.rest);
    return await promise;
  }

  /** The connection can't be used any more: whoever wants one waits for the next. */
  #leaving(life: Life): void {
    life.connected = true;
    life.next = waited();
    life.callers = 0;
  }

  #tryAgain(life: Life, { why, connected }: End): boolean {
    if (life.closing || life.stop.given) return false;
    return life.attempt < this.#retryMax && (connected || worthRetrying(why(), life.connected));
  }

  async #sleep(life: Life, { transport: { clock } }: SessionShared, ms: number): Promise<void> {
    if (life.closing || this.#retryMax === 0) return;
    let timer: TimerHandle;
    this.#waiting = true;
    await new Promise<void>((resolve) => {
      timer = clock.setTimeout(resolve, ms);
      life.wake = () => {
        if (this.#unref) clock.unref(timer);
        if (life.closing || life.hurried || this.#retryMax === 0) resolve();
      };
      life.wake();
    });
    this.#waiting = false;
    life.hurried = false;
    clock.clearTimeout(timer);
    life.wake = () => {};
  }

  #tell(end: End, attempt: number, nextDelay: number | undefined, messages: MessageCounts | undefined): void {
    const { reason } = end;
    const permanent = nextDelay === undefined;
    const next = permanent ? "" : `, trying again in ${nextDelay} ms`;
    writeNote(this.#hub.log, "info", () => `Disconnected: ${reason}${next}`);
    if (!this.#hub.events.has("disconnect")) return;
    const state = { reason, error: end.why(), permanent, attempt, retryMax: this.#retryMax, nextDelay };
    this.#hub.events.emit("disconnect", messages === undefined ? state : { ...state, messages });
  }
}

/** A promise whose rejection nobody has to watch. */
function waited(): PromiseWithResolvers<void> {
  const waited = Promise.withResolvers<void>();
  waited.promise.catch(() => {});
  return waited;
}
