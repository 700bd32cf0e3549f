/**
 * The end of one session: once, for one reason, in good order where the peer takes part in that. It is made when the end
 * begins.
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
/** How much longer than its drain time a peer may take, in milliseconds: it lingers, and its GOAWAY took time to arrive. */
const LEAVE_GRACE = LINGER_TIME + 1_000;

/** The session that ends. */
export interface ShutdownHost {
  readonly link: Link;
  readonly side: "client" | "server";
  readonly wheel: TimerWheel;
  readonly sender: Sender;
  readonly inbox: Inbox;
  /** The longest time that a peer can ask for, in milliseconds. */
  readonly maxDrain: number;
  /** True if the peer understands GOAWAY. */
  readonly canGoAway: boolean;
  /** Sends GOAWAY. */
  goAway(reason: CloseReason, how: Parting): void;
  /** Called when nothing new can be sent any more. */
  closing(): void;
  /** Called once, when nothing is read or written any more. `getError` makes the error that caused it, if there is one. */
  released(reason: CloseReason, getError: () => unknown): void;
}

/** The end of one session. */
export class Shutdown {
  readonly #host: ShutdownHost;
  /** True while both sides take part. */
  #orderly = false;
  #reason: CloseReason | undefined = undefined;
  /** True if the peer asked for it. */
  #asked = false;
  #run: ShutdownRun | undefined = undefined;
  /** True once the peer has said that it goes away. */
  #told = false;
  /** Released by the peer's GOAWAY. */
  #peerLeaves: ResettablePromise | undefined = undefined;
  /** The time after which the peer can be asked again, in milliseconds; 0 if it did not say. */
  retryAfter = 0;
  /** The peer's words, if it shut this side out. */
  refusal: Refusal | undefined = undefined;

  constructor(host: ShutdownHost) {
    this.#host = host;
  }

  /** True from the peer's GOAWAY until the end; false if this side was first. */
  get leaving(): boolean {
    return this.#asked && !this.#closed;
  }

  /** True once the peer has said that it goes away: no message may follow. */
  get told(): boolean {
    return this.#told;
  }

  /** True while messages are still handed to handlers, because both sides take part in the end. */
  get serving(): boolean {
    return this.#orderly;
  }

  /** The reason, as soon as the end begins. */
  get reason(): CloseReason | undefined {
    return this.#reason;
  }

  get #open(): boolean {
    return this.#host.link.state === "open";
  }

  get #closed(): boolean {
    return this.#host.link.state === "closed";
  }

  /** Begins an end of this side; see `Session.close`. */
  close(reason: CloseReason, how: Parting): void {
    const { drain } = how;
    if (!this.#open) {
      this.#run?.hurry(drain);
      return;
    }
    const { canGoAway, sender } = this.#host;
    // Words for the peer go out even where nothing else has time.
    if (canGoAway && drain <= 0 && (how.message !== undefined || how.final === true)) {
      this.expel(reason, how);
      return;
    }
    this.#orderly = canGoAway && drain > 0;
    this.#begin(reason);
    if (this.#orderly) {
      sender.cover();
      this.#host.goAway(reason, how);
    }
    void this.#end(undefined, drain, LINGER_TIME, LATE_LINGER, this.#orderly ? () => this.#peerDone() : undefined);
  }

  /**
   * The peer asks to leave, by GOAWAY: nothing new is sent, own requests are waited for, running handlers answer, and then
   * FIN. It says how long that may take; it has cut the connection by then, or it is cut. Returns false if it has asked before.
   */
  leave({ code, drain: wanted, refusal, retryAfter }: PeerParting): boolean {
    if (this.#told) return false;
    this.#told = true;
    (this.#peerLeaves ??= new ResettablePromise()).release();
    if (!this.#open) return true;
    this.#orderly = true;
    this.#asked = true;
    this.#begin("going-away");
    this.#host.sender.cover();
    this.retryAfter = retryAfter;
    this.refusal = refusal;
    const drain = Math.min(wanted, this.#host.maxDrain);
    const why = (): Error => new ConnectionError("closed", `The peer goes away: ${code}`);
    void this.#end(undefined, drain, drain + LEAVE_GRACE, undefined, undefined, why);
    this.#run?.hurry(drain + LEAVE_GRACE);
    return true;
  }

  /** The peer broke the protocol: what was sent before goes out, then FIN; what comes is thrown away. */
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
    void this.#end(error, LINGER_TIME, LINGER_TIME);
  }

  /** The peer is to go: it is told why, then FIN. What it sends is thrown away, and nothing more is answered. */
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

  /** The peer's FIN. */
  finished(): void {
    this.#host.sender.pending.rejectAll(() => closedError("No answer will come", this.#reason ?? "peer-closed"));
    if (this.#asked) this.#run?.hurry(PEER_DRAIN);
    if (!this.#open) return;
    this.#begin("peer-closed");
    void this.#end(undefined, PEER_DRAIN, LINGER_TIME);
  }

  /** The connection is of no use any more. */
  drop(error: Error, reason: CloseReason): void {
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

  /** Settles when nothing comes any more of a native peer that was asked to leave. */
  #peerDone(): Promise<unknown> {
    const over = this.#host.link.source.over();
    // Who asks to leave waits for the other's FIN. Where both ask, the client goes first.
    if (this.#host.side === "server") return over;
    return Promise.race([over, (this.#peerLeaves ??= new ResettablePromise()).promise]);
  }

  /**
   * Finishes what runs within `drain` milliseconds, then says FIN and waits for the peer's for `linger` milliseconds, or for
   * `late` where it took longer. `before` settles when work can be finished at all, and `why` makes what is told at the end.
   */
  async #end(
    error: Error | undefined,
    drain: number,
    linger: number,
    late: number = linger,
    before?: () => Promise<unknown>,
    why: () => unknown = () => error,
  ): Promise<void> {
    const { inbox, link, sender: { pending }, wheel } = this.#host;
    const run = this.#run = new ShutdownRun(wheel, !link.unreffed);
    await run.run(drain, linger, late, {
      work: async () => {
        if (error !== undefined) return;
        await before?.();
        await Promise.all([inbox.idle(), pending.empty()]);
      },
      flushed: () => link.writer.flushed(),
      finish: async () => {
        if (!this.#orderly) link.source.discard();
        await link.finish();
        if (this.#orderly) await inbox.idle();
      },
    });
    this.#over(why, error);
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
