/**
 * The receiving direction of a stream. The peer may send as much as its window allows, and is granted more as the
 * program reads, so that a stream that nobody reads holds at most its window.
 *
 * @module
 */

import { Fifo } from "../../../base/fifo.ts";
import { Timeout, type TimerWheel } from "../../../base/timer_wheel.ts";
import { ProtocolError } from "../../../errors.ts";
import type { ReceivedFrame } from "../../../wire/decoded_frame.ts";
import type { DirectionState, StreamReader } from "../../streams.ts";

/** The stream of a {@linkcode Receiving}. */
export interface ReceivingStream {
  /** Grants the peer `bytes` more. */
  grant(bytes: number): void;
  /** Asks the peer to send no more. */
  sendStop(reason: unknown): void;
}

/** A stream that waits for room for an item. */
export interface ItemHolder {
  retry(): void;
}

/** What the streams of a session share for receiving. */
export interface ReceivingShared {
  /** What a piece costs at least, in bytes. */
  readonly ours: { readonly least: number; readonly window: number };
  /** The largest window, in bytes. */
  readonly maxWindow: number;
  readonly wheel: TimerWheel;
  /** Returns how long a grant of `bytes` has to wait because of the peer's rate limit, in milliseconds. */
  delay(bytes: number): number;
  /**
   * Takes `bytes` for a window. Returns false if there are not so many. If it `grows`, half of the budgets is left to
   * streams that are opened later.
   */
  takeWindow(bytes: number, grows?: boolean): boolean;
  /** Gives back what a window took. */
  giveWindow(bytes: number): void;
  /**
   * Takes room for an item of `bytes`. Returns false if items of other streams have it; `retry` of the stream is called
   * when it can be tried again.
   */
  takeItem(stream: ItemHolder, bytes: number): boolean;
  /** Gives back the room for an item, and asks for it no more. */
  giveItem(stream: ItemHolder, bytes: number): void;
  /** Returns the time, in milliseconds. */
  now(): number;
  /** Calls `done` after one round trip. Returns false if that cannot be measured now. */
  roundTrip(done: () => void): boolean;
}

/** What a round trip is taken for until its answer has come, in milliseconds. */
const LONGEST_TRIP = 5_000;

/** The receiving direction of a stream. */
export class Receiving implements StreamReader, ItemHolder {
  state: DirectionState = "open";
  error: unknown = undefined;
  onChange: (() => void) | undefined = undefined;
  readonly #stream: ReceivingStream;
  readonly #shared: ReceivingShared;
  readonly #chunks = new Fifo<Uint8Array>();
  /** How many bytes of the first chunk were taken. */
  #offset = 0;
  #window: number;
  /** How much the peer may still send, by its cost. */
  #balance: number;
  /** The cost of what was taken and is not granted again yet. */
  #owed = 0;
  /** The cost of all that was taken. */
  #taken = 0;
  /** Whether pieces are thrown away. The peer is `"told"` at once, or by the first piece of a direction that is never read. */
  #stopped: "no" | "silently" | "told" = "no";
  /** How much of the budget is taken, in bytes. */
  #reserved: number;
  /** The size of the item that is gathered, in bytes, if it is larger than the window. */
  #item = 0;
  /** The cost of what was received and is not counted against the peer's rate limit yet. */
  #uncounted = 0;
  /** Exists while a grant waits for the peer's rate limit. */
  #late: Timeout | undefined = undefined;
  /** The cost of all that was received. */
  #received = 0;
  /** How much was received when the current measurement began, or is to be before the next one begins. */
  #measureFrom: number;
  #measuring = false;
  /** When the current measurement began, and how much was taken by then. */
  #measuredAt = 0;
  #takenBefore = 0;
  /** The shortest round trip, in milliseconds. */
  #rtt = LONGEST_TRIP;
  /** True if a round trip was measured for the window as it is. */
  #measured = false;

  /**
   * @param window How much the peer may send at first, in bytes.
   * @param reserved How much of that is taken from the budget already.
   */
  constructor(stream: ReceivingStream, shared: ReceivingShared, window: number, reserved: number) {
    this.#stream = stream;
    this.#shared = shared;
    this.#window = window;
    this.#balance = window;
    this.#reserved = reserved;
    this.#measureFrom = window / 4;
  }

  /** The number of pieces that the peer may still send, its end included. */
  get left(): number {
    if (this.state === "ended" && this.#stopped === "no") return 0;
    return Math.ceil(this.#balance / Math.max(1, this.#shared.ours.least)) + 1;
  }

  /** Called for a piece of `size` bytes. Returns false if it is thrown away. Otherwise {@linkcode piece} gets it. */
  takes(size: number): boolean {
    const cost = Math.max(size, this.#shared.ours.least);
    if (cost > this.#balance) {
      throw new ProtocolError("protocol-error", "The peer sent a piece beyond the window of its stream");
    }
    if (this.state === "ended" && this.#stopped === "no") throw afterEnd();
    this.#balance -= cost;
    if (this.#stopped !== "no") {
      if (this.#stopped === "silently") this.#tell(undefined);
      return false;
    }
    this.#received += cost;
    this.#uncounted += cost;
    return true;
  }

  /**
   * Takes the bytes of a piece that was counted. They may be a view of a buffer that is used again, so the frame is asked
   * for its own ones.
   */
  piece(frame: Pick<ReceivedFrame, "content" | "own">): void {
    this.#chunks.push(frame.own?.() ?? new Uint8Array(frame.content));
    this.onChange?.();
    this.#measure();
  }

  /** Called when the peer sends no more. */
  end(): void {
    if (this.#stopped !== "no") return;
    if (this.state === "ended") throw afterEnd();
    this.#over("ended", undefined);
  }

  /** Called when the stream is over. What was received before the peer's end may still be read. */
  fail(error: unknown): void {
    if (this.state !== "open") return;
    this.#drop();
    this.#over("failed", error);
  }

  /** Called when the stream was answered, which ends this direction, too. */
  finish(): void {
    if (this.state === "open") this.#over("ended", undefined);
  }

  take(): Uint8Array | undefined {
    if (this.#chunks.size === 0) return undefined;
    const chunk = this.#chunks.first!;
    const rest = this.#offset === 0 ? chunk : chunk.slice(this.#offset);
    this.#shift();
    return rest;
  }

  takeInto(view: Uint8Array): number {
    let taken = 0;
    while (taken < view.length && this.#chunks.size > 0) {
      const chunk = this.#chunks.first!;
      const part = chunk.subarray(this.#offset, this.#offset + view.length - taken);
      view.set(part, taken);
      taken += part.length;
      this.#offset += part.length;
      if (this.#offset === chunk.length) this.#shift();
    }
    return taken;
  }

  gathers(size: number): boolean {
    if (this.#item > 0 || size <= this.#shared.ours.window) return true;
    if (!this.#shared.takeItem(this, size)) return false;
    this.#item = size;
    return true;
  }

  gathered(): void {
    if (this.#item === 0) return;
    const bytes = this.#item;
    this.#item = 0;
    this.#shared.giveItem(this, bytes);
  }

  retry(): void {
    this.onChange?.();
  }

  stop(reason: unknown): void {
    if (this.state !== "open") {
      // Nobody reads what is left of an ended direction.
      this.#drop();
      this.release();
      return;
    }
    this.#drop();
    this.state = "failed";
    this.error = reason;
    this.#countRest();
    this.#tell(reason);
    this.release();
  }

  /** Gives the window back to the budget, whatever was read. Nothing more arrives. */
  release(): void {
    this.#shared.giveWindow(this.#reserved);
    this.#reserved = 0;
  }

  /** Reads nothing, from the beginning on. The peer is told if it sends something nevertheless. */
  ignore(): void {
    this.#stopped = "silently";
    this.state = "ended";
  }

  /** Makes the window larger by `bytes`, which the budget has already. */
  widen(bytes: number): void {
    this.#window += bytes;
    this.#reserved += bytes;
    this.#balance += bytes;
    this.#stream.grant(bytes);
  }

  #shift(): void {
    const { length } = this.#chunks.shift();
    this.#offset = 0;
    const cost = Math.max(length, this.#shared.ours.least);
    this.#taken += cost;
    this.#owed += cost;
    if (this.state === "open") this.#grant();
    else if (this.#chunks.size === 0) this.release();
  }

  /** Grants what was taken, half a window at a time. */
  #grant(): void {
    if (this.#owed < this.#window / 2 || this.#late !== undefined) return;
    const bytes = this.#owed;
    this.#uncounted -= bytes;
    const wait = this.#shared.delay(bytes);
    if (wait === 0) this.#pay(bytes);
    else {
      this.#late = new Timeout(() => {
        this.#late = undefined;
        this.#pay(bytes);
        this.#grant();
      });
      this.#shared.wheel.add(this.#late, wait);
    }
  }

  #pay(bytes: number): void {
    this.#owed -= bytes;
    this.#balance += bytes;
    this.#stream.grant(bytes);
  }

  /**
   * Makes the window larger if it is what limits the speed: if a whole window is received and read in little more than a
   * round trip. Pieces come in bursts then, so it does not count what comes between two moments.
   */
  #measure(): void {
    if (this.#window >= this.#shared.maxWindow || this.#received < this.#measureFrom) return;
    if (!this.#measuring) return this.#begin();
    if (this.#received < this.#measureFrom + this.#window) return;
    const ms = this.#shared.now() - this.#measuredAt;
    const before = this.#balance;
    const read = this.#taken - this.#takenBefore >= this.#window / 2;
    const factors = !read || ms > 2 * this.#rtt ? [] : ms > 1.4 * this.#rtt ? [1] : [3, 1];
    const grows = factors.some((factor) => this.#grow(factor * this.#window));
    // What is under way was sent within the smaller window.
    this.#measureFrom = this.#received + (grows ? before : 0);
    this.#measuring = false;
    if (grows) this.#measured = false;
  }

  /** Begins to measure how long a window takes, and a round trip if the last one was before the window grew. */
  #begin(): void {
    const at = this.#shared.now();
    if (!this.#measured) {
      this.#measured = this.#shared.roundTrip(() => {
        this.#rtt = Math.min(this.#rtt, this.#shared.now() - at);
      });
      if (!this.#measured) return;
    }
    this.#measuring = true;
    this.#measureFrom = this.#received;
    this.#measuredAt = at;
    this.#takenBefore = this.#taken;
  }

  /** Makes the window larger by at most `bytes`. Returns false if the budget has no room for that. */
  #grow(bytes: number): boolean {
    const more = Math.min(bytes, this.#shared.maxWindow - this.#window);
    if (!this.#shared.takeWindow(more, true)) return false;
    this.widen(more);
    return true;
  }

  #over(state: "ended" | "failed", error: unknown): void {
    this.state = state;
    this.error = error;
    this.#countRest();
    if (this.#chunks.size === 0) this.release();
    this.onChange?.();
  }

  /** Counts what no grant of this stream will count any more: the next grants of other streams wait for it. */
  #countRest(): void {
    if (this.#late !== undefined) this.#shared.wheel.remove(this.#late);
    this.#late = undefined;
    if (this.#uncounted > 0) this.#shared.delay(this.#uncounted);
    this.#uncounted = 0;
  }

  #drop(): void {
    this.#shared.giveItem(this, this.#item);
    this.#item = 0;
    this.#chunks.clear();
    this.#offset = 0;
  }

  #tell(reason: unknown): void {
    this.#stopped = "told";
    this.#stream.sendStop(reason);
  }
}

function afterEnd(): ProtocolError {
  return new ProtocolError("protocol-error", "The peer sent a piece of a stream after its end");
}
