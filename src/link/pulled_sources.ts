/**
 * Sources whose frames are made only when there is room for them. However much the sources of a connection have to send, no
 * more than a fixed number of their bytes wait in the outgoing buffer, and one frame. Messages and PINGs never wait for
 * more than that.
 *
 * @module
 */

import { Fifo } from "../base/fifo.ts";
import type { SendScheduler } from "./send_scheduler.ts";

/** The most bytes of all sources of one connection that wait to be sent. */
export const PULLED_BYTES: number = 256 * 1024;
/** The same after a write that took longer than {@linkcode SLOW_WRITE_MS}. */
const PULLED_BYTES_SLOW = 32 * 1024;
const SLOW_WRITE_MS = 20;

/** Something that has frames to send, one after the other. */
export interface PulledSource {
  /**
   * Sends one frame, in the order of messages, as frames that overtake them are not counted. Returns false if there is nothing more to send for now: the source is not
   * asked again until it is added again. It must not throw.
   */
  pull(): boolean;
}

/** The sources of one connection that have something to send. They take turns of one frame. */
export class PulledSources {
  readonly #scheduler: Pick<SendScheduler, "passed" | "taken">;
  readonly #ready = new Fifo<PulledSource>();
  /** The frames that wait, by their end in the ordered bytes. */
  readonly #waiting = new Fifo<{ readonly end: number; readonly size: number }>();
  #bytes = 0;
  #most = PULLED_BYTES;
  #pulling = false;

  constructor(scheduler: Pick<SendScheduler, "passed" | "taken">) {
    this.#scheduler = scheduler;
  }

  /** Adds a source that has something to send. */
  add(source: PulledSource): void {
    this.#ready.push(source);
    this.#pull();
  }

  /** Called when the socket has taken bytes, in a write of `ms` milliseconds. */
  wrote(ms: number): void {
    this.#most = ms > SLOW_WRITE_MS ? PULLED_BYTES_SLOW : PULLED_BYTES;
    const { passed } = this.#scheduler;
    for (let first = this.#waiting.first; first !== undefined && first.end <= passed; first = this.#waiting.first) {
      this.#bytes -= this.#waiting.shift().size;
    }
    this.#pull();
  }

  /** Asks no source any more. */
  close(): void {
    this.#ready.clear();
  }

  #pull(): void {
    // A source may add another one.
    if (this.#pulling) return;
    this.#pulling = true;
    while (this.#ready.size > 0 && this.#bytes < this.#most) {
      const source = this.#ready.shift();
      const before = this.#scheduler.taken;
      const more = source.pull();
      const end = this.#scheduler.taken;
      const size = end - before;
      if (size > 0) {
        this.#waiting.push({ end, size });
        this.#bytes += size;
        // A source that sends nothing would be asked for ever.
        if (more) this.#ready.push(source);
      }
    }
    this.#pulling = false;
  }
}
