/**
 * Ends one session, once and for one reason. The end is orderly if the peer takes part in it.
 *
 * @module
 */

import { ConnectionError, type ProtocolError, type Refusal } from "../errors.ts";
import { closedError, type CloseReason, reasonOf } from "../link/close_reason.ts";
import { ShutdownRun } from "./shutdown_steps.ts";
import { LINGER_BYTES, LINGER_TIME } from "../link/channel.ts";
import type { Link } from "../link/link.ts";
import type { Parting, PeerParting } from "./parting.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import type { Inbox } from "./owner.ts";
import type { Sender } from "./sender.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";

/** How long running handlers may still answer a peer that has finished sending, in milliseconds. */
const PEER_DRAIN = 5_000;
/** How long to wait for the peer's FIN after handlers have exceeded their time, in milliseconds. */
const LATE_LINGER = 100;
/**
 * How much longer than its drain time a peer may take, in milliseconds. It lingers, and its GOAWAY took time to arrive.
 */
const LEAVE_GRACE = LINGER_TIME + 1_000;

/** The session that ends. */
export interface ShutdownHost {
  readonly link: Link;
  readonly side: "client" | "server";
  readonly wheel: TimerWheel;
  readonly sender: Sender;
  readonly inbox: Inbox;
  /** The most time that a peer that goes away may ask for, in milliseconds. */
  readonly maxDrain: number;
  /** True if the peer understands GOAWAY. */
  readonly canGoAway: boolean;
  /** Set if the peer comes back when it is told nothing. */
  readonly resumption: unknown;
  /** Called when the peer sends nothing more, with the error for what waits for it. */
  peerFinished(makeError: () => Error): void;
  /** Sends GOAWAY. */
  goAway(reason: CloseReason, how: Parting): void;
  /** Called when nothing new can be sent any more. */
  closing(): void;
  /** Called once, when nothing is read or written any more. `getError` returns the error that caused it, if any. */
  released(reason: CloseReason, getError: () => unknown): void;
}

/** The end of one session. It is created when the end begins. */
export class Shutdown {
  readonly #host: ShutdownHost;
  /** True while both sides take part in the end. */
  #orderly = false;
  #reason: CloseReason | undefined = undefined;
  /** True if the peer's GOAWAY began the end. */
  #asked = false;
  #run: ShutdownRun | undefined = undefined;
  /** True once the peer has said that it goes away. */
  #told = false;
  /** Released by the peer's GOAWAY. */
  #peerLeaves: ResettablePromise | undefined = undefined;
  /** The time after which this side may connect again, in milliseconds; 0 if the peer did not say. */
  retryAfter = 0;
  /** What the peer said if it shut this side out; `undefined` otherwise. */
  refusal: Refusal | undefined = undefined;

  constructor(host: ShutdownHost) {
    this.#host = host;
  }

  /** True from the peer's GOAWAY until the session is over, unless this side began the end. */
  get leaving(): boolean {
    return this.#asked && !this.#closed;
  }

  /** True once the peer has said that it goes away. It may send no message after that. */
  get told(): boolean {
    return this.#told;
  }

  /** True while messages are still handed to handlers, because both sides take part in the end. */
  get serving(): boolean {
    return this.#orderly;
  }

  /** The reason for the end, from its beginning on; `undefined` before. */
  get reason(): CloseReason | undefined {
    return this.#reason;
  }

  get #open(): boolean {
    return this.#host.link.state === "open";
  }

  get #closed(): boolean {
    return this.#host.link.state === "closed";
  }

  /** Begins the end because this side closes the session; see `Session.close`. */
  close(reason: CloseReason, how: Parting): void {
    const { drain } = how;
    if (!this.#open) {
      this.#run?.hurry(drain);
      return;
    }
    const { canGoAway, sender } = this.#host;
    // A message for the peer is sent even if there is no time for anything else.
    if (canGoAway && drain <= 0 && (how.message !== undefined || how.final === true)) {
      this.expel(reason, how);
      return;
    }
    this.#orderly = canGoAway && drain > 0;
    this.#begin(reason);
    if (this.#orderly) {
      sender.requestAck();
      this.#host.goAway(reason, how);
    } else if (this.#host.resumption !== undefined && this.#host.link.writer.buffered === 0) {
      this.#host.goAway(reason, how);
      void this.#part();
      return;
    }
    void this.#end(undefined, drain, LINGER_TIME, LATE_LINGER, this.#orderly ? () => this.#peerDone() : undefined);
  }

  /**
   * Called when the peer's GOAWAY asks this side to leave. Nothing new is sent. This side's requests and running
   * handlers finish, and then FIN is sent. The peer says how long that may take. If it has not closed the connection by
   * then, this side does. Returns false if the peer has asked before.
   */
  leave({ code, drain: wanted, refusal, retryAfter }: PeerParting): boolean {
    if (this.#told) return false;
    this.#told = true;
    (this.#peerLeaves ??= new ResettablePromise()).release();
    if (!this.#open) return true;
    this.#orderly = true;
    this.#asked = true;
    this.#begin("going-away");
    this.#host.sender.requestAck();
    this.retryAfter = retryAfter;
    this.refusal = refusal;
    const drain = Math.min(wanted, this.#host.maxDrain);
    const getError = (): Error => new ConnectionError("closed", `The peer goes away: ${code}`);
    void this.#end(undefined, drain, drain + LEAVE_GRACE, undefined, undefined, getError);
    this.#run?.hurry(drain + LEAVE_GRACE);
    return true;
  }

  /** Called when the peer broke the protocol. What was sent before is written, then FIN. All input is thrown away. */
  broken(error: ProtocolError): void {
    const { link, sender } = this.#host;
    link.source.discard(LINGER_BYTES);
    sender.pending.rejectAll(() => closedError("No answer will come", reasonOf(error), error));
    this.#orderly = false;
    if (!this.#open) {
      this.#run?.hurry(LINGER_TIME);
      return;
    }
    this.#begin(reasonOf(error));
    if (this.#host.resumption !== undefined) this.#host.goAway(reasonOf(error), { drain: LINGER_TIME });
    void this.#end(error, LINGER_TIME, LINGER_TIME);
  }

  /**
   * Shuts the peer out. It receives the reason if it understands GOAWAY, then FIN. What it sends is thrown away, and
   * nothing more is answered.
   */
  expel(reason: CloseReason, how?: Parting): void {
    const { inbox, canGoAway, link, sender } = this.#host;
    link.source.discard();
    inbox.close();
    sender.pending.rejectAll(() => closedError("No answer will come", reason));
    this.#orderly = false;
    if (!this.#open) {
      this.#run?.hurry(LINGER_TIME);
      return;
    }
    this.#begin(reason);
    if (canGoAway) this.#host.goAway(reason, { ...how, drain: LINGER_TIME });
    void this.#end(undefined, LINGER_TIME, LINGER_TIME);
  }

  /** Called at the peer's FIN. */
  finished(): void {
    this.#host.peerFinished(() => closedError("No answer will come", this.#reason ?? "peer-closed"));
    if (this.#asked) this.#run?.hurry(PEER_DRAIN);
    if (!this.#open) return;
    this.#begin("peer-closed");
    void this.#end(undefined, PEER_DRAIN, LINGER_TIME);
  }

  /** Ends the session at once because the connection can no longer be used. */
  drop(error: Error | undefined, reason: CloseReason): void {
    if (this.#closed) return;
    this.#begin(reason);
    this.#over(() => error, error);
  }

  #begin(reason: CloseReason): void {
    if (!this.#open) return;
    this.#host.link.state = "draining";
    this.#reason = reason;
    this.#host.closing();
  }

  /** Resolves when a peer that was asked to leave sends no more messages. */
  #peerDone(): Promise<unknown> {
    const over = this.#host.link.source.over();
    // A side that sent GOAWAY waits for the other side's FIN. If both sent one, the client sends its FIN first.
    if (this.#host.side === "server") return over;
    return Promise.race([over, (this.#peerLeaves ??= new ResettablePromise()).promise]);
  }

  /** Ends the session as soon as GOAWAY, the last frame, is written. */
  async #part(): Promise<void> {
    const { link, wheel } = this.#host;
    link.source.discard();
    const run = this.#run = new ShutdownRun(wheel, !link.unreffed);
    await run.run(LATE_LINGER, 0, 0, {
      work: () => Promise.resolve(),
      flushed: () => link.writer.flushed(),
      finish: () => Promise.resolve(),
    });
    this.#over(() => undefined);
  }

  /**
   * Lets running work finish within `drain` milliseconds, then sends FIN and waits for the peer's FIN. That wait takes
   * at most `linger` milliseconds, or `late` milliseconds if the work did not finish in time. `before` resolves when no
   * new work can arrive. `getError` returns the error that the end reports.
   */
  async #end(
    error: Error | undefined,
    drain: number,
    linger: number,
    late: number = linger,
    before?: () => Promise<unknown>,
    getError: () => unknown = () => error,
  ): Promise<void> {
    const { inbox, link, sender: { pending }, wheel } = this.#host;
    const run = this.#run = new ShutdownRun(wheel, !link.unreffed);
    await run.run(drain, linger, late, {
      work: async () => {
        if (error !== undefined) return;
        await before?.();
        await Promise.all([inbox.idle(), pending.empty()]);
      },
      flushed: () => {
        link.writer.endSources();
        return link.writer.flushed();
      },
      finish: async () => {
        if (!this.#orderly) link.source.discard();
        await link.finish();
        if (this.#orderly) await inbox.idle();
      },
    });
    this.#over(getError, error);
  }

  #over(make: () => unknown, error?: Error): void {
    if (this.#closed) return;
    const { inbox, link, sender } = this.#host;
    this.#orderly = false;
    link.abort(error);
    this.#run?.cut();
    sender.close();
    inbox.close();
    // Create the error lazily: it is rarely read, and capturing a stack dominates the cost of closing.
    let made: { readonly error: unknown } | undefined;
    const getError = (): unknown => (made ??= { error: make() }).error;
    sender.pending.rejectAll(() => closedError("No answer will come", this.#reason, getError()));
    this.#host.released(this.#reason!, getError);
  }
}
