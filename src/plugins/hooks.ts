/**
 * Makes middleware of the hooks of a plugin. A plugin without `messages:modify` gets copies, is not waited for, and what it
 * returns or throws changes nothing.
 *
 * @module
 */

import type { AnyType, Middleware, Next } from "../app/middleware.ts";
import type { OutgoingCall, OutgoingMiddleware } from "../app/outgoing_middleware.ts";
import { type Check, type Checked, readOptions, unchecked } from "../base/checks.ts";
import { isThenable } from "../base/thenable.ts";
import { PluginError } from "../errors.ts";
import type { Codec } from "../message/codecs.ts";
import { declares } from "../message/declared_errors.ts";
import { copyOf, failureOf, recoded } from "./copies.ts";
import { promiseOf } from "./guard.ts";
import { type Received, ShownMessage } from "./message_view.ts";
import type { AfterChanges, BeforeChanges, PluginCallChanges, PluginMessage, PluginOutcome } from "./plugin_host.ts";
import type { Registration } from "./registration.ts";

/** A middleware of a Server or a Client. */
type AnyMiddleware = Middleware<never, never>;

const BEFORE = { data: unchecked<unknown>(), result: unchecked<unknown>() };
const AFTER = { result: unchecked<unknown>() };
const OUTGOING = { payload: unchecked<unknown>(), meta: unchecked<PluginCallChanges["meta"]>() };

/** Makes the middleware for a hook. */
export class HookMiddleware {
  readonly #registration: Registration;
  /** The types that it is attached to, by code; `undefined` for all. */
  readonly #types: ReadonlyMap<number, AnyType> | undefined;
  readonly #live: boolean;

  constructor(registration: Registration, types: readonly AnyType[] | undefined) {
    this.#registration = registration;
    this.#types = types === undefined ? undefined : new Map(types.map((type) => [type.code, type]));
    this.#live = registration.granted.has("messages:modify");
  }

  /** Returns the middleware that calls `before`. */
  before(): AnyMiddleware {
    const { hooks } = this.#registration;
    if (!this.#live) {
      return this.#middleware((shown, view, handle, next) => {
        this.#watch("before", shown, handle, () => hooks.before!(view, this.#registration.client(handle)));
        return next();
      });
    }
    return this.#middleware((shown, view, handle, next) => {
      const go = (changes: BeforeChanges | undefined): unknown => {
        if (changes !== undefined && "result" in changes) return shown.answer(changes.result);
        return changes !== undefined && "data" in changes ? next(shown.change(changes.data)) : next();
      };
      const client = this.#registration.client(handle);
      return this.#change("before", shown, BEFORE, () => hooks.before!(view, client), go);
    });
  }

  /** Returns the middleware that calls `after`. */
  after(): AnyMiddleware {
    const { hooks } = this.#registration;
    return this.#middleware((shown, view, handle, next) => {
      const hook = (outcome: PluginOutcome): unknown =>
        hooks.after!(view, this.#registration.client(handle), outcome) as unknown;
      if (!this.#live) {
        const tell = (outcome: () => PluginOutcome): void => {
          if (this.#registration.on) this.#watch("after", shown, handle, () => hook(outcome()));
        };
        const returned = (result: unknown): void => tell(() => shown.outcome(result));
        const threw = (error: unknown): void => tell(() => Object.freeze({ error: failureOf(error) }));
        shown.keep();
        return observed(next, returned, threw);
      }
      return chained(next, (result) => {
        if (!this.#registration.on) return result;
        const go = (changes: AfterChanges | undefined): unknown =>
          changes !== undefined && "result" in changes ? shown.answer(changes.result) : result;
        return this.#change("after", shown, AFTER, () => hook(shown.outcome(result)), go);
      }, (error) => {
        if (!this.#registration.on) throw error;
        const go = (changes: AfterChanges | undefined): unknown => {
          if (changes !== undefined && "result" in changes) return shown.answer(changes.result);
          throw error;
        };
        return this.#change(
          "after",
          shown,
          AFTER,
          () => hook(Object.freeze({ error: failureOf(error) })),
          go,
        );
      });
    });
  }

  /** Returns the middleware that calls `instead`. */
  instead(): AnyMiddleware {
    const { guard, hooks } = this.#registration;
    return this.#middleware((shown, view, handle) => {
      const client = this.#registration.client(handle);
      const what = whatOf("instead", shown.type);
      const call = (): unknown => then(hooks.instead!(view, client), (value) => settled(what, "result", value));
      const result = shown.during(() => guard.call(what, call, wantedBy(shown.type)));
      return then(result, (value) => shown.answer(value));
    });
  }

  /** Returns the middleware that calls `outgoing`. */
  outgoing(): OutgoingMiddleware<never> {
    const registration = this.#registration;
    const { hooks, guard, clients, owner: { endpoint } } = registration;
    return (call: OutgoingCall<never>, next): unknown => {
      if (registration.sent(call.options)) return next();
      if (!registration.on) {
        this.#refuse(call.type);
        return next();
      }
      const peer = call.peer === undefined ? undefined : endpoint.peerOf(call.peer);
      const client = peer === undefined ? undefined : clients.of(peer);
      const what = whatOf("outgoing", call.type);
      const hook = (): PluginCallChanges | undefined => {
        const changes = hooks.outgoing!(this.#callOf(call), client) as unknown;
        if (!this.#live) return changes as undefined;
        if (!isThenable(changes)) return readChanges(what, changes, OUTGOING);
        promiseOf(changes).catch(() => {});
        throw new TypeError("The hook outgoing returned a promise: it must return at once");
      };
      if (!this.#live) {
        registration.watch(what, hook, (error) => registration.report(error, peer));
        return next();
      }
      return next(guard.call(what, hook) as PluginCallChanges | undefined);
    };
  }

  #callOf({ kind, type, payload, options: { meta } }: OutgoingCall<unknown>): object & never {
    const live = this.#live;
    let copy: { readonly value: unknown } | undefined;
    return Object.freeze({
      kind,
      type: this.#registration.types.of(type),
      get payload(): unknown {
        if (live) return payload;
        const codec = ("payload" in type ? type.payload : type.head) as Codec<unknown>;
        return (copy ??= { value: recoded(type.name, codec, payload) }).value;
      },
      meta: live ? meta : copyOf("metadata", meta),
    }) as never;
  }

  /** Makes a middleware of a function that is called while the plugin is on. */
  #middleware(
    run: (shown: ShownMessage, view: PluginMessage, handle: unknown, next: Next) => unknown,
  ): AnyMiddleware {
    return (received: Received, handle: unknown, next: Next): unknown => {
      if (!this.#registration.on) {
        this.#refuse(received.type);
        return next();
      }
      const shown = new ShownMessage(
        received,
        this.#types?.get(received.type.code),
        this.#live,
        this.#registration.types,
      );
      return run(shown, shown.view, handle, next);
    };
  }

  /** Throws if the plugin is switched off and its messages are to be refused. */
  #refuse({ name: type }: AnyType): void {
    const { name, state, terms } = this.#registration;
    if (state !== "off" || terms.whenOff === "pass") return;
    throw new PluginError("plugin-off", `Cannot handle "${type}": the plugin "${name}" is switched off`);
  }

  /** Calls a hook that only looks on. */
  #watch(hook: string, shown: ShownMessage, handle: unknown, call: () => unknown): void {
    const registration = this.#registration;
    const { peerOf } = registration.owner.endpoint;
    const failed = (error: unknown): void => registration.report(error, peerOf(handle), shown.received);
    const running = registration.watch(whatOf(hook, shown.type), call, failed);
    if (running === undefined) return shown.done();
    shown.keep();
    void running.then(() => shown.done());
  }

  /** Calls a hook that changes things, and goes on with its changes. */
  #change<Table extends Readonly<Record<string, Check<unknown>>>>(
    hook: string,
    shown: ShownMessage,
    table: Table,
    call: () => unknown,
    go: (changes: Checked<Table> | undefined) => unknown,
  ): unknown {
    const what = whatOf(hook, shown.type);
    const read = (changes: unknown): Checked<Table> | undefined => readChanges(what, changes, table);
    const { guard } = this.#registration;
    const changes = shown.during(() => guard.call(what, () => then(call(), read), wantedBy(shown.type)));
    return then(changes, (value) => go(value as Checked<Table> | undefined));
  }
}

function whatOf(hook: string, { name }: AnyType): string {
  return `the hook ${hook} of "${name}"`;
}

/** Returns a function that knows the errors that a type declares: a plugin refuses with them, and has not failed. */
function wantedBy(type: AnyType): (error: unknown) => boolean {
  return (error) => declares(type, error);
}

/** Checks what a hook has returned: changes, or nothing. Only those that are there are members. */
function readChanges<Table extends Readonly<Record<string, Check<unknown>>>>(
  what: string,
  changes: unknown,
  table: Table,
): Checked<Table> | undefined {
  if (changes === undefined) return undefined;
  const read = readOptions(`what ${what} returns`, changes as object, table) as Record<string, unknown>;
  const members = Object.keys(table).filter((name) => name in (changes as object));
  return Object.fromEntries(members.map((name) => [name, settled(what, name, read[name])])) as Checked<Table>;
}

/** Returns a value. Throws if it is a promise: nobody would limit how long it takes. */
function settled(what: string, name: string, value: unknown): unknown {
  // Whoever awaits a function with a method `then` calls that, too.
  const then = typeof value === "function" ? (value as { readonly then?: unknown }).then : undefined;
  if (!isThenable(value) && typeof then !== "function") return value;
  // Its rejection must not end the process.
  promiseOf(value).catch(() => {});
  throw new TypeError(`What ${what} returns has a promise as its ${name}: await it, and return its value`);
}

/** Goes on with a value, or with that of a promise. */
function then(value: unknown, go: (value: unknown) => unknown): unknown {
  return isThenable(value) ? promiseOf(value).then(go) : go(value);
}

/** Calls `next`, tells how it ends, and returns and throws what it does. */
function observed(next: Next, returned: (result: unknown) => void, threw: (error: unknown) => void): unknown {
  let result: unknown;
  try {
    result = next();
  } catch (error) {
    threw(error);
    throw error;
  }
  if (isThenable(result)) Promise.resolve(result).then(returned, threw);
  else returned(result);
  return result;
}

/** Calls `next` and returns what is made of how it ends. */
function chained(
  next: Next,
  returned: (result: unknown) => unknown,
  threw: (error: unknown) => unknown,
): unknown {
  let result: unknown;
  try {
    result = next();
  } catch (error) {
    return threw(error);
  }
  return isThenable(result) ? Promise.resolve(result).then(returned, threw) : returned(result);
}
