/**
 * How one connection ends: once, for one reason, in good order where the peer takes part in that.
 *
 * @module
 */

import { ConnectionError, type ProtocolError, type Refusal } from "../errors.ts";
import { closedError, type CloseReason, reasonOf } from "../link/close_reason.ts";
import { ShutdownRun } from "./shutdown_steps.ts";
import { type Channel, LINGER_BYTES, LINGER_TIME } from "../link/channel.ts";
import type { Parting, PeerParting } from "./parting.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import type { FrameSource } from "../link/frame_source.ts";
import type { Inbox } from "./owner.ts";
import type { Sender } from "./sender.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";

/** How long running handlers may still answer a peer that has finished sending, in milliseconds. */
const PEER_DRAIN = 5_000;
/** How long the peer's FIN is waited for where handlers took longer than they may, in milliseconds. */
const LATE_LINGER = 100;
/** How much later than it may take the peer is cut, in milliseconds: it lingers, and what it said had to get here. */
const LEAVE_GRACE = LINGER_TIME + 1_000;

/** What is ended, and hears of it. */
export interface ShutdownHost {
  readonly channel: Channel;
  /** Which end this is. */
  readonly side: "client" | "server";
  /** Whether the peer understands GOAWAY. */
  readonly canGoAway: boolean;
  /** Tells it that this side goes away. */
  goAway(reason: CloseReason, how: Parting): void;
  /** How long a peer that goes away may take at most, in milliseconds. */
  readonly maxDrain: number;
  /** For time limits. */
  readonly wheel: TimerWheel;
  /** What it says. */
  readonly sender: Sender;
  /** What it hears. */
  readonly source: FrameSource;
  /** Takes messages, and knows which handlers run. */
  readonly inbox: Inbox;
  /** It stopped being open: nothing more can be sent. */
  closing(): void;
  /** It is over, nothing is read or written any more. Called once; `why` makes the error that caused it, if there is one. */
  ended(reason: CloseReason, why: () => unknown): void;
}

/** The end of one connection, and its state until then. */
export class Shutdown {
  readonly #host: ShutdownHost;
  #state: "open" | "closing" | "closed" = "open";
  #orderly = false;
  #reason: CloseReason | undefined = undefined;
  /** Whether the peer asked for it. */
  #asked = false;
  #run: ShutdownRun | undefined = undefined;
  /** Whether the peer said that it goes away. */
  #told = false;
  /** Released when it did. */
  #peerLeaves: ResettablePromise | undefined = undefined;
  #unref = false;
  /** When the peer that goes away may be asked again, in milliseconds; 0 where it did not say. */
  retryAfter = 0;
  /** What the peer said that shut this side out. */
  refusal: Refusal | undefined = undefined;

  /** @param host What is ended, and hears of it. */
  constructor(host: ShutdownHost) {
    this.#host = host;
  }

  /** Whether messages can be sent. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** True from the moment that the peer says that it goes away until it is over; false where this side was first. */
  get leaving(): boolean {
    return this.#asked && this.#state !== "closed";
  }

  /** Whether the peer said that it goes away: no message may follow. */
  get told(): boolean {
    return this.#told;
  }

  /** Whether it is over. */
  get over(): boolean {
    return this.#state === "closed";
  }

  /** Whether messages are still handed out: it is open, or both peers take part in the end. */
  get serving(): boolean {
    return this.#state === "open" || this.#orderly;
  }

  /** Why, as soon as it begins. */
  get reason(): CloseReason | undefined {
    return this.#reason;
  }

  /** Lets the process end meanwhile. */
  unref(): void {
    this.#unref = true;
  }

  /**
   * This side ends it: see `Session.close`.
   *
   * @param reason Why.
   * @param how How long it may take, and what the peer is told.
   */
  close(reason: CloseReason, how: Parting): void {
    const { drain } = how;
    if (this.#state !== "open") {
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
    if (this.#state !== "open") return true;
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
    const { source, sender } = this.#host;
    source.discard(LINGER_BYTES);
    sender.pending.rejectAll(() => closedError("No answer will come", reasonOf(error), error));
    this.#orderly = false;
    if (this.#state !== "open") {
      this.#run?.hurry(LINGER_TIME);
      return;
    }
    this.#begin(reasonOf(error));
    void this.#end(error, LINGER_TIME, LINGER_TIME);
  }

  /** The peer is to go: it is told why, then FIN. What it sends is thrown away, and nothing more is answered. */
  expel(reason: CloseReason, how?: Parting): void {
    const { inbox, canGoAway, source, sender } = this.#host;
    source.discard();
    inbox.close();
    sender.pending.rejectAll(() => closedError("No answer will come", reason));
    this.#orderly = false;
    if (this.#state !== "open") {
      this.#run?.hurry(LINGER_TIME);
      return;
    }
    this.#begin(reason);
    if (canGoAway) this.#host.goAway(reason, { ...how, drain: LINGER_TIME });
    void this.#end(undefined, LINGER_TIME, LINGER_TIME);
  }

  /** The peer's FIN. */
  finished(): void {
    const { sender } = this.#host;
    // Nothing is granted any more.
    sender.writer.ungranted();
    sender.pending.rejectAll(() => closedError("No answer will come", this.#reason ?? "peer-closed"));
    if (this.#asked) this.#run?.hurry(PEER_DRAIN);
    if (this.#state !== "open") return;
    this.#begin("peer-closed");
    void this.#end(undefined, PEER_DRAIN, LINGER_TIME);
  }

  /** The connection is of no use any more. */
  drop(error: Error, reason: CloseReason): void {
    if (this.#state === "closed") return;
    this.#begin(reason);
    this.#host.channel.abort(error);
    this.#over(() => error);
  }

  #begin(reason: CloseReason): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#reason = reason;
    this.#host.closing();
  }

  /** Settles when nothing comes any more of a native peer that was asked to leave. */
  #peerDone(): Promise<unknown> {
    const over = this.#host.source.over();
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
    const { channel, inbox, source, sender: { writer, pending }, wheel } = this.#host;
    const run = this.#run = new ShutdownRun(wheel, !this.#unref);
    await run.run(drain, linger, late, {
      work: async () => {
        if (error !== undefined) return;
        await before?.();
        await Promise.all([inbox.idle(), pending.empty()]);
      },
      flushed: () => writer.flushed(),
      finish: async () => {
        if (!this.#orderly) source.discard();
        // Nothing is written after FIN, not even a PONG.
        writer.close();
        await Promise.all([channel.closeWrite().catch(() => {}), source.over()]);
        if (this.#orderly) await inbox.idle();
      },
    });
    channel.abort(error);
    this.#over(why);
  }

  #over(make: () => unknown): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#orderly = false;
    this.#run?.cut();
    const { inbox, source, sender } = this.#host;
    sender.close();
    inbox.close();
    source.discard();
    // Mostly nobody asks, and an error with its stack costs more than all the rest.
    let made: { readonly error: unknown } | undefined;
    const why = (): unknown => (made ??= { error: make() }).error;
    sender.pending.rejectAll(() => closedError("No answer will come", this.#reason, why()));
    this.#host.ended(this.#reason!, why);
  }
}
