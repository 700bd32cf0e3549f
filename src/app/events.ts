/**
 * Typed events. If a listener throws or its promise rejects, the other listeners are still called. The error becomes an
 * `error` event, or a line in the log if that has no listener.
 *
 * @module
 */

import { isThenable } from "../base/thenable.ts";

/**
 * Options for listening to an event; all optional.
 *
 * @category Events
 */
export interface EventOptions {
  /** Listens to the first event only. @default false */
  readonly once?: boolean;
  /** Stops listening when aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** The arguments of listeners, by event. */
export type EventMap = Record<string, readonly unknown[]>;

/**
 * An event listener.
 *
 * @category Events
 */
export type Listener<Arguments extends readonly unknown[]> = (...args: Arguments) => unknown;

interface Entry {
  readonly listener: Listener<never>;
  readonly once: boolean;
  /** True if it only looks on: nobody relies on it to have dealt with an event. */
  readonly observes: boolean;
  readonly stop: () => void;
}

/** The owner of events. */
export interface EventsOwner<Name extends string> {
  /** Called when a listener threw or its promise rejected. */
  failed(error: unknown): void;
  /** Called when a listener of `error` threw or its promise rejected. */
  lost(error: unknown): void;
  /** Called when an event gets its first listener or loses its last one. */
  watched(name: Name, on: boolean): void;
}

/** The listeners of one Server or Client. */
export class Events<Map extends EventMap> {
  readonly #listeners = new globalThis.Map<keyof Map, Set<Entry>>();
  readonly #names: readonly (keyof Map & string)[];
  readonly #owner: EventsOwner<keyof Map & string>;

  /**
   * @param names The names of all events.
   * @param owner Receives the errors of listeners, and learns which events have listeners.
   */
  constructor(names: readonly (keyof Map & string)[], owner: EventsOwner<keyof Map & string>) {
    this.#names = names;
    this.#owner = owner;
  }

  /** Adds a listener. A listener that is added twice is called twice. */
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
    this.#add(name, listener, once, false, signal);
  }

  /**
   * Adds a listener that only looks on. It is called as all others are, but an event that nobody else listens to counts as
   * one without listeners: its error is still logged, say. Returns a function that removes it.
   */
  observe<Name extends keyof Map & string>(name: Name, listener: Listener<Map[Name]>): () => void {
    return this.#add(name, listener, false, true, undefined);
  }

  /** Adds a listener. Returns a function that removes it. */
  #add<Name extends keyof Map & string>(
    name: Name,
    listener: Listener<Map[Name]>,
    once: boolean,
    observes: boolean,
    signal: AbortSignal | undefined,
  ): () => void {
    let entries = this.#listeners.get(name);
    if (entries === undefined) this.#listeners.set(name, entries = new Set());
    const stop = (): void => {
      if (entries.delete(entry) && entries.size === 0) this.#owner.watched(name, false);
      signal?.removeEventListener("abort", stop);
    };
    const entry = { listener: listener as Listener<never>, once, observes, stop };
    entries.add(entry);
    if (entries.size === 1) this.#owner.watched(name, true);
    signal?.addEventListener("abort", stop, { once: true });
    return stop;
  }

  /** Returns whether an event has listeners. */
  has(name: keyof Map & string): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /**
   * Calls all listeners in the order in which they were added. Returns false if there are none, or only such as look on.
   */
  emit<Name extends keyof Map & string>(name: Name, ...args: Map[Name]): boolean {
    return this.call(name, args, undefined);
  }

  /** Like {@linkcode emit}, and adds the promises of listeners to `pending`. None of these rejects. */
  call<Name extends keyof Map & string>(name: Name, args: Map[Name], pending: Promise<unknown>[] | undefined): boolean {
    const entries = this.#listeners.get(name);
    if (entries === undefined || entries.size === 0) return false;
    const failed = (error: unknown): void => name === "error" ? this.#owner.lost(error) : this.#owner.failed(error);
    let heard = false;
    for (const entry of [...entries]) {
      // A listener that was called before may have removed this one.
      if (!entries.has(entry)) continue;
      if (!entry.observes) heard = true;
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
    return heard;
  }
}
