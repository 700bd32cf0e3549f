/**
 * What became of the messages of one connection. A message counts as delivered when an answer to something sent after it
 * came back; PINGs are sent as such barriers. What was passed to the socket without such an answer is uncertain when the
 * connection ends, and what never was is lost.
 *
 * @module
 */

import { Fifo } from "../base/fifo.ts";
import type { FrameWriter } from "../link/frame_writer.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** A barrier goes out after this many messages. */
const BARRIER_MESSAGES = 256;
/** And this long after a message without one, in milliseconds. */
const BARRIER_MS = 1_000;
/** Of so many at most the answer is waited for at the same time; the next one goes out after that. */
const MOST_BARRIERS = 16;

/** Numbers of messages, in the order they were sent: first the delivered ones, then the uncertain ones, then the lost. */
export interface DeliveryCounts {
  /** The peer has them. */
  readonly delivered: number;
  /** The peer may have them. */
  readonly uncertain: number;
  /** The peer never got them. */
  readonly lost: number;
}

/** What proves the messages before it: a PING that was sent after them. */
export interface Barrier {
  /** How many messages its answer shows to be delivered. */
  readonly covers: number;
}

/** How messages are proven. */
export interface DeliveriesHost {
  /** Sends a barrier after all messages; its answer calls {@linkcode DeliveryLog.deliver}. `undefined` if it can't be sent. */
  barrier(): Barrier | undefined;
  /** Nothing depends on the answer of a barrier any more, which may have come. */
  outdated(barrier: Barrier): void;
}

/**
 * Counts the messages of one connection. It holds a number for each message that still waits in the frame writer, and at most
 * {@linkcode MOST_BARRIERS} barriers, whatever the peer leaves unanswered.
 */
export class DeliveryLog {
  readonly #writer: FrameWriter;
  readonly #wheel: TimerWheel;
  readonly #host: DeliveriesHost;
  readonly #timer: Timeout;
  #sent = 0;
  #delivered = 0;
  /** Messages that the last barrier covers. */
  #covered = 0;
  /** Where each message ends that was not passed to the socket when this was looked at, in bytes of the frame writer's ordered frames. */
  readonly #ends = new Fifo<number>();
  /** Those that are not known to be answered or outdated. */
  #barriers: Barrier[] = [];
  /** Whether a barrier is to be sent as soon as there are fewer. */
  #due = false;

  /**
   * @param writer Where the messages go.
   * @param wheel For barriers after a time.
   * @param host Sends barriers.
   */
  constructor(writer: FrameWriter, wheel: TimerWheel, host: DeliveriesHost) {
    this.#writer = writer;
    this.#wheel = wheel;
    this.#host = host;
    this.#timer = new Timeout(() => this.cover());
  }

  /** Messages taken so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Counts the message that was just taken by the frame writer. */
  take(): void {
    this.#sent++;
    this.#pass();
    this.#ends.push(this.#writer.scheduler.taken);
    if (this.#due) return;
    if (this.#sent - this.#covered >= BARRIER_MESSAGES) this.cover();
    else if (this.#timer.tick < 0) this.#wheel.add(this.#timer, BARRIER_MS);
  }

  /** Sends a barrier, if there is anything to cover; where too many are unanswered, when one of them is, or if it is the `last`. */
  cover(last = false): void {
    this.#wheel.remove(this.#timer);
    if (this.#covered === this.#sent) return;
    this.#due = !last && this.#crowded;
    if (this.#due) return;
    this.#covered = this.#sent;
    const barrier = this.#host.barrier();
    if (barrier !== undefined) this.#barriers.push(barrier);
  }

  /** An answer came to what was sent after the first `count` messages. */
  deliver(count: number): void {
    if (count <= this.#delivered) return;
    this.#delivered = count;
    if (this.#due) this.cover();
  }

  /** How it stands. */
  get counts(): DeliveryCounts {
    this.#pass();
    const passed = Math.max(this.#delivered, this.#sent - this.#ends.size);
    return { delivered: this.#delivered, uncertain: passed - this.#delivered, lost: this.#sent - passed };
  }

  /** Ends it. */
  stop(): void {
    this.#wheel.remove(this.#timer);
  }

  /** Forgets where messages end that were passed to the socket. */
  #pass(): void {
    const { passed } = this.#writer.scheduler;
    while (this.#ends.size > 0 && this.#ends.first! <= passed) this.#ends.shift();
  }

  /** Whether as many barriers are unanswered as may be. */
  get #crowded(): boolean {
    if (this.#barriers.length < MOST_BARRIERS) return false;
    const left: Barrier[] = [];
    for (const barrier of this.#barriers) {
      if (barrier.covers > this.#delivered) left.push(barrier);
      else this.#host.outdated(barrier);
    }
    this.#barriers = left;
    return left.length >= MOST_BARRIERS;
  }
}
