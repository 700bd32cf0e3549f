/**
 * The loop that connects a client, from a `connect()` or `retry()` to the end of all attempts and connections that
 * follow.
 *
 * @module
 */

import { ConfigError, HandshakeError, type Refusal, VeltixError } from "../errors.ts";
import { writeNote } from "../app/log.ts";
import { addressText } from "../base/address.ts";
import { closedError, type CloseReason, handshakeReason } from "../link/close_reason.ts";
import type { EndpointCore } from "../app/endpoint_core.ts";
import type { Peer } from "../app/peer.ts";
import type { PeerShared } from "../app/shared.ts";
import type { ClientEncryption } from "../encryption_seam.ts";
import type { SessionStats } from "../session/counters.ts";
import { isNative } from "../wire/protocols.ts";
import type { AttemptRow, Comeback } from "./comeback.ts";
import type { Dialed, Target } from "./dial.ts";
import { ConnectWaiters } from "./connect_waiters.ts";
import type { ClientEvents } from "./client_events.ts";
import type { DisconnectState, MessageCounts } from "./disconnect.ts";
import type { ComebackParts, ConnectionParts } from "./load_parts.ts";
import type { Outgoing } from "./outgoing.ts";
import { Pause } from "./pause.ts";
import { AttemptFailures } from "./attempt_failures.ts";
import {
  DEFAULT_RECONNECT,
  delayBefore,
  LASTING,
  type ReconnectPolicy,
  worthComingBack,
  worthRetrying,
} from "./reconnect.ts";

/** A server, and the sockets by which it is reached. */
export type Route = Pick<Target, "endpoint" | "transport">;

/** A connection of a client, and the server that it is to. */
interface Arrival extends Dialed {
  readonly route: Route;
}

/** The state that all connect loops of one client share. */
export interface ClientContext {
  /** The routes, events and limits. */
  readonly core: EndpointCore<ClientEvents>;
  /** How to connect to each server. */
  readonly target: Omit<Target, "answered" | "attempt" | "encryption" | "heard" | "nativeOnly" | "unref" | keyof Route>;
  /** The index of the server to try next. */
  turn: number;
  /** Made when the client connects first; `undefined` before, and without encryption. */
  encryption: ClientEncryption | undefined;
  /** When to try again; `undefined` for never. */
  readonly policy: ReconnectPolicy | undefined;
  readonly outgoing: Outgoing;
  /** The second argument of handlers. */
  readonly handle: unknown;
  /** True once the server has spoken native. Only native connections are accepted from then on. */
  seenNative: boolean;
  /** True if the process may end while the client is open. */
  unref: boolean;
}

/** What the connections of a client need. Loaded when it connects. */
export interface ConnectionContext {
  readonly parts: ConnectionParts;
  /** The code that brings sessions back; `undefined` without the option `resume`. */
  readonly comebacks: ComebackParts | undefined;
  readonly shared: PeerShared;
  /** The servers, which are tried in turn. */
  readonly routes: readonly Route[];
}

/** The result of a connection that has ended, or of an attempt that failed. */
export interface ConnectionResult {
  readonly reason: CloseReason;
  /** Returns the error that caused the end, if there is one. */
  readonly why: () => unknown;
  /** The least wait before the next attempt that a server asked for when it went away, in milliseconds. */
  readonly retryAfter: number;
  /** What the server said when it shut the client out. */
  readonly refusal?: Refusal | undefined;
  /** The number of the server's messages that arrived and were not handled. */
  readonly unhandled?: number;
  /** Returns the counters of the connection; `undefined` if there was none. */
  readonly stats?: (() => SessionStats) | undefined;
  /** How long the connection was open, in milliseconds; `undefined` if there was none. */
  readonly lasted: number | undefined;
  /** True if the session could have gone on over another connection. */
  readonly sessionLost?: boolean;
  /** Whether another attempt can succeed, after one that brought no connection. @default what the error says */
  readonly again?: boolean;
}

/** The connect loop. {@linkcode run} starts it. */
export class ConnectLoop {
  readonly #context: ClientContext;
  readonly #abort = new AbortController();
  readonly #pause = new Pause();
  /** The callers that wait for the next connection. */
  #waiters = new ConnectWaiters();
  #peer: Peer | undefined = undefined;
  /** Brings the session of `#peer` back; `undefined` if it ends with its connection. */
  #comeback: Comeback | undefined = undefined;
  /** A connection that is to be used in place of the next attempt, and the row of attempts that has led to it. */
  #fresh: { readonly arrival: Arrival; readonly row: AttemptRow } | undefined = undefined;
  /** True after {@linkcode stopRetry}, until {@linkcode retry}. */
  #stopped = false;
  /** True once there was a connection. */
  #connected = false;
  #ended = false;
  /** True if the next attempt is to begin at once. */
  #hurried = false;
  #retrying: boolean;
  /** The largest number of attempts in a row. */
  #retryMax: number;
  /** The number of attempts in this row so far. */
  #attempt: number;

  /**
   * @param context The state that all loops of the client share.
   * @param retrying True if the first attempt counts as one to reconnect.
   * @param retryMax The largest number of attempts to reconnect in a row.
   */
  constructor(context: ClientContext, retrying: boolean, retryMax: number) {
    this.#context = context;
    this.#retrying = retrying;
    this.#retryMax = retryMax;
    this.#attempt = retrying ? 1 : 0;
    if (context.unref) this.#pause.unref();
  }

  /** The client's state while the client is not being closed. */
  get state(): "connecting" | "connected" | "suspended" | "reconnecting" | "closing" {
    if (this.#peer?.session.open) return this.suspended ? "suspended" : "connected";
    if (this.#retrying || this.#peer !== undefined && this.#retryMax > 0) return "reconnecting";
    return this.#peer === undefined ? "connecting" : "closing";
  }

  /** The peer of the current connection. */
  get peer(): Peer | undefined {
    return this.#peer;
  }

  /** True once no more attempts follow. Sockets may still be open then. */
  get ended(): boolean {
    return this.#ended;
  }

  /** True while there is no connection and the session waits for another one. */
  get suspended(): boolean {
    return this.#comeback?.away === true;
  }

  /** True while there is no connection and the loop is reconnecting. */
  get retrying(): boolean {
    return this.#retrying;
  }

  /**
   * Waits for the next connection. `giveUp` is called when nobody waits any more and the loop should not go on by
   * itself.
   */
  join(signal: AbortSignal | undefined, giveUp: (reason: unknown) => void): Promise<void> {
    return this.#waiters.join(signal, (reason) => {
      // The first attempt goes on as long as anybody waits for it. Reconnecting goes on by itself.
      if (this.#connected) return false;
      giveUp(reason);
      return true;
    });
  }

  /** Rejects all callers that wait. */
  reject(why: () => unknown): void {
    this.#waiters.reject(why);
  }

  /** Begins a new row of at most `max` attempts. A wait for the next attempt ends at once. */
  retry(max: number): void {
    this.#retryMax = max;
    // The attempt that was waited for becomes the first of the new row.
    this.#attempt = Math.min(this.#attempt, 1);
    this.#hurried = true;
    this.#pause.end();
    this.#stopped = false;
    this.#comeback?.allow();
    this.#comeback?.hurry();
  }

  /** Makes the current attempt the last one. A session without a connection is lost. */
  stopRetry(): void {
    this.#retryMax = 0;
    this.#stopped = true;
    const { suspended } = this;
    this.#comeback?.stop(STOPPED);
    if (!suspended) return;
    this.#ended = true;
    this.#peer = undefined;
  }

  /** Tries to bring a suspended session back within `ms` milliseconds. Returns how long it took, in milliseconds. */
  back(ms: number): Promise<number> {
    return this.#comeback?.back(ms) ?? Promise.resolve(0);
  }

  /** Makes the current attempt or session the last one, because the client is being closed. */
  end(): void {
    this.#ended = true;
    this.#comeback?.close();
  }

  /** Gives up the current attempt or wait. An open connection stays. */
  giveUp(reason: unknown): void {
    this.#ended = true;
    this.#abort.abort(reason);
    this.#pause.end();
  }

  /** Lets the process end while the loop runs. */
  unref(): void {
    this.#peer?.session.unref();
    this.#comeback?.unref();
    this.#pause.unref();
  }

  /** Makes attempts, and runs the connections that they bring, until no attempt follows. */
  async run(connections: ConnectionContext): Promise<ConnectionResult> {
    const { core, outgoing, policy } = this.#context;
    const { shared } = connections;
    let result: ConnectionResult;
    for (let wait = 0;;) {
      result = await this.#once(connections, this.#attempt);
      if (result.lasted === undefined && core.events.has("failed")) {
        core.events.emit("failed", { attempt: this.#attempt, reason: result.reason, error: result.why() });
      }
      this.#peer = undefined;
      this.#comeback = undefined;
      if (result.lasted !== undefined) {
        this.#connected = true;
        if (result.lasted >= Math.max(LASTING, wait)) this.#attempt = 0;
      }
      if (!this.#tryAgain(result)) break;
      const attempt = ++this.#attempt;
      wait = this.#fresh !== undefined
        ? 0
        : result.retryAfter + delayBefore(policy ?? DEFAULT_RECONNECT, attempt, result.why(), shared.random());
      this.#retrying = true;
      this.#hurried = false;
      this.#tell(result, attempt - 1, wait, outgoing.counts(0));
      core.events.emit("reconnecting", { attempt, retryMax: this.#retryMax, delay: wait });
      if (this.#goesOn && !this.#hurried) await this.#pause.run(shared.clock, wait);
      // This result has been reported. If the wait is given up, that is a result of its own, without a connection.
      result = { ...result, stats: undefined, lasted: undefined };
      if (!this.#goesOn) break;
    }
    this.#ended = true;
    await this.#takeFresh()?.arrival.channel.linger(shared.wheel);
    return result;
  }

  /** Reports the last result, and the number of `lost` messages that were never written. */
  finish(result: ConnectionResult, lost: number): void {
    const { signal } = this.#abort;
    this.#waiters.reject(() =>
      signal.aborted ? signal.reason : result.why() ?? closedError("Cannot connect", result.reason)
    );
    const { outgoing } = this.#context;
    if (this.#connected || this.#attempt > 0 || lost > 0) {
      this.#tell(result, this.#attempt, undefined, outgoing.counts(lost));
    }
  }

  /** Makes one attempt, and runs the connection that it brings. */
  async #once(connections: ConnectionContext, attempt: number): Promise<ConnectionResult> {
    const context = this.#context;
    const { core, outgoing } = context;
    const { parts: { contractNote, Peer }, shared } = connections;
    const { clock } = shared;
    const { signal } = this.#abort;
    core.events.emit("connecting", { attempt });
    const fresh = this.#takeFresh();
    const failures = new AttemptFailures();
    let arrival: Arrival | undefined;
    try {
      arrival = fresh?.arrival ?? await this.#dial(connections, attempt, failures);
    } catch (error) {
      // An attempt that this side gave up is not a failure of the network.
      return failed(error, signal.aborted ? "manual" : handshakeReason(error));
    }
    if (arrival === undefined) {
      const { error } = failures;
      return { ...failed(error, handshakeReason(error)), again: failures.worthRetrying(this.#connected) };
    }
    const { channel, outcome, route } = arrival;
    // If it was given up after `dial` returned, nothing else would close the connection.
    if (signal.aborted) {
      channel.abort();
      return failed(signal.reason, "manual");
    }
    const since = clock.now();
    if (isNative(outcome.protocol)) context.seenNative = true;
    const { promise, resolve } = Promise.withResolvers<ConnectionResult>();
    const peer = new Peer(channel, outcome, "client", shared, core.recovery, {
      unrouted: (message) => core.unrouted(message),
      error: (error, message) => core.error(error, message),
      closing: () => this.#leaving(),
      suspended: (reason, why) => comeback?.suspended(reason, why),
      suspected: () => comeback?.suspected(),
      closed: (reason, why) => {
        comeback?.end();
        outgoing.detach(peer);
        const { session: { refusal, retryAfter }, unhandled } = peer;
        resolve({ reason, why, refusal, retryAfter, unhandled, stats: () => peer.stats, lasted: clock.now() - since });
      },
    }, context.handle);
    const comeback = this.#comeback = this.#comebackOf(peer, connections, route, fresh?.row);
    this.#peer = peer;
    if (context.unref) this.unref();
    this.#waiters.resolve();
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
    const result = await promise;
    if (comeback === undefined) return result;
    // Attempts that were given up release their sockets first.
    await comeback.done();
    const { fresh: begun, lost: sessionLost } = comeback;
    if (begun === undefined) return { ...result, sessionLost };
    this.#fresh = { arrival: { ...begun, route }, row: comeback.row };
    // Only the time with a connection shows that the server is well.
    return { ...result, sessionLost, lasted: comeback.cutAt - since };
  }

  /**
   * Connects to one of the servers: they are tried in turn, beginning with the one of the last connection. The failures are
   * added to `failures`. Returns `undefined` if no server lets the client in.
   */
  async #dial(
    { parts: { dial }, shared, routes }: ConnectionContext,
    attempt: number,
    failures: AttemptFailures,
  ): Promise<Arrival | undefined> {
    const context = this.#context;
    const { signal } = this.#abort;
    for (let left = routes.length; left > 0; left--) {
      const { encryption, seenNative: nativeOnly, target, unref } = context;
      const route = routes[context.turn];
      try {
        const dialed = await dial({ ...target, ...route, attempt, encryption, nativeOnly, unref }, shared, signal);
        return { ...dialed, route };
      } catch (error) {
        // The server is not at fault: this side gave up, its options are wrong, or the function for credentials has thrown.
        if (signal.aborted || error instanceof ConfigError || !(error instanceof VeltixError)) throw error;
        context.turn = (context.turn + 1) % routes.length;
        failures.add(error);
        if (left === 1) continue;
        const text = (): string => `${addressText(route.endpoint)}: ${error.message}; trying the next server`;
        writeNote(context.core.log, "info", text);
      }
    }
    return undefined;
  }

  /** Returns what brings the session of a peer back; `undefined` if it ends with its connection. */
  #comebackOf(
    peer: Peer,
    { comebacks, parts: { dial }, shared }: ConnectionContext,
    route: Route,
    row: AttemptRow | undefined,
  ): Comeback | undefined {
    const { session } = peer;
    if (session.resumption === undefined) return undefined;
    const context = this.#context;
    const { core: { events, log }, policy = DEFAULT_RECONNECT, target } = context;
    const { clock, wheel } = shared;
    const comeback = new comebacks!.Comeback(session, {
      clock,
      wheel,
      policy,
      timeout: target.timeout,
      random: shared.random,
      dial: (terms, signal) => {
        const { encryption, seenNative: nativeOnly, unref } = context;
        // Only this server has the session.
        return dial({ ...target, ...route, ...terms, encryption, nativeOnly, unref }, shared, signal);
      },
      suspended: (reason, why) => {
        this.#leaving();
        writeNote(log, "info", () => `Suspended: ${reason}`);
        if (events.has("suspended")) events.emit("suspended", { reason, error: why() });
      },
      resumed: (ms, replayedBytes) => {
        this.#waiters.resolve();
        writeNote(log, "info", () => `Resumed after ${ms} ms`);
        if (this.#peer !== undefined) this.#context.outgoing.resumed(this.#peer);
        events.emit("resumed", { ms, replayedBytes });
      },
    }, row);
    if (this.#stopped) comeback.stop(STOPPED);
    return comeback;
  }

  /** Returns the connection that is to be used in place of an attempt, if there is one. The caller then owns it. */
  #takeFresh(): { readonly arrival: Arrival; readonly row: AttemptRow } | undefined {
    const fresh = this.#fresh;
    this.#fresh = undefined;
    return fresh;
  }

  /** Called when the connection cannot be used any more. New callers wait for the next one. */
  #leaving(): void {
    this.#connected = true;
    if (this.#waiters.settled) this.#waiters = new ConnectWaiters();
  }

  /** Returns whether another attempt follows a result. */
  #tryAgain({ again, refusal, why, lasted, sessionLost }: ConnectionResult): boolean {
    if (refusal?.final === true || sessionLost === true && !worthComingBack(why())) return false;
    if (this.#ended || this.#attempt >= this.#retryMax) return false;
    return lasted !== undefined || (again ?? worthRetrying(why(), this.#connected));
  }

  /** True while the next attempt is still wanted. */
  get #goesOn(): boolean {
    return !this.#ended && this.#retryMax > 0;
  }

  /** Logs a result and emits `disconnect`. `nextDelay` is `undefined` if no attempt follows. */
  #tell(
    result: ConnectionResult,
    attempt: number,
    nextDelay: number | undefined,
    messages: MessageCounts | undefined,
  ): void {
    const { core } = this.#context;
    const { reason, unhandled = 0 } = result;
    const permanent = nextDelay === undefined;
    const next = permanent ? "" : `, trying again in ${nextDelay} ms`;
    writeNote(core.log, "info", () => `Disconnected: ${reason}${next}`);
    if (unhandled > 0) {
      core.faults.note("warn", "messages not handled", () => `${unhandled} messages of the server were not handled`);
    }
    if (!core.events.has("disconnect")) return;
    const state = { reason, error: result.why(), permanent, attempt, retryMax: this.#retryMax, nextDelay, unhandled };
    const refusal = result.refusal ?? refusalOf(state.error);
    const told: DisconnectState = {
      ...state,
      ...refusal === undefined ? {} : { refusal },
      ...result.sessionLost === true ? { resume: "lost" } : {},
      ...result.stats === undefined ? {} : { stats: result.stats() },
      ...messages === undefined ? {} : { messages },
    };
    core.events.emit("disconnect", told);
  }
}

/** Why a session is lost after `stopRetry()`. */
const STOPPED = "stopRetry() was called";

/** Returns what a server said when it did not let the client in. */
function refusalOf(error: unknown): Refusal | undefined {
  return error instanceof HandshakeError ? error.refusal : undefined;
}

/** Returns the result of an attempt that brought no connection. */
export function failed(error: unknown, reason: CloseReason): ConnectionResult {
  return { reason, why: () => error, retryAfter: 0, lasted: undefined };
}
