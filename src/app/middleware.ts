/**
 * Middleware: functions around the handlers of messages and streams. A chain is composed when a route or a middleware is
 * added, so that a program without middleware pays nothing for each message.
 *
 * @module
 */

import { checkFunction, readOptions, show, unchecked } from "../base/checks.ts";
import { isThenable } from "../base/thenable.ts";
import type { Message } from "../message/message.ts";
import type { AnyMessageType, MessageType } from "../message/message_type.ts";
import type { AnyStreamType, StreamType } from "../message/stream_type.ts";
import type { IncomingStream } from "./streams/incoming_stream.ts";

/** What a middleware changes before it goes on. */
export interface IncomingChanges {
  /**
   * The payload that the handler gets as `message.data`; of a stream, its `head`. It is not checked again. For a type
   * whose codec is `bytes`, it must be a `Uint8Array`. The views `content`, `text` and `json` of other types stay as they
   * were received.
   */
  readonly data?: unknown;
}

/**
 * Goes on: calls the next middleware, or the handler after the last one. It can be called once, and only until the
 * middleware has ended.
 *
 * @param changes What is different for those that follow. Default: nothing.
 * @returns What the handler returns, which may be a promise. For a message without a route, the result is `undefined`, or a
 * promise that waits for the listeners to `message`.
 * @throws {TypeError} It was called before, the middleware has ended, or a change is unknown or of the wrong type.
 * @throws {unknown} What the handler throws.
 */
export type Next = (changes?: IncomingChanges) => unknown;

/** What a middleware of all types gets: a message or a stream. Its `kind` says which. */
export type Incoming = Message<unknown, unknown> | IncomingStream<unknown, unknown, unknown>;

/**
 * A function around handlers. Its result, or the one of its promise, takes the place of the handler's: to leave it as it
 * is, return what `next()` returns. A middleware that throws fails the message as a handler does that throws. `Peer` is a
 * `ConnectedClient` on a server, the `Client` itself on a client.
 */
export type Middleware<Peer, In = Incoming> = (received: In, peer: Peer, next: Next) => unknown;

/** What handlers of this type of messages or streams get. */
export type IncomingOf<Type> = Type extends MessageType<infer _In, infer Out, infer ReplyIn, infer _ReplyOut>
  ? Message<Out, ReplyIn>
  : Type extends StreamType<infer _HI, infer HO, infer _UI, infer UO, infer DI, infer _DO, infer _RI, infer _RO>
    ? IncomingStream<HO, UO, DI>
  : never;

/** What a middleware needs of a message or a stream. */
export interface Changeable {
  readonly type: { readonly name: string };
  /** True once its handler has ended. */
  readonly finished: boolean;
  /** Replaces what the handler gets. Throws a `TypeError` if it cannot be that. */
  change(data: unknown): void;
}

/** A handler of anything, or what takes its place. */
export type AnyHandler = (received: never, peer: never) => unknown;

/** A type of messages or of streams. */
export type AnyType = AnyMessageType | AnyStreamType;

/** A middleware and what it is around. */
interface Entry {
  readonly middleware: Middleware<never, never>;
  /** The codes of its types; `undefined` for everything. */
  readonly codes: ReadonlySet<number> | undefined;
}

const CHANGES = { data: unchecked<unknown>() };

/** What has the handler of a message that has no route. */
export interface CatchAll {
  readonly handler: AnyHandler;
}

/** Offers a message without a route to the listeners to `message`. */
const OFFERED: CatchAll = { handler: ((message: { offer(): unknown }) => message.offer()) as AnyHandler };

/** The middleware of a Server or a Client, outermost first. */
export class Middlewares {
  #entries: Entry[] = [];
  /** The handlers of messages without a route: by code if a middleware names it, otherwise by `undefined`. */
  #catchAlls = new Map<number | undefined, CatchAll>();

  /**
   * Adds one. Returns a function that removes it.
   *
   * @throws {TypeError} It is no function, or `types` is no list of types.
   */
  add(types: readonly AnyType[] | undefined, middleware: Middleware<never, never>): () => void {
    const entry: Entry = {
      middleware: checkFunction("Cannot use: the middleware", middleware),
      codes: types === undefined ? undefined : codesOf(types),
    };
    this.#entries.push(entry);
    this.#catchAlls.clear();
    return () => {
      this.#entries = this.#entries.filter((other) => other !== entry);
      this.#catchAlls.clear();
    };
  }

  /** Returns a handler with all middleware of its code around it; without any, the handler itself. */
  around<Handler extends AnyHandler>(code: number, handler: Handler): Handler {
    const chain = this.#entries.filter(({ codes }) => codes?.has(code) ?? true);
    return chain.reduceRight<AnyHandler>((inner, { middleware }) => layer(middleware, inner), handler) as Handler;
  }

  /** Returns what handles messages of a code that has no route. */
  catchAll(code: number): CatchAll {
    if (this.#entries.length === 0) return OFFERED;
    const key = this.#entries.some(({ codes }) => codes?.has(code)) ? code : undefined;
    let catchAll = this.#catchAlls.get(key);
    if (catchAll === undefined) {
      catchAll = { handler: this.around(code, OFFERED.handler) };
      this.#catchAlls.set(key, catchAll);
    }
    return catchAll;
  }
}

/** Returns a handler that calls a middleware, which may call `inner`. */
function layer(middleware: Middleware<never, never>, inner: AnyHandler): AnyHandler {
  return (received: never, peer: never) => new Turn(middleware, inner, received, peer).run();
}

/** One call of a middleware. */
class Turn {
  readonly #middleware: Middleware<never, never>;
  readonly #inner: AnyHandler;
  readonly #received: never;
  readonly #peer: never;
  #state: "ready" | "called" | "over" = "ready";
  /** What the handler returned. */
  #handled: unknown = undefined;
  /** True once the middleware has returned, maybe a promise. */
  #returned = false;
  /** True while the promise of the handler is pending. It is only known if the middleware has returned another one. */
  #pending = false;

  constructor(middleware: Middleware<never, never>, inner: AnyHandler, received: never, peer: never) {
    this.#middleware = middleware;
    this.#inner = inner;
    this.#received = received;
    this.#peer = peer;
  }

  run(): unknown {
    const result = this.#middleware(this.#received, this.#peer, (changes) => this.#next(changes));
    this.#returned = true;
    const later = isThenable(result);
    if (this.#state === "ready" && !later) this.#state = "over";
    // Many return what next() returned.
    if (result === this.#handled) return result;
    this.#watch();
    return later ? Promise.resolve(result).then((value) => this.#checked(value)) : this.#checked(result);
  }

  #next(changes: IncomingChanges | undefined): unknown {
    const { finished, type: { name } } = this.#received as Changeable;
    if (this.#state === "called") throw new TypeError(`Cannot go on with "${name}": next() was called before`);
    if (this.#state === "over" || finished) {
      throw new TypeError(`Cannot go on with "${name}": the middleware has ended, so await next() or return it`);
    }
    this.#state = "called";
    if (changes !== undefined) change(this.#received, changes);
    this.#handled = this.#inner(this.#received, this.#peer);
    if (this.#returned) this.#watch();
    return this.#handled;
  }

  #watch(): void {
    if (!isThenable(this.#handled)) return;
    const settled = (): void => {
      this.#pending = false;
    };
    this.#pending = true;
    this.#handled.then(settled, settled);
  }

  /** Returns the result, unless the handler still runs: nobody would learn of its error then. */
  #checked(result: unknown): unknown {
    this.#state = "over";
    if (!this.#pending) return result;
    const { type: { name } } = this.#received as Changeable;
    throw new TypeError(`A middleware of "${name}" ended before the handler: await next(), or return what it returns`);
  }
}

function change(received: Changeable, changes: IncomingChanges): void {
  const { data } = readOptions("next()'s changes", changes, CHANGES);
  if (Object.hasOwn(changes, "data")) received.change(data);
}

/** Returns the codes of types that a program has given. */
export function codesOf(types: readonly { readonly code: number }[]): ReadonlySet<number> {
  if (!Array.isArray(types)) throw new TypeError(`Cannot use: types must be a list of types, not ${show(types)}`);
  if (types.length === 0) throw new TypeError("Cannot use: the list of types is empty, leave it out for all types");
  return new Set((types as readonly { readonly code: number }[]).map((type) => {
    if (Number.isInteger(type?.code)) return type.code;
    throw new TypeError(`Cannot use: types must be a list of types, and one of them is ${show(type)}`);
  }));
}
