/**
 * The time, as everything in the package sees it.
 *
 * @module
 */

/** A handle returned by {@linkcode Clock.setTimeout}, opaque to its caller. */
export type TimerHandle = unknown;

/** A source of time. Tests replace it with a clock of their own. */
export interface Clock {
  /** Milliseconds since a fixed point; never runs backwards. */
  now(): number;
  /** Calls `fn` once, after at least `ms` milliseconds. */
  setTimeout(fn: () => void, ms: number): TimerHandle;
  /** Cancels a timer; one that has fired or was cancelled before is ignored. */
  clearTimeout(timer: TimerHandle): void;
  /** Lets the process exit even while this timer is pending. */
  unref(timer: TimerHandle): void;
  /** Takes `unref` back. Without it another timer is made. */
  ref?(timer: TimerHandle): void;
}

/** The event loop of a runtime, and its time. */
export interface EventLoop {
  /** Calls `fn` after this turn's callbacks and microtasks, before more I/O: where gathered writes are flushed. */
  defer(fn: () => void): void;
  /**
   * Calls `fn` after other sockets and timers have had their turn, so that a busy connection does not starve them. Where
   * `crowded` is true many connections are busy: all sockets are to be looked at before, even if that takes a millisecond.
   */
  yield(fn: () => void, crowded?: boolean): void;
  /** The time. */
  readonly clock: Clock;
}
