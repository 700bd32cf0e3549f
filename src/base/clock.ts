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
