/**
 * Typed events. A listener that throws, or whose promise rejects, ends nothing: its error becomes the `error` event, and
 * without a listener for that a line in the log.
 *
 * @module
 */

import { isThenable } from "./message/json.ts";

/** Options for listening to an event; all optional. */
export interface ListenOptions {
  /** Listens to the first event only. @default false */
  readonly once?: boolean;
  /** Stops listening when aborted. */
  readonly signal?: AbortSignal;
}

/** What listeners get, by event. */
export type EventMap = Record<string, readonly unknown[]>;

/** An event listener. */
export type Listener<Arguments extends readonly unknown[]> = (...args: Arguments) => unknown;

interface Entry {
  readonly listener: Listener<never>;
  readonly once: boolean;
  readonly stop: () => void;
}

/** The listeners of one Server or Client. */
export class Events<Map extends EventMap> {
  readonly #listeners = new globalThis.Map<keyof Map, Set<Entry>>();
  readonly #names: readonly (keyof Map & string)[];
  readonly #onError: (error: unknown) => void;
  readonly #onLast: (error: unknown) => void;

  /**
   * @param names All events there are.
   * @param onError Takes what a listener throws.
   * @param onLast Takes what a listener to `error` throws.
   */
  constructor(
    names: readonly (keyof Map & string)[],
    onError: (error: unknown) => void,
    onLast: (error: unknown) => void,
  ) {
    this.#names = names;
    this.#onError = onError;
    this.#onLast = onLast;
  }

  /** Listens. A listener added twice is called twice. */
  on<Name extends keyof Map & string>(name: Name, listener: Listener<Map[Name]>, options: ListenOptions = {}): void {
    if (!this.#names.includes(name)) {
      throw new TypeError(`Cannot listen to "${name}": the events are ${this.#names.join(", ")}`);
    }
    if (typeof listener !== "function") throw new TypeError(`Cannot listen to "${name}": listener must be a function`);
    const { once = false, signal } = options;
    if (signal?.aborted) return;
    let entries = this.#listeners.get(name);
    if (entries === undefined) this.#listeners.set(name, entries = new Set());
    const stop = (): void => {
      entries.delete(entry);
      signal?.removeEventListener("abort", stop);
    };
    const entry = { listener: listener as Listener<never>, once, stop };
    entries.add(entry);
    signal?.addEventListener("abort", stop, { once: true });
  }

  /** Whether anybody listens. */
  has(name: keyof Map & string): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** Calls all listeners in the order they came; false if there are none. */
  emit<Name extends keyof Map & string>(name: Name, ...args: Map[Name]): boolean {
    const entries = this.#listeners.get(name);
    if (entries === undefined || entries.size === 0) return false;
    const failed = name === "error" ? this.#onLast : this.#onError;
    for (const entry of [...entries]) {
      // One of those before may have stopped it.
      if (!entries.has(entry)) continue;
      if (entry.once) entry.stop();
      try {
        const result = (entry.listener as unknown as Listener<Map[Name]>)(...args);
        if (isThenable(result)) Promise.resolve(result).then(undefined, failed);
      } catch (error) {
        failed(error);
      }
    }
    return true;
  }
}
