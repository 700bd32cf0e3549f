/**
 * Keeps the events of a Server or a Client, and hands them out one by one.
 *
 * @module
 */

import type { Client } from "../client/client.ts";
import type { ClientEvents } from "../client/client_events.ts";
import type { Server } from "../server/server.ts";
import type { ServerEvents } from "../server/server_events.ts";
import { AssertionError } from "./assertion.ts";
import { show } from "./values.ts";

/**
 * An event that was recorded: its name and its arguments.
 *
 * @category Testing
 */
export type RecordedEvent = readonly [name: string, ...args: unknown[]];

/**
 * What assertions look at in an {@linkcode EventRecorder}.
 *
 * @category Testing
 */
export interface RecordedEvents {
  /** All that came so far. */
  readonly all: readonly RecordedEvent[];
  /** Returns what came so far, for the message of an assertion. */
  describe(): string;
}

/** The events that {@linkcode recordEvents} keeps by default, as far as the target has them. */
const SERVER = ["connect", "disconnect", "suspended", "resumed", "error", "rejected", "unhandled", "close"] as const;
const CLIENT = ["connect", "disconnect", "suspended", "resumed", "reconnecting", "error", "unhandled"] as const;

/**
 * The events of a Server or a Client in the order in which they came. With `next` a test waits for them one by one.
 * With `take` it takes an event that must have come already. `Events` maps names to arguments.
 *
 * @category Testing
 */
export class EventRecorder<
  Events extends { [Name in keyof Events]: readonly unknown[] } = Record<string, readonly unknown[]>,
> implements RecordedEvents {
  /** All that came so far, whether it was taken or not. */
  readonly all: RecordedEvent[] = [];
  readonly #names: readonly string[];
  readonly #untaken = new Map<string, unknown[][]>();
  readonly #waiting = new Map<string, ((args: unknown[]) => void)[]>();

  /**
   * Begins to record. Events that came before are not recorded.
   *
   * @param target A Server, a Client, or anything else with `on`.
   * @param names The names of the events.
   */
  constructor(target: object, names: readonly NoInfer<keyof Events & string>[]) {
    this.#names = names;
    const { on } = target as { on(name: string, listener: (...args: unknown[]) => void): void };
    for (const name of names) on.call(target, name, (...args) => this.#came(name, args));
  }

  /**
   * Resolves with the arguments of the next event of a name. That is the first one that came and was not taken yet, or
   * else the next one that comes.
   *
   * @throws {TypeError} Events of this name are not recorded.
   */
  next<Name extends keyof Events & string>(name: Name): Promise<Events[Name]> {
    this.#check(name);
    const there = this.#untaken.get(name)?.shift();
    if (there !== undefined) return Promise.resolve(there as unknown as Events[Name]);
    return new Promise((resolve) => {
      const taker = resolve as unknown as (args: unknown[]) => void;
      this.#waiting.set(name, [...this.#waiting.get(name) ?? [], taker]);
    });
  }

  /**
   * Returns the arguments of the next event of a name, which must have come already.
   *
   * @throws {AssertionError} There is none. The message of the error lists what came.
   * @throws {TypeError} Events of this name are not recorded.
   */
  take<Name extends keyof Events & string>(name: Name): Events[Name] {
    this.#check(name);
    const there = this.#untaken.get(name)?.shift();
    if (there !== undefined) return there as unknown as Events[Name];
    throw new AssertionError(`Expected the event "${name}": ${this.describe()}`);
  }

  /** Returns the arguments of all events of a name so far, whether they were taken or not. */
  of<Name extends keyof Events & string>(name: Name): Events[Name][] {
    return this.all.filter(([other]) => other === name).map(([, ...args]) => args as unknown as Events[Name]);
  }

  /** Returns what came so far, for the message of an assertion. */
  describe(): string {
    if (this.all.length === 0) return "nothing came";
    return `what came was\n${this.all.map(([name, ...args]) => `  ${[name, ...args.map(show)].join(" ")}`).join("\n")}`;
  }

  #check(name: string): void {
    if (this.#names.includes(name)) return;
    throw new TypeError(`Events "${name}" are not recorded, only ${this.#names.join(", ")}`);
  }

  #came(name: string, args: unknown[]): void {
    this.all.push([name, ...args]);
    const waiter = this.#waiting.get(name)?.shift();
    if (waiter !== undefined) waiter(args);
    else this.#untaken.set(name, [...this.#untaken.get(name) ?? [], args]);
  }
}

/**
 * Records the events that most tests look at. On a server these are connect, disconnect, suspended, resumed, error,
 * rejected, unhandled and close. On a client they are connect, disconnect, suspended, resumed, reconnecting, error and
 * unhandled. Errors that are recorded are not logged.
 *
 * @param target The Server or Client.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { connect, recordEvents, serve } from "@veltix/core/testing";
 *
 * await using served = await serve();
 * await using connected = await connect(served);
 * const [client] = await served.events.next("connect");
 * const more = recordEvents(connected.client);
 * await client.close();
 * assertEquals((await more.next("disconnect"))[0].reason, "going-away");
 * ```
 *
 * @category Testing
 */
export function recordEvents<P = undefined>(target: Server<P>): EventRecorder<ServerEvents<P>>;
/**
 * Does the same for a client.
 *
 * @category Testing
 */
export function recordEvents(target: Client): EventRecorder<ClientEvents>;
/**
 * Picks the events by what kind of target it is.
 *
 * @category Testing
 */
export function recordEvents(target: object): EventRecorder {
  return new EventRecorder(target, "connect" in target ? [...CLIENT] : [...SERVER]);
}
