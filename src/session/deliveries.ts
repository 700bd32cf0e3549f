/**
 * What became of the messages of one connection. A message counts as delivered when an answer to something sent behind it
 * came back; PINGs are sent as such barriers. What was passed to the socket without such an answer is uncertain when the
 * connection ends, and what never was is lost.
 *
 * @module
 */

import type { Outbox } from "./outbox.ts";
import { Timeout, type TimerWheel } from "../tools/timer_wheel.ts";

/** A barrier goes out behind this many messages. */
const BARRIER_MESSAGES = 256;
/** And this long after a message without one, in milliseconds. */
const BARRIER_MS = 1_000;

/** Numbers of messages, in the order they were sent: first the delivered ones, then the uncertain ones, then the lost. */
export interface DeliveryCounts {
  /** The peer has them. */
  readonly delivered: number;
  /** The peer may have them. */
  readonly uncertain: number;
  /** The peer never got them. */
  readonly lost: number;
}

/** Counts the messages of one connection. */
export class Deliveries {
  readonly #outbox: Outbox;
  readonly #wheel: TimerWheel;
  readonly #barrier: () => void;
  readonly #timer: Timeout;
  #sent = 0;
  #delivered = 0;
  /** Messages that the last barrier covers. */
  #covered = 0;
  /** Where each message that is not known to be delivered ends, in bytes of the outbox's ordered frames. */
  #ends: number[] = [];
  /** How many of `#ends` are delivered by now. */
  #head = 0;

  /**
   * @param outbox Where the messages go.
   * @param wheel For barriers after a time.
   * @param barrier Sends a barrier behind all messages; its answer calls {@linkcode deliver}.
   */
  constructor(outbox: Outbox, wheel: TimerWheel, barrier: () => void) {
    this.#outbox = outbox;
    this.#wheel = wheel;
    this.#barrier = barrier;
    this.#timer = new Timeout(() => this.cover());
  }

  /** Messages taken so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Counts the message that was just taken by the outbox. */
  take(): void {
    this.#sent++;
    this.#ends.push(this.#outbox.taken);
    if (this.#sent - this.#covered >= BARRIER_MESSAGES) this.cover();
    else if (this.#timer.tick < 0) this.#wheel.add(this.#timer, BARRIER_MS);
  }

  /** Sends a barrier, if there is anything to cover. */
  cover(): void {
    this.#wheel.remove(this.#timer);
    if (this.#covered === this.#sent) return;
    this.#covered = this.#sent;
    this.#barrier();
  }

  /** An answer came to what was sent behind the first `count` messages. */
  deliver(count: number): void {
    if (count <= this.#delivered) return;
    this.#head += count - this.#delivered;
    this.#delivered = count;
    if (this.#head < 1024 && this.#head < this.#ends.length) return;
    this.#ends = this.#ends.slice(this.#head);
    this.#head = 0;
  }

  /** How it stands. */
  get counts(): DeliveryCounts {
    const { passed } = this.#outbox;
    let written = this.#head;
    while (written < this.#ends.length && this.#ends[written] <= passed) written++;
    return { delivered: this.#delivered, uncertain: written - this.#head, lost: this.#ends.length - written };
  }

  /** Ends it. */
  stop(): void {
    this.#wheel.remove(this.#timer);
  }
}
