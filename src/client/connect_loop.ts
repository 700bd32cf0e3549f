/**
 * One life of a client: from a `connect()` or `retry()` to the end of all attempts and connections that come of it.
 *
 * @module
 */

import { HandshakeError, type Refusal } from "../errors.ts";
import { writeNote } from "../app/log.ts";
import { addressText } from "../base/address.ts";
import { closedError, type CloseReason, handshakeReason } from "../link/close_reason.ts";
import { contractNote } from "../session/features/list.ts";
import type { EndpointCore } from "../app/endpoint_core.ts";
import { Peer } from "../app/peer.ts";
import type { PeerShared } from "../app/shared.ts";
import { Stop } from "../base/stop.ts";
import { isNative } from "../wire/protocols.ts";
import { type Dialed, reach, type Target } from "./dial.ts";
import { Callers } from "./connect_waiters.ts";
import type { ClientEvents } from "./client_events.ts";
import type { MessageCounts } from "./disconnect.ts";
import type { Outgoing } from "./outgoing.ts";
import { Pause } from "./pause.ts";
import { DEFAULT_RECONNECT, delayBefore, type ReconnectPolicy, worthRetrying } from "./reconnect.ts";

/** A connection that lasted this long in milliseconds, or as long as the wait before it, begins a new row of attempts. */
const LASTING = 1_000;

/** What all lives of one client share. */
export interface Way {
  /** Routes, events and limits. */
  readonly core: EndpointCore<ClientEvents>;
  /** Whom to reach. */
  readonly target: Omit<Target, "nativeOnly" | "unref">;
  /** When to try again. */
  readonly policy: ReconnectPolicy | undefined;
  /** What is sent goes through here. */
  readonly outgoing: Outgoing;
  /** The second argument of handlers. */
  readonly handle: unknown;
  /** Whether the server has spoken native: then nothing less will do. */
  seenNative: boolean;
  /** Whether the process may end meanwhile. */
  unref: boolean;
}

/** How a connection or an attempt ended. */
export interface End {
  /** Why. */
  readonly reason: CloseReason;
  /** Makes the error behind it, if there is one. */
  readonly why: () => unknown;
  /** When the server that went away may be asked again, in milliseconds. */
  readonly retryAfter: number;
  /** What the server said that shut the client out. */
  readonly refusal?: Refusal | undefined;
  /** How many messages of the server came and were not handled. */
  readonly unhandled?: number;
  /** How long there was a connection, in milliseconds; `undefined` if there was none. */
  readonly lasted: number | undefined;
}

/** The life. It begins with {@linkcode run}. */
export class ConnectLoop {
  readonly #way: Way;
  readonly #stop = new Stop();
  readonly #pause = new Pause();
  /** Who waits for the next connection. */
  #callers = new Callers();
  #peer: Peer | undefined = undefined;
  /** Whether there was a connection. */
  #connected = false;
  #ended = false;
  /** Whether the next attempt was asked for at once. */
  #hurried = false;
  #retrying: boolean;
  /** The most attempts in a row. */
  #retryMax: number;
  /** How many were made in a row. */
  #attempt: number;

  /**
   * @param way What all lives share.
   * @param retrying Whether the first attempt counts as one to reconnect.
   * @param retryMax The most of those in a row.
   */
  constructor(way: Way, retrying: boolean, retryMax: number) {
    this.#way = way;
    this.#retrying = retrying;
    this.#retryMax = retryMax;
    this.#attempt = retrying ? 1 : 0;
    if (way.unref) this.#pause.unref();
  }

  /** The state, as long as nobody closes the client. */
  get state(): "connecting" | "connected" | "reconnecting" | "closing" {
    if (this.#peer?.session.open) return "connected";
    if (this.#retrying || this.#peer !== undefined && this.#retryMax > 0) return "reconnecting";
    return this.#peer === undefined ? "connecting" : "closing";
  }

  /** The connection, if there is one. */
  get peer(): Peer | undefined {
    return this.#peer;
  }

  /** Whether nothing more is tried, though not all may be put away. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether there is no connection, and the attempts are those to reconnect. */
  get retrying(): boolean {
    return this.#retrying;
  }

  /** Waits for the next connection; `giveUp` is called when nobody does any more and it should not go on by itself. */
  join(signal: AbortSignal | undefined, giveUp: (reason: unknown) => void): Promise<void> {
    return this.#callers.join(signal, (reason) => {
      // The first attempt goes on as long as anybody waits for it; reconnecting goes on by itself.
      if (this.#connected) return false;
      giveUp(reason);
      return true;
    });
  }

  /** Rejects all who wait. */
  reject(why: () => unknown): void {
    this.#callers.reject(why);
  }

  /** Begins a new row of so many attempts, at once where it waits for the next. */
  retry(max: number): void {
    this.#retryMax = max;
    // It begins with the attempt that was waited for.
    this.#attempt = Math.min(this.#attempt, 1);
    this.#hurried = true;
    this.#pause.end();
  }

  /** An attempt under way is the last. */
  stopRetry(): void {
    this.#retryMax = 0;
  }

  /** What is under way is the last: an attempt, or a connection. */
  end(): void {
    this.#ended = true;
  }

  /** Gives up whatever is under way, but for a connection. */
  giveUp(reason: unknown): void {
    this.#ended = true;
    this.#stop.give(reason);
    this.#pause.end();
  }

  /** Lets the process end meanwhile. */
  unref(): void {
    this.#peer?.session.unref();
    this.#pause.unref();
  }

  /** Attempts, and the connections that they bring, until there is to be no other. */
  async run(shared: PeerShared): Promise<End> {
    const { core, outgoing, policy } = this.#way;
    let end: End;
    for (let wait = 0;;) {
      end = await this.#once(shared, this.#attempt);
      this.#peer = undefined;
      if (end.lasted !== undefined) {
        this.#connected = true;
        if (end.lasted >= Math.max(LASTING, wait)) this.#attempt = 0;
      }
      if (!this.#tryAgain(end)) break;
      const attempt = ++this.#attempt;
      wait = end.retryAfter + delayBefore(policy ?? DEFAULT_RECONNECT, attempt, end.why(), Math.random());
      this.#retrying = true;
      this.#hurried = false;
      this.#tell(end, attempt - 1, wait, outgoing.counts(0));
      core.events.emit("reconnecting", { attempt, retryMax: this.#retryMax, delay: wait });
      if (this.#goesOn && !this.#hurried) await this.#pause.run(shared.clock, wait);
      // Told by now: what ends the wait is another end.
      end = { ...end, lasted: undefined };
      if (!this.#goesOn) break;
    }
    this.#ended = true;
    return end;
  }

  /** Tells everybody of the end, and of so many messages that were never written. */
  finish(end: End, lost: number): void {
    const { given, reason } = this.#stop;
    this.#callers.reject(() => given ? reason : end.why() ?? closedError("Cannot connect", end.reason));
    const { outgoing } = this.#way;
    if (this.#connected || this.#attempt > 0 || lost > 0) {
      this.#tell(end, this.#attempt, undefined, outgoing.counts(lost));
    }
  }

  /** One attempt, and the connection that it brought. */
  async #once(shared: PeerShared, attempt: number): Promise<End> {
    const way = this.#way;
    const { core, outgoing } = way;
    const { clock } = shared;
    core.events.emit("connecting", { attempt });
    let reached: Dialed;
    try {
      const { target, seenNative: nativeOnly, unref } = way;
      reached = await reach({ ...target, nativeOnly, unref }, shared, this.#stop);
    } catch (error) {
      // What was given up here is no failure of the network.
      return failed(error, this.#stop.given ? "manual" : handshakeReason(error));
    }
    const { channel, outcome } = reached;
    // Given up since it was reached: nobody would end it any more.
    if (this.#stop.given) {
      channel.abort();
      return failed(this.#stop.reason, "manual");
    }
    const since = clock.now();
    if (isNative(outcome.protocol)) way.seenNative = true;
    const { promise, resolve } = Promise.withResolvers<End>();
    const peer: Peer = new Peer(channel, outcome, "client", shared, core.recovery, {
      unrouted: (message) => core.unrouted(message),
      error: (error, message) => core.error(error, message),
      closing: () => this.#leaving(),
      closed: (reason, why) => {
        outgoing.detach(peer);
        const { session: { refusal, retryAfter }, unhandled } = peer;
        resolve({ reason, why, refusal, retryAfter, unhandled, lasted: clock.now() - since });
      },
    }, way.handle);
    if (way.unref) peer.session.unref();
    this.#peer = peer;
    this.#callers.resolve();
    this.#retrying = false;
    writeNote(core.log, "info", () => {
      const contract = contractNote(core.contract, outcome.features, "server");
      return `Connected to ${addressText(channel.remote)}: ${peer.session.protocolName}${contract}`;
    });
    outgoing.attach(peer, () => {
      const pending: Promise<unknown>[] = [];
      core.events.call("connect", [{ protocol: peer.session.protocolName, attempt }], pending);
      return pending;
    });
    peer.session.run();
    return await promise;
  }

  /** The connection can't be used any more: whoever wants one waits for the next. */
  #leaving(): void {
    this.#connected = true;
    this.#callers = new Callers();
  }

  #tryAgain({ refusal, why, lasted }: End): boolean {
    if (refusal?.final === true) return false;
    if (this.#ended || this.#attempt >= this.#retryMax) return false;
    return lasted !== undefined || worthRetrying(why(), this.#connected);
  }

  /** Whether the next attempt is still wanted. */
  get #goesOn(): boolean {
    return !this.#ended && this.#retryMax > 0;
  }

  #tell(end: End, attempt: number, nextDelay: number | undefined, messages: MessageCounts | undefined): void {
    const { core } = this.#way;
    const { reason, unhandled = 0 } = end;
    const permanent = nextDelay === undefined;
    const next = permanent ? "" : `, trying again in ${nextDelay} ms`;
    writeNote(core.log, "info", () => `Disconnected: ${reason}${next}`);
    if (unhandled > 0) {
      core.faults.note("warn", "messages not handled", () => `${unhandled} messages of the server were not handled`);
    }
    if (!core.events.has("disconnect")) return;
    const state = { reason, error: end.why(), permanent, attempt, retryMax: this.#retryMax, nextDelay, unhandled };
    const refusal = end.refusal ?? refusalOf(state.error);
    const told = refusal === undefined ? state : { ...state, refusal };
    core.events.emit("disconnect", messages === undefined ? told : { ...told, messages });
  }
}

/** What a server said that did not let the client in. */
function refusalOf(error: unknown): Refusal | undefined {
  return error instanceof HandshakeError ? error.refusal : undefined;
}

/** The end of an attempt that brought no connection. */
export function failed(error: unknown, reason: CloseReason): End {
  return { reason, why: () => error, retryAfter: 0, lasted: undefined };
}
