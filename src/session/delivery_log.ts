/**
 * Records what became of the messages of one connection. A message counts as delivered once the answer to something
 * that was sent after it has arrived. PINGs are sent for this purpose; they are called barriers. When the connection
 * ends, messages that were passed to the socket without such an answer are uncertain. Those that were not passed to the
 * socket are lost.
 *
 * @module
 */

import { Fifo } from "../base/fifo.ts";
import type { FrameWriter } from "../link/frame_writer.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** A barrier is sent after this many messages. */
const BARRIER_MESSAGES = 256;
/** A barrier is also sent this long after a message that none covers, in milliseconds. */
const BARRIER_MS = 1_000;
/** The most barriers that may be unanswered at the same time. The next one is sent when there are fewer. */
const MOST_BARRIERS = 16;

/** The numbers of messages. The delivered ones were sent first, then the uncertain ones, then the lost ones. */
export interface DeliveryCounts {
  /** The number of messages that the peer has received. */
  readonly delivered: number;
  /** The number of messages that the peer may have received. */
  readonly uncertain: number;
  /** The number of messages that the peer never received. */
  readonly lost: number;
}

/** A PING whose answer proves that the messages sent before it were delivered. */
export interface Barrier {
  /** The number of messages that its answer proves to be delivered, from the first one on. */
  readonly covers: number;
}

/** Sends the barriers of a {@linkcode DeliveryLog}. */
export interface DeliveriesHost {
  /**
   * Sends a barrier after all messages so far. Its answer calls {@linkcode DeliveryLog.deliver}. Returns `undefined` if
   * it cannot be sent.
   */
  barrier(): Barrier | undefined;
  /** Called when the answer of a barrier is no longer needed. It may have arrived already. */
  outdated(barrier: Barrier): void;
}

/**
 * Counts the messages of one connection. It keeps a number for each message that still waits in the frame writer. It
 * keeps at most {@linkcode MOST_BARRIERS} barriers, even if the peer answers none.
 */
export class DeliveryLog {
  readonly #writer: FrameWriter;
  readonly #wheel: TimerWheel;
  readonly #host: DeliveriesHost;
  readonly #timer: Timeout;
  #sent = 0;
  #delivered = 0;
  /** The number of messages that the last barrier covers. */
  #covered = 0;
  /**
   * The end of each message that had not been passed to the socket at the last check, as a position in the ordered
   * bytes of the send scheduler.
   */
  readonly #ends = new Fifo<number>();
  /** The barriers that are not known to be answered or outdated. */
  #barriers: Barrier[] = [];
  /** True if a barrier is to be sent as soon as fewer are unanswered. */
  #due = false;

  /**
   * @param writer Sends the messages.
   * @param wheel Runs the timer for barriers.
   * @param host Sends the barriers.
   */
  constructor(writer: FrameWriter, wheel: TimerWheel, host: DeliveriesHost) {
    this.#writer = writer;
    this.#wheel = wheel;
    this.#host = host;
    this.#timer = new Timeout(() => this.cover());
  }

  /** The number of messages counted so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Counts the message that the frame writer has just taken. */
  take(): void {
    this.#sent++;
    this.#pass();
    this.#ends.push(this.#writer.scheduler.taken);
    if (this.#due) return;
    if (this.#sent - this.#covered >= BARRIER_MESSAGES) this.cover();
    else if (this.#timer.tick < 0) this.#wheel.add(this.#timer, BARRIER_MS);
  }

  /**
   * Sends a barrier if there are messages that none covers. While too many barriers are unanswered, a barrier is put
   * off until one of them is answered, unless it is the `last` one.
   */
  cover(last = false): void {
    this.#wheel.remove(this.#timer);
    if (this.#covered === this.#sent) return;
    this.#due = !last && this.#crowded;
    if (this.#due) return;
    this.#covered = this.#sent;
    const barrier = this.#host.barrier();
    if (barrier !== undefined) this.#barriers.push(barrier);
  }

  /** Called when an answer arrived to something that was sent after the first `count` messages. */
  deliver(count: number): void {
    if (count <= this.#delivered) return;
    this.#delivered = count;
    if (this.#due) this.cover();
  }

  /** The counts of the messages so far. */
  get counts(): DeliveryCounts {
    this.#pass();
    const passed = Math.max(this.#delivered, this.#sent - this.#ends.size);
    return { delivered: this.#delivered, uncertain: passed - this.#delivered, lost: this.#sent - passed };
  }

  /** Stops the timer. */
  stop(): void {
    this.#wheel.remove(this.#timer);
  }

  /** Forgets the ends of the messages that have been passed to the socket. */
  #pass(): void {
    const { passed } = this.#writer.scheduler;
    while (this.#ends.size > 0 && this.#ends.first! <= passed) this.#ends.shift();
  }

  /** True if as many barriers are unanswered as allowed. Reading it forgets those that are answered. */
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
