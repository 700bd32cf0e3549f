/**
 * How long the sender of a request waits, and what happens to its message after that.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { TimerEntry } from "../base/timer_entry.ts";
import { TimeoutError } from "../errors.ts";

/** Receives the messages whose senders wait no longer. */
export interface DeadlineOwner<M> {
  /** Called once the time of a message is over. */
  expired(message: M): void;
}

/** The deadline of a message. It is in the timer wheel while the message waits or its handler runs asynchronously. */
export class Deadline<M> extends TimerEntry {
  message: M;
  readonly #clock: Clock;
  readonly #owner: DeadlineOwner<M>;
  /** The time at which it is over, by the clock. */
  readonly #until: number;

  /** @param ms The time since `from`, in milliseconds. Default of `from`: now, by the clock. */
  constructor(message: M, ms: number, clock: Clock, owner: DeadlineOwner<M>, from: number = clock.now()) {
    super();
    this.message = message;
    this.#clock = clock;
    this.#owner = owner;
    this.#until = from + ms;
  }

  /** The time that is left, in milliseconds; 0 once it is over. */
  get left(): number {
    return Math.max(0, this.#until - this.#clock.now());
  }

  override expire(): void {
    this.#owner.expired(this.message);
  }
}

/** Returns the error for a message, or for what was asked on its behalf, when its time is over. */
export function deadlineExceeded(what: string, options?: ErrorOptions): TimeoutError {
  return new TimeoutError("deadline-exceeded", `${what}: the time of the request is over`, options);
}
