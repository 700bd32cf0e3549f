/**
 * Writes what a scheduler has queued. An idle connection writes at once. What is queued while a write is in flight, or
 * later in the same turn, follows in one write.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import type { BufferPool } from "./buffer_pool.ts";
import type { Channel } from "./channel.ts";
import { type CloseReason, reasonOf } from "./close_reason.ts";
import type { Flushable, FlushQueue } from "./flush_queue.ts";
import { SendScheduler } from "./send_scheduler.ts";

/** What all write loops of a Server or a Client share. */
export interface WriteLoopShared {
  readonly pool: BufferPool;
  readonly clock: Clock;
  readonly flushes: FlushQueue;
  /** `eager` is true if a write follows the one before it at once, not at the end of the turn. */
  readonly tuning: { readonly eager: boolean };
}

/** Writes one connection. A `FrameWriter` is one: the two halves share an object, as each connection has both. */
export abstract class WriteLoop implements Flushable {
  /** The frames that wait, in order. */
  readonly scheduler: SendScheduler;
  readonly #channel: Pick<Channel, "write">;
  readonly #shared: WriteLoopShared;
  #state: "idle" | "scheduled" | "writing" | "closed" = "idle";
  /** The size of the write in flight, in bytes. */
  #writing = 0;
  #written = 0;
  /** The time at which the last write began, by the clock. */
  lastWrite: number;

  constructor(channel: Pick<Channel, "write">, shared: WriteLoopShared) {
    this.#channel = channel;
    this.#shared = shared;
    this.scheduler = new SendScheduler(shared.pool);
    this.lastWrite = shared.clock.now();
  }

  /** The most bytes of the next write. */
  protected abstract get slice(): number;
  /** Called when the socket has taken `bytes`. */
  protected abstract wrote(bytes: number): void;
  /** Called when `bytes` will not be written because their frames have waited too long. */
  protected abstract dropped(bytes: number): void;
  /** Called when a write fails. */
  protected abstract failed(error: Error, reason: CloseReason): void;

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** The number of bytes that the socket has taken. */
  get written(): number {
    return this.#written;
  }

  /** True if the next frame is written at once. */
  protected get alone(): boolean {
    const { flushes } = this.#shared;
    return this.#state === "idle" && !flushes.open && !flushes.patient;
  }

  /** Called when something was queued. Writes it at once, or at the end of the turn. */
  protected begin(): void {
    if (this.#state !== "idle") return;
    if (this.alone) this.#write();
    else this.#schedule();
  }

  /** Called at the end of a turn. */
  flush(): void {
    if (this.#state === "scheduled") this.#write();
  }

  /** Writes nothing more. */
  protected stop(): void {
    this.#state = "closed";
    this.#shared.flushes.remove(this);
  }

  #write(): void {
    const bytes = this.scheduler.next(this.slice);
    if (bytes === undefined) this.#state = "idle";
    else {
      this.#state = "writing";
      this.#writing = bytes.length;
      this.scheduler.pass(bytes.length);
      this.lastWrite = this.#shared.clock.now();
      this.#channel.write(bytes).then(() => this.#wrote(), (error) => this.#failed(error));
    }
    const dropped = this.scheduler.takeDropped();
    if (dropped > 0) this.dropped(dropped);
  }

  #wrote(): void {
    if (this.#state !== "writing") return;
    const more = this.scheduler.advance(this.#writing);
    this.#written += this.#writing;
    this.wrote(this.#writing);
    // `wrote` may have led to a close.
    if ((this.#state as string) === "closed") return;
    if (more || this.#shared.tuning.eager) this.#write();
    // At most one write a turn, so that everything that this turn still sends goes into the next one.
    else this.#schedule();
  }

  #failed(error: Error): void {
    if (this.#state === "writing") this.failed(error, reasonOf(error));
  }

  #schedule(): void {
    this.#state = "scheduled";
    this.#shared.flushes.add(this);
  }
}
