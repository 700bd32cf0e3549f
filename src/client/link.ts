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
import { Latch } from "../session/latch.ts";
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
  /** Aborted when it is given up. */
  readonly controller: AbortController;
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
  /** Ends the wait for the next attempt. */
  wake: () => void;
}

/** How a connection or an attempt ended. */
interface End {
  readonly reason: CloseReason;
  readonly error: unknown;
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
        new ConnectionError("closed", "Cannot connect: the client is being closed, await closed first"),
      );
    }
    const life = this.#life ??= this.#begin(false);
    const { promise } = life.next;
    life.callers++;
    if (signal === undefined) return promise;
    return new Promise((resolve, reject) => {
      // The first attempt goes on as long as anybody waits for it; reconnecting goes on by itself.
      const giveUp = (): void => {
        if (--life.callers === 0 && !life.connected) life.controller.abort(signal.reason);
        else reject(signal.reason);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      promise.finally(() => signal.removeEventListener("abort", giveUp)).then(resolve, reject);
    });
  }

  /** Tries no more; an open connection stays. */
  stopRetry(): void {
    this.#retryMax = 0;
    if (this.#retrying) this.#life?.controller.abort(STOPPED);
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
    return this.connect(undefined);
  }

  /** Closes it for good. */
  close(drain: number): Promise<void> {
    if (this.#closing !== undefined && drain <= 0) void this.#session?.close("manual", 0);
    if (this.#closing === undefined && this.#life === undefined) {
      this.#closed.release();
      return Promise.resolve();
    }
    return this.#closing ??= this.#close(this.#life!, drain);
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
      if (this.outgoing.queued > 0) await this.outgoing.emptied(session, drain);
      void session.close("manual", drain);
    } else {
      void session?.close("manual", drain);
      life.controller.abort(new ConnectionError("closed", "Cannot connect: the client was closed"));
      life.wake();
    }
    await life.over.promise;
  }

  #begin(retrying: boolean): Life {
    this.#closed.reset();
    const life: Life = {
      controller: new AbortController(),
      over: new Latch(),
      closing: false,
      callers: 0,
      connected: false,
      next: waited(),
      wake: () => {},
    };
    this.#retrying = retrying;
    void this.#live(life, retrying);
    return life;
  }

  async #live(life: Life, retrying: boolean): Promise<void> {
    let shared: SessionShared | undefined;
    let attempt = retrying ? 1 : 0;
    let end: End;
    let wait = 0;
    try {
      shared = makeShared(await loadTransport(this.#hub.core), this.#hub);
      this.outgoing.begin(shared);
      for (;;) {
        end = await this.#once(life, shared, attempt);
        this.#session = undefined;
        if (end.connected) {
          life.connected = true;
          if (end.lasted >= Math.max(LASTING, wait)) attempt = 0;
        }
        if (!this.#tryAgain(life, end, attempt)) break;
        attempt++;
        wait = delayBefore(this.#policy ?? DEFAULT_RECONNECT, attempt, end.error, Math.random());
        this.#retrying = true;
        this.#tell(end, attempt - 1, wait, this.outgoing.counts(0));
        // Told by now: what ends the wait is another end.
        end = { ...end, connected: false };
        this.#hub.events.emit("reconnecting", { attempt, retryMax: this.#retryMax, delay: wait });
        await this.#sleep(life, shared, wait);
        if (life.controller.signal.aborted || this.#retryMax === 0) break;
      }
    } catch (error) {
      end = { reason: handshakeReason(error), error, lasted: 0, connected: false };
    }
    const told = life.connected || attempt > 0;
    if (life.closing) end = { ...end, reason: end.connected ? end.reason : "manual" };
    const error = life.controller.signal.aborted && life.controller.signal.reason !== STOPPED
      ? life.controller.signal.reason
      : end.error ?? closedError("Cannot connect", end.reason);
    const lost = this.outgoing.end(() => closedError("Cannot send what was queued", end.reason, end.error));
    await this.#hub.workers.close();
    shared?.wheel.close();
    this.#life = undefined;
    this.#retrying = false;
    this.#closing = undefined;
    this.#onEnd();
    // In this order: whoever hears of the end may connect again at once.
    this.#closed.release();
    life.over.release();
    life.next.reject(error);
    if (told) this.#tell(end, attempt, undefined, this.outgoing.counts(lost));
  }

  /** One attempt, and the connection that it brought. */
  async #once(life: Life, shared: SessionShared, attempt: number): Promise<End> {
    const { clock } = shared.transport;
    this.#hub.events.emit("connecting", { attempt });
    let reached: Reached;
    try {
      const nativeOnly = this.#seenNative;
      reached = await reach({ ...this.#target, nativeOnly, unref: this.#unref }, shared, life.controller.signal);
    } catch (error) {
      return { reason: handshakeReason(error), error, lasted: 0, connected: false };
    }
    const { connection, outcome } = reached;
    const since = clock.now();
    if (isNative(outcome.protocol)) this.#seenNative = true;
    const { promise, resolve } = Promise.withResolvers<End>();
    const session: Session = new Session(connection, outcome, "client", shared, {
      unrouted: (message) => this.#hub.unrouted(message),
      error: (error, message) => this.#hub.error(error, message),
      closing: () => this.#leaving(life),
      closed: (reason, error) => {
        this.outgoing.detach(session);
        resolve({ reason, error, lasted: clock.now() - since, connected: true });
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

  #tryAgain(life: Life, { error, connected }: End, attempt: number): boolean {
    if (life.closing || life.controller.signal.aborted) return false;
    return attempt < this.#retryMax && (connected || worthRetrying(error, life.connected));
  }

  async #sleep(life: Life, { transport: { clock } }: SessionShared, ms: number): Promise<void> {
    if (life.closing || this.#retryMax === 0) return;
    let timer: TimerHandle;
    await new Promise<void>((resolve) => {
      timer = clock.setTimeout(resolve, ms);
      life.wake = () => {
        if (this.#unref) clock.unref(timer);
        if (life.closing || this.#retryMax === 0) resolve();
      };
      life.wake();
    });
    clock.clearTimeout(timer);
    life.wake = () => {};
  }

  #tell(end: End, attempt: number, nextDelay: number | undefined, messages: MessageCounts | undefined): void {
    const { reason, error } = end;
    const permanent = nextDelay === undefined;
    const next = permanent ? "" : `, trying again in ${nextDelay} ms`;
    writeNote(this.#hub.log, "info", () => `Disconnected: ${reason}${next}`);
    const state = { reason, error, permanent, attempt, retryMax: this.#retryMax, nextDelay };
    this.#hub.events.emit("disconnect", messages === undefined ? state : { ...state, messages });
  }
}

const STOPPED = new ConnectionError("closed", "Cannot connect: stopRetry() was called");

/** A promise whose rejection nobody has to watch. */
function waited(): PromiseWithResolvers<void> {
  const waited = Promise.withResolvers<void>();
  waited.promise.catch(() => {});
  return waited;
}
