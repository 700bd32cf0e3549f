/**
 * Writes what a scheduler has queued. An idle connection writes at once. What is queued while a write is in flight, or
 * later in the same turn, follows in one write.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { realTime } from "../base/real_time.ts";
import type { ChunkWriter } from "../transport.ts";
import type { BufferPool } from "./buffer_pool.ts";
import type { Channel } from "./channel.ts";
import { type CloseReason, reasonOf } from "./close_reason.ts";
import type { Flushable, FlushQueue } from "./flush_queue.ts";
import type { KeptBytes } from "./kept_bytes.ts";
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
export abstract class WriteLoop implements Flushable, ChunkWriter {
  /** The frames that wait, in order. */
  readonly scheduler: SendScheduler;
  #channel: Pick<Channel, "writeTo">;
  readonly #shared: WriteLoopShared;
  /** `"taken"` if the socket has taken a write that counts as written at the end of the turn, `"away"` without a connection. */
  #state: "idle" | "scheduled" | "writing" | "taken" | "away" | "closed" = "idle";
  /** True while `writeTo` of the connection is being called. */
  #calling = false;
  /** What was written and is not acknowledged; `undefined` if nothing is kept. */
  #kept: KeptBytes | undefined = undefined;
  /** Called before something is written, so that more can go with it. */
  #rider: (() => void) | undefined = undefined;
  /** True while the write in flight is one of bytes that were written before. */
  #again = false;
  /** The size of the write in flight, in bytes. */
  #writing = 0;
  #written = 0;
  /** The time at which the last write began, by the clock. */
  lastWrite: number;

  constructor(channel: Pick<Channel, "writeTo">, shared: WriteLoopShared) {
    this.#channel = channel;
    this.#shared = shared;
    this.scheduler = new SendScheduler(shared.pool);
    this.lastWrite = shared.clock.now();
  }

  /** The most bytes of the next write. */
  protected abstract get slice(): number;
  /** Called after a write. `bytes` is how many bytes no longer wait; 0 if they were written before. */
  protected abstract wrote(bytes: number): void;
  /** Called when `bytes` will not be written because their frames have waited too long. */
  protected abstract dropped(bytes: number): void;
  /** Called when a write fails. */
  protected abstract failed(error: Error, reason: CloseReason): void;

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** True while there is no connection. */
  get away(): boolean {
    return this.#state === "away";
  }

  /** What was written and is not acknowledged; `undefined` if nothing is kept. */
  get kept(): KeptBytes | undefined {
    return this.#kept;
  }

  /**
   * Keeps what is written from now on. Called before anything is written. More bytes than may be kept end the session.
   * `rider` is called before a write, and may queue more.
   */
  keep(kept: KeptBytes, rider: () => void): void {
    this.#kept = kept;
    this.#rider = rider;
    this.scheduler.keep(kept.buffer);
  }

  /** The number of bytes that sockets have taken. Those that were written again are counted again. */
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
    else this.#schedule("scheduled");
  }

  /** Called at the end of a turn. */
  flush(): void {
    if (this.#state === "scheduled") this.#write();
    else if (this.#state === "taken") this.#wrote(true);
  }

  /** Leaves the connection. The bytes of the write in flight count as written, and are kept. */
  protected leave(): void {
    const writing = this.#state === "writing" || this.#state === "taken";
    this.#state = "away";
    this.#shared.flushes.remove(this);
    this.#kept!.cut();
    if (!writing) return;
    const size = this.#writing;
    this.#written += size;
    if (!this.#again) this.scheduler.advance(size);
    this.wrote(this.#again ? 0 : size);
  }

  /** Goes on over another connection. What is kept is written again first. Returns how many bytes that is. */
  protected enter(channel: Pick<Channel, "writeTo">): number {
    this.#channel = channel;
    this.#state = "idle";
    const size = this.#kept!.rewind();
    this.begin();
    return size;
  }

  /** Writes nothing more. */
  protected stop(): void {
    this.#state = "closed";
    this.#shared.flushes.remove(this);
  }

  #write(): void {
    const { scheduler } = this;
    const kept = this.#kept;
    const again = this.#again = kept?.rewound === true;
    if (kept !== undefined && !again && scheduler.ready) {
      // What the rider queues goes into this write.
      this.#state = "writing";
      this.#rider!();
    }
    const bytes = again ? kept!.next(this.slice) : scheduler.next(this.slice);
    if (bytes === undefined) this.#state = "idle";
    else {
      this.#state = "writing";
      this.#writing = bytes.length;
      if (!again) this.#pass(bytes);
      this.lastWrite = this.#shared.clock.now();
      const channel = this.#channel;
      const writer = kept === undefined ? this : {
        taken: (error?: unknown): void => {
          if (channel === this.#channel) this.taken(error);
        },
      };
      this.#calling = true;
      channel.writeTo(bytes, writer);
      this.#calling = false;
    }
    const dropped = scheduler.takeDropped();
    if (dropped > 0) this.dropped(dropped);
  }

  /** Counts bytes as passed to the socket, and keeps them after a call of {@linkcode keep}. */
  #pass(bytes: Uint8Array): void {
    const { scheduler } = this;
    if (this.#kept === undefined) scheduler.pass(bytes.length);
    else {
      const { passed, segment } = scheduler;
      scheduler.pass(bytes.length);
      this.#kept.add(bytes, segment, passed, scheduler.passed);
    }
  }

  /** Called by the connection when it has taken the bytes, or with an error. */
  taken(error?: unknown): void {
    if (this.#state !== "writing") return;
    const { flushes, tuning } = this.#shared;
    const done = error === undefined || error === null;
    if (!this.#calling) {
      if (done) this.#wrote(false);
      else this.failed(error as Error, reasonOf(error));
    } else if (done && !tuning.eager && !flushes.patient) this.#schedule("taken");
    else {
      const channel = this.#channel;
      // A handler may be sending this, so what follows from the write has to wait.
      realTime.queueMicrotask(() => {
        if (channel === this.#channel) this.taken(error);
      });
    }
  }

  /** Goes on after a write. `ended` is true at the end of a turn. */
  #wrote(ended: boolean): void {
    this.#state = "writing";
    const again = this.#again;
    const more = again || this.scheduler.advance(this.#writing);
    this.#kept?.settled();
    this.#written += this.#writing;
    this.wrote(again ? 0 : this.#writing);
    // `wrote` may have led to the end of the connection.
    if ((this.#state as string) !== "writing") return;
    if (more || ended || this.#shared.tuning.eager) this.#write();
    // What this turn still sends goes into one write.
    else this.#schedule("scheduled");
  }

  #schedule(state: "scheduled" | "taken"): void {
    this.#state = state;
    this.#shared.flushes.add(this);
  }
}
