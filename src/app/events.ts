/**
 * Typed events. A listener that throws, or whose promise rejects, ends nothing: its error becomes the `error` event, and
 * without a listener for that a line in the log.
 *
 * @module
 */

import { isThenable } from "../base/thenable.ts";

/** Options for listening to an event; all optional. */
export interface EventOptions {
  /** Listens to the first event only. @default false */
  readonly once?: boolean;
  /** Stops listening when aborted. */
  readonly signal?: AbortSignal | undefined;
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

/** Whose events they are. */
export interface EventsOwner<Name extends string> {
  /** A listener threw, or its promise rejected. */
  failed(error: unknown): void;
  /** A listener to `error` did. */
  lost(error: unknown): void;
  /** An event got its first listener, or lost its last one. */
  watched(name: Name, on: boolean): void;
}

/** The listeners of one Server or Client. */
export class Events<Map extends EventMap> {
  readonly #listeners = new globalThis.Map<keyof Map, Set<Entry>>();
  readonly #names: readonly (keyof Map & string)[];
  readonly #owner: EventsOwner<keyof Map & string>;

  /**
   * @param names All events there are.
   * @param owner Is told what goes wrong, and which events are watched.
   */
  constructor(names: readonly (keyof Map & string)[], owner: EventsOwner<keyof Map & string>) {
    this.#names = names;
    this.#owner = owner;
  }

  /** Listens. A listener added twice is called twice. */
  on<Name extends keyof Map & string>(name: Name, listener: Listener<Map[Name]>, options: EventOptions = {}): void {
    if (!this.#names.includes(name)) {
      throw new TypeError(`Cannot listen to "${name}": the events are ${this.#names.join(", ")}`);
    }
    if (typeof listener !== "function") throw new TypeError(`Cannot listen to "${name}": listener must be a function`);
    for (const option of Object.keys(options)) {
      if (option === "once" || option === "signal") continue;
      throw new TypeError(`Unknown option "${option}": listening to "${name}" has once and signal`);
    }
    const { once = false, signal } = options;
    if (signal?.aborted) return;
    let entries = this.#listeners.get(name);
    if (entries === undefined) this.#listeners.set(name, entries = new Set());
    const stop = (): void => {
      if (entries.delete(entry) && entries.size === 0) this.#owner.watched(name, false);
      signal?.removeEventListener("abort", stop);
    };
    const entry = { listener: listener as Listener<never>, once, stop };
    entries.add(entry);
    if (entries.size === 1) this.#owner.watched(name, true);
    signal?.addEventListener("abort", stop, { once: true });
  }

  /** Whether anybody listens. */
  has(name: keyof Map & string): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** Calls all listeners in the order they came; false if there are none. */
  emit<Name extends keyof Map & string>(name: Name, ...args: Map[Name]): boolean {
    return this.call(name, args, undefined);
  }

  /** The same; promises of listeners are added to `pending`, none of which rejects. */
  call<Name extends keyof Map & string>(name: Name, args: Map[Name], pending: Promise<unknown>[] | undefined): boolean {
    const entries = this.#listeners.get(name);
    if (entries === undefined || entries.size === 0) return false;
    const failed = (error: unknown): void => name === "error" ? this.#owner.lost(error) : this.#owner.failed(error);
    for (const entry of [...entries]) {
      // One of those before may have stopped it.
      if (!entries.has(entry)) continue;
      if (entry.once) entry.stop();
      try {
        const result = (entry.listener as unknown as Listener<Map[Name]>)(...args);
        if (!isThenable(result)) continue;
        const settled = Promise.resolve(result).then(undefined, failed);
        pending?.push(settled);
      } catch (error) {
        failed(error);
      }
    }
    return true;
  }
}
