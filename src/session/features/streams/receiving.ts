/**
 * The receiving direction of a stream. The peer may send as much as its window allows, and is granted more as the
 * program reads, so that a stream that nobody reads holds at most its window.
 *
 * @module
 */

import { Fifo } from "../../../base/fifo.ts";
import { Timeout, type TimerWheel } from "../../../base/timer_wheel.ts";
import { ProtocolError } from "../../../errors.ts";
import type { DirectionState, StreamReader } from "../../streams.ts";

/** The stream of a {@linkcode Receiving}. */
export interface ReceivingStream {
  /** Grants the peer `bytes` more. */
  grant(bytes: number): void;
  /** Asks the peer to send no more. */
  sendStop(reason: unknown): void;
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
  /** Takes `bytes` for a window. Returns false if there are not so many. */
  takeWindow(bytes: number): boolean;
  /** Gives back what a window took. */
  giveWindow(bytes: number): void;
  /** Calls `done` after one round trip. Returns false if that cannot be measured now. */
  roundTrip(done: () => void): boolean;
}

/** How many windows are received after a measurement that led to nothing, before the next one. */
const PATIENCE = 8;

/** The receiving direction of a stream. */
export class Receiving implements StreamReader {
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
  /** The cost of what waits. */
  #unread = 0;
  /** Whether pieces are thrown away. The peer is `"told"` at once, or by the first piece of a direction that is never read. */
  #stopped: "no" | "silently" | "told" = "no";
  /** How much of the budget is taken, in bytes. */
  #reserved: number;
  /** The cost of what was received and is not counted against the peer's rate limit yet. */
  #uncounted = 0;
  /** Exists while a grant waits for the peer's rate limit. */
  #late: Timeout | undefined = undefined;
  /** The cost of all that was received. */
  #received = 0;
  /** How much was received when the last round trip began; -1 while none is measured. */
  #measuredFrom = -1;
  /** The next round trip is measured when this much was received. */
  #measureAt: number;

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
    this.#measureAt = window / 4;
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
    this.#unread += cost;
    return true;
  }

  /** Takes the bytes of a piece. They are copied: they are a view of a buffer that is used again. */
  piece(content: Uint8Array): void {
    this.#chunks.push(new Uint8Array(content));
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
    this.#unread -= cost;
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

  /** Begins to measure a round trip, if the window may grow. */
  #measure(): void {
    if (this.#measuredFrom >= 0 || this.#received < this.#measureAt || this.#window >= this.#shared.maxWindow) return;
    if (this.#shared.roundTrip(() => this.#measured())) this.#measuredFrom = this.#received;
  }

  /** Doubles the window if most of it was used within the round trip, and the program reads as fast. */
  #measured(): void {
    const used = this.#received - this.#measuredFrom;
    this.#measuredFrom = -1;
    if (this.state !== "open") return;
    const more = Math.min(this.#window, this.#shared.maxWindow - this.#window);
    const grows = used >= this.#window / 2 && this.#unread <= this.#window / 2 && this.#shared.takeWindow(more);
    if (grows) this.widen(more);
    this.#measureAt = this.#received + (grows ? 0 : PATIENCE * this.#window);
  }

  #over(state: "ended" | "failed", error: unknown): void {
    this.state = state;
    this.error = error;
    this.#countRest();
    if (this.#chunks.size === 0) this.release();
    this.onChange?.();
  }

  /** Counts what no grant will count any more, so that many short streams are slowed down like one long one. */
  #countRest(): void {
    if (this.#late !== undefined) this.#shared.wheel.remove(this.#late);
    this.#late = undefined;
    if (this.#uncounted > 0) this.#shared.delay(this.#uncounted);
    this.#uncounted = 0;
  }

  #drop(): void {
    this.#chunks.clear();
    this.#unread = 0;
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
