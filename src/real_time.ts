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

/** See the module. */
export const realTime = {
  now: performance.now.bind(performance),
  setTimeout: setTimeout.bind(globalThis) as (fn: () => void, ms: number) => unknown,
  clearTimeout: clearTimeout.bind(globalThis) as (timer: never) => void,
  queueMicrotask: queueMicrotask.bind(globalThis) as (fn: () => void) => void,
  /** Only where the runtime has it, as the next one. */
  nextTick: process?.nextTick?.bind(process),
  setImmediate: setImmediate?.bind(globalThis),
} as const;
