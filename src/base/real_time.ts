/**
 * The time of the runtime as it was when this package was imported. Sockets are real: a test that fakes time later, as those of
 * Jest, Vitest and Sinon do, fakes that of the program, and not the timers that the sockets live by.
 *
 * @module
 */

interface Runtime {
  process?: { nextTick?(fn: () => void): void };
  setImmediate?(fn: () => void): unknown;
}

const { process, setImmediate } = globalThis as Runtime;

/** The timers and turns of the runtime. */
export interface RealTime {
  /** `performance.now`. */
  readonly now: () => number;
  readonly setTimeout: (fn: () => void, ms: number) => unknown;
  readonly clearTimeout: (timer: never) => void;
  readonly queueMicrotask: (fn: () => void) => void;
  /** Only where the runtime has it, as the next one. */
  readonly nextTick: ((fn: () => void) => void) | undefined;
  readonly setImmediate: ((fn: () => void) => unknown) | undefined;
}

/** See the module. */
export const realTime: RealTime = {
  now: performance.now.bind(performance),
  setTimeout: setTimeout.bind(globalThis),
  clearTimeout: clearTimeout.bind(globalThis) as RealTime["clearTimeout"],
  queueMicrotask: queueMicrotask.bind(globalThis),
  nextTick: process?.nextTick?.bind(process),
  setImmediate: setImmediate?.bind(globalThis),
};
