/**
 * One direction of a memory connection: a bounded buffer that behaves like that of a socket. Bytes arrive in a later
 * turn of the event loop, never within the call that wrote them.
 *
 * @module
 */

import type { Clock, TimerHandle } from "../base/clock.ts";
import type { ChunkReader } from "../transport.ts";
import { type Faults, FaultScript, type Step } from "./faults.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { systemError } from "./system_errors.ts";

/** The parts and limits of a {@linkcode Pipe}. */
export interface PipeOptions {
  /** The most bytes that it holds. */
  readonly size: number;
  /** The largest chunk of one read, in bytes. */
  readonly chunkSize: number;
  /** The clock for delays. */
  readonly clock: Clock;
  /** Calls `fn` in a later turn of the event loop. */
  readonly turn: (fn: () => void) => void;
  /** The faults of this direction. */
  readonly faults: Faults | undefined;
  /** Resets the whole connection. */
  readonly reset: () => void;
}

type Item = (Step | { readonly kind: "fin" }) & { readonly due: number };

/** A bounded pipe for bytes. */
export class Pipe {
  readonly #options: PipeOptions;
  readonly #script: FaultScript;
  readonly #chunks = new ChunkQueue(Infinity, { pause: () => {}, resume: () => {} });
  #line: Item[] = [];
  #held = 0;
  #arrived = 0;
  #source: (PromiseWithResolvers<void> & { readonly bytes: Uint8Array; taken: number }) | undefined;
  #error: Error | undefined;
  #frozen = false;
  #paused = false;
  #scheduled = false;
  #timer: TimerHandle | undefined;
  #readerGone = false;

  constructor(options: PipeOptions) {
    this.#options = options;
    this.#script = new FaultScript(options.faults ?? {});
    this.#enqueue(this.#script.start());
  }

  /** True while bytes have arrived that nobody has read. */
  get unread(): boolean {
    return this.#arrived > 0;
  }

  /** Resolves when the pipe has taken all of `bytes`. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#error) return Promise.reject(this.#error);
    this.#source = { bytes, taken: 0, ...Promise.withResolvers<void>() };
    const { promise } = this.#source;
    this.#fill();
    return promise;
  }

  /** Sends FIN after all bytes. */
  finish(): Promise<void> {
    if (this.#error) return Promise.reject(this.#error);
    if (!this.#script.stopped) this.#enqueue([{ kind: "fin" }]);
    return Promise.resolve();
  }

  /** Delivers nothing until {@linkcode release}. Writing stays pending once the pipe is full. */
  hold(): void {
    this.#paused = true;
  }

  /** Goes on after {@linkcode hold}. */
  release(): void {
    this.#paused = false;
    if (this.#line.length > 0) this.#schedule();
  }

  /** Loses what is under way and what is written from now on, FIN included. */
  drop(): void {
    this.#script.stop();
    for (const item of this.#line) if (item.kind === "bytes") this.#held -= item.bytes.length;
    this.#line = [];
    this.#fill();
  }

  /** Delivers FIN after what is under way, and loses what is written from now on. */
  close(): void {
    if (this.#error || this.#script.stopped) return;
    this.#enqueue([{ kind: "close" }]);
    this.#script.stop();
  }

  /** Passes the next chunk or the end to `reader`, at once or later. */
  read(reader: ChunkReader): void {
    this.#chunks.read({
      received: (chunk, error) => {
        if (chunk) {
          this.#held -= chunk.length;
          this.#arrived -= chunk.length;
          this.#fill();
        }
        reader.received(chunk, error);
      },
    });
  }

  /**
   * Called when the writing side is gone. What it has not yet passed to the pipe is lost. What the pipe holds still
   * arrives.
   */
  abandon(): void {
    this.#source = undefined;
    this.finish().catch(() => {});
  }

  /** Called when the reading side is gone. Bytes that arrive after that reset the connection. */
  shut(): void {
    this.#readerGone = true;
    this.#chunks.clear();
    if (this.#held > 0) this.#schedule();
  }

  /** Breaks the pipe. What has arrived can still be read. The rest is lost. */
  break(error: Error): void {
    if (this.#error) return;
    this.#error = error;
    this.#line = [];
    if (this.#timer !== undefined) this.#options.clock.clearTimeout(this.#timer);
    this.#source?.reject(error);
    this.#source = undefined;
    this.#chunks.end(error);
  }

  #fill(): void {
    const source = this.#source;
    if (!source || this.#error) return;
    while (source.taken < source.bytes.length && this.#held < this.#options.size) {
      const end = Math.min(source.bytes.length, source.taken + this.#options.size - this.#held);
      const piece = new Uint8Array(source.bytes.subarray(source.taken, end));
      source.taken = end;
      this.#enqueue(this.#script.play(piece));
    }
    if (source.taken < source.bytes.length) return;
    this.#source = undefined;
    source.resolve();
  }

  #enqueue(steps: (Step | { readonly kind: "fin" })[]): void {
    if (steps.length === 0) return;
    const due = this.#options.clock.now() + this.#script.delay;
    for (const step of steps) {
      this.#line.push({ ...step, due });
      if (step.kind === "bytes") this.#held += step.bytes.length;
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.turn(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (this.#line.length > 0 && !this.#frozen && !this.#paused && this.#timer === undefined) {
      const item = this.#line[0]!;
      const wait = item.due - this.#options.clock.now();
      if (wait > 0) {
        this.#timer = this.#options.clock.setTimeout(() => {
          this.#timer = undefined;
          this.#deliver();
        }, wait);
        return;
      }
      this.#line.shift();
      this.#happen(item);
    }
  }

  #happen(item: Item): void {
    switch (item.kind) {
      case "bytes":
        if (this.#readerGone) return this.#options.reset();
        return this.#arrive(item.bytes);
      case "freeze":
        this.#frozen = true;
        return void item.until.then(() => {
          this.#frozen = false;
          this.#schedule();
        });
      case "reset":
        return this.#options.reset();
      case "close":
      case "fin":
        return this.#chunks.end();
    }
  }

  #arrive(bytes: Uint8Array): void {
    const { chunkSize } = this.#options;
    this.#arrived += bytes.length;
    for (let from = 0; from < bytes.length; from += chunkSize) {
      this.#chunks.push(bytes.subarray(from, from + chunkSize));
    }
  }
}

/** Returns the error of a connection that was reset. */
export function resetError(): Error {
  return systemError("ECONNRESET");
}
