/**
 * Defines the time and the event loop that everything in the package uses.
 *
 * @module
 */

/**
 * A handle returned by {@linkcode Clock.setTimeout}, opaque to its caller.
 *
 * @category Transport
 */
export type TimerHandle = unknown;

/**
 * A source of time. Tests replace it with a clock of their own.
 *
 * @category Transport
 */
export interface Clock {
  /** Returns the milliseconds since a fixed point. Never runs backwards. */
  now(): number;
  /** Calls `fn` once, after at least `ms` milliseconds. */
  setTimeout(fn: () => void, ms: number): TimerHandle;
  /** Cancels a timer. One that has fired or was canceled before is ignored. */
  clearTimeout(timer: TimerHandle): void;
  /** Lets the process exit even while this timer is pending. */
  unref(timer: TimerHandle): void;
  /** Reverts `unref`. Without this method, another timer is created. */
  ref?(timer: TimerHandle): void;
}

/**
 * The event loop of a runtime, and its time.
 *
 * @category Transport
 */
export interface EventLoop {
  /** Calls `fn` after this turn's callbacks and microtasks, and before more I/O. Gathered writes are flushed here. */
  defer(fn: () => void): void;
  /**
   * Calls `fn` after other sockets and timers have had their turn, so that a busy connection does not starve them.
   * `crowded` is true if many connections are busy. All sockets are then to be looked at before `fn` is called, even if
   * that takes longer.
   */
  yield(fn: () => void, crowded?: boolean): void;
  /**
   * Returns whether timers come late although the loop runs, as those of a page in the background do: once a second, or
   * once a minute.
   * @default they come in time
   */
  throttled?(): boolean;
  /**
   * Returns a random number from 0 up to 1, by which clients draw how long they wait before they try again.
   * @default Math.random
   */
  random?(): number;
  /** The time. */
  readonly clock: Clock;
}
