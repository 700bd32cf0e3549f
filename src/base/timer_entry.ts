/**
 * What a `TimerWheel` schedules. It stands apart from the wheel for those who need no wheel of their own.
 *
 * @module
 */

/** Something that has a deadline. Extend it. An entry is in at most one wheel at a time. */
export abstract class TimerEntry {
  /** The previous entry in its slot. Set by the wheel. */
  before: TimerEntry | undefined = undefined;
  /** The next entry in its slot. Set by the wheel. */
  after: TimerEntry | undefined = undefined;
  /** The tick at which it is due; -1 while it is in no wheel. */
  tick = -1;

  /** Called once, when the time is over. The entry is in no wheel by then. */
  abstract expire(): void;
}

/** An entry that calls a function. */
export class Timeout extends TimerEntry {
  readonly #onExpire: () => void;

  constructor(onExpire: () => void) {
    super();
    this.#onExpire = onExpire;
  }

  override expire(): void {
    this.#onExpire();
  }
}
