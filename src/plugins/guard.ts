/**
 * Calls the functions of one plugin: with a time limit, with its errors caught and counted, and with an eye on what is
 * still running.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { Waiters } from "../base/waiters.ts";
import { isThenable } from "../base/thenable.ts";
import { PluginError } from "../errors.ts";

const MINUTE = 60_000;

/** The limits of a plugin. */
export interface GuardLimits {
  /** In milliseconds. */
  readonly hookTimeout: number;
  /** Within a minute. */
  readonly maxFailures: number;
}

/** Guards the functions of one plugin. */
export class Guard {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #limits: GuardLimits;
  readonly #tooMany: (error: PluginError) => void;
  /** When the failures of the last minute happened. */
  #failures: number[] = [];
  /** The number of all failures. */
  failures = 0;
  #running = 0;
  readonly #idle = new Waiters();

  /**
   * @param name The name of the plugin.
   * @param tooMany Called with the last error when the plugin has failed too often.
   */
  constructor(name: string, clock: Clock, limits: GuardLimits, tooMany: (error: PluginError) => void) {
    this.#name = name;
    this.#clock = clock;
    this.#limits = limits;
    this.#tooMany = tooMany;
  }

  /**
   * Calls a function of the plugin. Returns what it returns; a promise settles within the time limit.
   *
   * @param what The function, for messages.
   * @param wanted Returns true for errors that the plugin throws on purpose. They pass, and are no failures.
   * @param limit The time limit, in milliseconds.
   * @throws {PluginError} `plugin-failed`, or `plugin-timeout`: then what the function returns later is ignored.
   */
  call<Result>(
    what: string,
    call: () => Result,
    wanted: (error: unknown) => boolean = never,
    limit: number = this.#limits.hookTimeout,
  ): Result | Promise<Awaited<Result>> {
    let result: Result;
    try {
      result = call();
      if (!isThenable(result)) return result;
    } catch (error) {
      throw wanted(error) ? error : this.#failed(what, error);
    }
    return this.#await(what, result as PromiseLike<Awaited<Result>>, wanted, limit);
  }

  /** Counts a failure that was found elsewhere. Returns the error to report. */
  count(what: string, cause: unknown): PluginError {
    return this.#failed(what, cause);
  }

  /** Settles when no asynchronous function of the plugin runs any more. The time limits bound that. */
  idle(): Promise<void> {
    return this.#running === 0 ? Promise.resolve() : this.#idle.wait();
  }

  #await<Value>(
    what: string,
    promise: PromiseLike<Value>,
    wanted: (error: unknown) => boolean,
    limit: number,
  ): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      let over = false;
      const end = (finish: () => void): void => {
        if (over) return;
        over = true;
        this.#clock.clearTimeout(timer);
        if (--this.#running === 0) this.#idle.release();
        finish();
      };
      this.#running++;
      const timer = this.#clock.setTimeout(() => {
        const text = `Plugin "${this.#name}" took longer than ${limit} ms in ${what}`;
        end(() => reject(this.#counted(new PluginError("plugin-timeout", text))));
      }, limit);
      promiseOf(promise).then(
        (value) => end(() => resolve(value)),
        (error) => end(() => reject(wanted(error) ? error : this.#failed(what, error))),
      );
    });
  }

  #failed(what: string, cause: unknown): PluginError {
    return this.#counted(new PluginError("plugin-failed", `Plugin "${this.#name}" failed in ${what}`, { cause }));
  }

  #counted(error: PluginError): PluginError {
    const now = this.#clock.now();
    this.failures++;
    this.#failures = this.#failures.filter((at) => now - at < MINUTE);
    this.#failures.push(now);
    if (this.#failures.length >= this.#limits.maxFailures) this.#tooMany(error);
    return error;
  }
}

/**
 * Returns a promise of what a plugin has returned, which settles only once, and later. Never throws, whatever reading and
 * calling `then` does.
 */
export function promiseOf<Value>(value: PromiseLike<Value> | Value): Promise<Value> {
  mend(value);
  return new Promise<Value>((resolve) => resolve(value));
}

/**
 * Gives a promise whose `constructor` cannot be read another one. Else it cannot be awaited, and its rejection would end
 * the process. Nothing can be done if the member cannot be replaced.
 */
function mend(value: unknown): void {
  try {
    if (!(value instanceof Promise)) return;
    try {
      void value.constructor;
    } catch {
      Object.defineProperty(value, "constructor", { value: Promise });
    }
  } catch {
    // Awaiting it says what is wrong with it.
  }
}

function never(): boolean {
  return false;
}
