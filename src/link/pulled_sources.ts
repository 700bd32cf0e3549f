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
   * Sends one frame. Returns false if there is nothing more to send for now: the source is not asked again until it is
   * added again. One that returns true without a frame is asked again after the next write. It must not throw.
   */
  pull(): boolean;
}

/** Something that gathers small writes. */
export interface PushedSource {
  /** Sends what was gathered. It must not throw. */
  push(): void;
}

/** The positions of a scheduler that tell what was queued and what was written. */
type Positions = Pick<SendScheduler, "passed" | "spared" | "taken" | "urgentPassed" | "urgentTaken">;

/** How much may wait on the connection of some sources. */
export interface PulledRoom {
  /** The most bytes of all sources that may wait, however fast the connection is. */
  readonly most: number;
  /** Returns whether all connections together have no room: each may have one frame then. */
  crowded(): boolean;
  /** Returns whether no source may send anything now. */
  closed(): boolean;
}

interface Waiting {
  readonly end: number;
  readonly size: number;
}

/** The sources of one connection that have something to send. They take turns of one frame. */
export class PulledSources {
  readonly #scheduler: Positions;
  readonly #room: PulledRoom;
  readonly #ready = new Fifo<PulledSource>();
  /** The frames that wait among the ordered bytes, by their end. */
  readonly #ordered = new Fifo<Waiting>();
  /** Those that overtake held messages. Created when there is one. */
  #urgent: Fifo<Waiting> | undefined = undefined;
  #bytes = 0;
  #most: number;
  #pulling = false;

  constructor(scheduler: Positions, room: PulledRoom) {
    this.#scheduler = scheduler;
    this.#room = room;
    this.#most = Math.min(PULLED_BYTES, room.most);
  }

  /** Adds a source that has something to send. */
  add(source: PulledSource): void {
    this.#ready.push(source);
    this.#pull();
  }

  /** True if there is room for a frame. */
  get roomy(): boolean {
    return !this.#room.closed() && this.#bytes < (this.#room.crowded() ? 1 : this.#most);
  }

  /** Counts what `source` sends now, whether there is room or not. */
  push(source: PushedSource): void {
    const { spared, taken, urgentTaken } = this.#scheduler;
    source.push();
    // Whoever is being asked is counted by its caller.
    if (!this.#pulling) this.#queued(spared, taken, urgentTaken);
  }

  /** Called when the socket has taken bytes, in a write of `ms` milliseconds. */
  wrote(ms: number): void {
    this.#most = Math.min(ms > SLOW_WRITE_MS ? PULLED_BYTES_SLOW : PULLED_BYTES, this.#room.most);
    this.#written(this.#ordered, this.#scheduler.passed);
    if (this.#urgent !== undefined) this.#written(this.#urgent, this.#scheduler.urgentPassed);
    this.#pull();
  }

  /** Called when sources may send something again. */
  opened(): void {
    this.#pull();
  }

  /** Asks no source any more. */
  close(): void {
    this.#ready.clear();
  }

  #written(waiting: Fifo<Waiting>, passed: number): void {
    for (let first = waiting.first; first !== undefined && first.end <= passed; first = waiting.first) {
      this.#bytes -= waiting.shift().size;
    }
  }

  #pull(): void {
    // A source may add another one.
    if (this.#pulling) return;
    this.#pulling = true;
    // The number of sources in a row that had no frame.
    let empty = 0;
    while (this.#ready.size > empty && this.roomy) {
      const source = this.#ready.shift();
      const { spared, taken, urgentTaken } = this.#scheduler;
      const more = source.pull();
      const size = this.#queued(spared, taken, urgentTaken);
      empty = size > 0 ? 0 : more ? empty + 1 : empty;
      if (more) this.#ready.push(source);
    }
    this.#pulling = false;
  }

  /**
   * Counts what was queued since the scheduler had these positions. Returns its size. What was compressed counts with the
   * size that it had before: otherwise a source that shrinks well could compress megabytes in one turn.
   */
  #queued(spared: number, taken: number, urgentTaken: number): number {
    const { spared: sparedNow, taken: end, urgentTaken: urgentEnd } = this.#scheduler;
    const more = sparedNow - spared;
    const size = end > taken ? end - taken + more : 0;
    if (size > 0) this.#ordered.push({ end, size });
    const urgent = urgentEnd > urgentTaken ? urgentEnd - urgentTaken + (size > 0 ? 0 : more) : 0;
    if (urgent > 0) (this.#urgent ??= new Fifo()).push({ end: urgentEnd, size: urgent });
    this.#bytes += size + urgent;
    return size + urgent;
  }
}
