/**
 * Records what became of the messages of one connection. A message counts as delivered once the peer has answered
 * something that was sent after it. PINGs are sent for this purpose; they are called probes. When the connection ends,
 * messages that were passed to the socket without such an answer are uncertain. Those that were not passed to the
 * socket are lost.
 *
 * A message that was replaced is none of these: the one that took its place is counted in its stead. One that expired is
 * counted as such. Neither changes what an answer proves, because a newer message is never written later than the one that
 * it replaces would have been.
 *
 * @module
 */

import { Fifo } from "../base/fifo.ts";
import type { FrameWriter } from "../link/frame_writer.ts";
import type { ExpiryLog, LatestFrame } from "../link/latest_frames.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** A probe is sent after this many messages. */
const PROBE_MESSAGES = 256;
/** A probe is also sent this long after a message with no probe after it, in milliseconds. */
const PROBE_MS = 1_000;
/** The most probes that may be unanswered at the same time. The next one is sent when there are fewer. */
const MAX_PROBES = 16;

/**
 * The numbers of messages. The delivered ones were sent first, then the uncertain ones, then the lost ones. Expired and
 * replaced ones may have been anywhere among them.
 */
export interface DeliveryCounts {
  /** The number of messages that the peer has received. */
  readonly delivered: number;
  /** The number of messages that the peer may have received. */
  readonly uncertain: number;
  /** The number of messages that the peer never received. */
  readonly lost: number;
  /** The number of messages that were never written because they had waited too long. */
  readonly expired: number;
  /** The number of messages that were never written because newer ones had replaced them. */
  readonly replaced: number;
}

/** A PING whose answer proves that the messages sent before it were delivered. */
export interface AckProbe {
  /** The number of messages that its answer proves to be delivered, from the first one on. */
  readonly ackedMessages: number;
}

/** Sends the probes of a {@linkcode DeliveryLog}. */
export interface DeliveriesHost {
  /**
   * Sends a probe after all messages so far. Its answer calls {@linkcode DeliveryLog.deliver}. Returns `undefined` if
   * it cannot be sent. `last` is true if the session ends.
   */
  ackProbe(last: boolean): AckProbe | undefined;
  /** Called when the answer of a probe is no longer needed. It may have arrived already. */
  outdated(probe: AckProbe): void;
}

/**
 * Counts the messages of one connection. It keeps a number for each message that still waits in the frame writer. It
 * keeps at most {@linkcode MAX_PROBES} probes, even if the peer answers none.
 */
export class DeliveryLog implements ExpiryLog {
  readonly #writer: FrameWriter;
  readonly #wheel: TimerWheel;
  readonly #host: DeliveriesHost;
  readonly #timer: Timeout;
  #sent = 0;
  #delivered = 0;
  /** The number of messages sent before the last probe. */
  #probed = 0;
  /**
   * The end of each message that had not been passed to the socket at the last check, as a position in the ordered
   * bytes of the send scheduler.
   */
  readonly #ends = new Fifo<number>();
  /** The rows of expired messages, by their numbers, for which no answer has come yet. */
  readonly #expired = new Fifo<{ first: number; last: number }>();
  #lastExpired = { first: 0, last: -1 };
  /** The number of expired messages in these rows, and of those before them. */
  #expiredAfter = 0;
  #expiredBefore = 0;
  /** The probes that are not known to be answered or outdated. */
  #probes: AckProbe[] = [];
  /** True if a probe is to be sent as soon as fewer are unanswered. */
  #due = false;

  /**
   * @param writer Sends the messages.
   * @param wheel Runs the timer for probes.
   * @param host Sends the probes.
   */
  constructor(writer: FrameWriter, wheel: TimerWheel, host: DeliveriesHost) {
    this.#writer = writer;
    this.#wheel = wheel;
    this.#host = host;
    this.#timer = new Timeout(() => this.requestAck());
  }

  /** The number of messages counted so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Counts the message that the frame writer has just taken. `latest` is its frame if only the latest one counts. */
  take(latest?: LatestFrame): void {
    this.#sent++;
    this.#pass();
    if (latest === undefined) this.#ends.push(this.#writer.scheduler.taken);
    else {
      latest.log = this;
      latest.number = this.#sent;
    }
    if (this.#due) return;
    if (this.#sent - this.#probed >= PROBE_MESSAGES) this.requestAck();
    else if (this.#timer.tick < 0) this.#wheel.add(this.#timer, PROBE_MS);
  }

  /**
   * Sends a probe if there is a message with no probe after it. While too many probes are unanswered, the probe is
   * delayed until one of them is answered, unless it is the `last` one.
   *
   * @param anew True to send one even if there is a probe after all messages, as long as it is unanswered.
   */
  requestAck(last = false, anew = false): void {
    this.#wheel.remove(this.#timer);
    if (this.#probed === this.#sent && (!anew || this.#delivered === this.#sent)) return;
    this.#due = !last && this.#crowded;
    if (this.#due) return;
    this.#probed = this.#sent;
    const probe = this.#host.ackProbe(last);
    if (probe !== undefined) this.#probes.push(probe);
  }

  /** Called when a message has waited too long. They expire in the order of their numbers. */
  expire(number: number): void {
    this.#expiredAfter++;
    if (this.#expired.size > 0 && this.#lastExpired.last === number - 1) this.#lastExpired.last = number;
    else this.#expired.push(this.#lastExpired = { first: number, last: number });
  }

  /** Called when something that was sent after the first `count` messages has been answered. */
  deliver(count: number): void {
    if (count <= this.#delivered) return;
    this.#delivered = count;
    for (let row = this.#expired.first; row !== undefined && row.first <= count; row = this.#expired.first) {
      const over = Math.min(row.last, count) - row.first + 1;
      this.#expiredAfter -= over;
      this.#expiredBefore += over;
      row.first += over;
      if (row.first <= row.last) break;
      this.#expired.shift();
    }
    if (this.#due) this.requestAck();
  }

  /** The counts of the messages so far. */
  get counts(): DeliveryCounts {
    this.#pass();
    const { waiting = 0, replaced = 0 } = this.#writer.latestFrames ?? {};
    const passed = Math.max(this.#delivered, this.#sent - this.#ends.size - waiting);
    return {
      delivered: this.#delivered - this.#expiredBefore,
      uncertain: passed - this.#delivered - this.#expiredAfter,
      lost: this.#sent - passed,
      expired: this.#expiredBefore + this.#expiredAfter,
      replaced,
    };
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

  /** True if the most probes that are allowed are unanswered. Reading it also drops the answered ones. */
  get #crowded(): boolean {
    if (this.#probes.length < MAX_PROBES) return false;
    const left: AckProbe[] = [];
    for (const probe of this.#probes) {
      if (probe.ackedMessages > this.#delivered) left.push(probe);
      else this.#host.outdated(probe);
    }
    this.#probes = left;
    return left.length >= MAX_PROBES;
  }
}
