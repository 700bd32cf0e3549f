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

/**
 * What a middleware changes before it goes on.
 *
 * @category Middleware
 */
export interface IncomingChanges {
  /**
   * The payload that the handler gets as `message.data`; of a stream, its `head`. It is not checked again. For a type
   * whose codec is `bytes`, it must be a `Uint8Array`, which is copied. The views `content`, `text` and `json` of other
   * types stay as they were received.
   */
  readonly data?: unknown;
}

/**
 * Goes on: calls the next middleware or, after the last one, the handler. It can be called once, and only until the
 * middleware has ended.
 *
 * @param changes What changes for the middleware and the handler that follow. Default: nothing.
 * @returns What the handler returns, or a promise of it. For a message without a route, the promise waits for the
 * listeners to `message`. Await what it returns, or return it: an error that nobody looks at is lost.
 * @throws {TypeError} It was called before, the middleware has ended, or a change is unknown or of the wrong type.
 * @throws {unknown} What the handler throws.
 *
 * @category Middleware
 */
export type Next = (changes?: IncomingChanges) => unknown;

/**
 * What a middleware of all types gets: a message or a stream. Its `kind` says which.
 *
 * @category Middleware
 */
export type Incoming = Message<unknown, unknown> | IncomingStream<unknown, unknown, unknown>;

/**
 * A function around handlers. Its result, or that of its promise, takes the place of the handler's result. To leave the
 * handler's result as it is, return what `next()` returns. For a message without a route the result is ignored, and
 * `reply()` answers. If a middleware throws, the message fails as if the handler had thrown. `Peer` is a
 * `ConnectedClient` on a server, the `Client` itself on a client.
 *
 * @category Middleware
 */
export type Middleware<Peer, In = Incoming> = (received: In, peer: Peer, next: Next) => unknown;

/**
 * What handlers of this type of messages or streams get.
 *
 * @category Middleware
 */
export type IncomingOf<Type> = Type extends MessageType<infer _In, infer Out, infer ReplyIn, infer _ReplyOut>
  ? Message<Out, ReplyIn>
  : Type extends StreamType<infer _HI, infer HO, infer _UI, infer UO, infer DI, infer _DO, infer _RI, infer _RO>
    ? IncomingStream<HO, UO, DI>
  : never;

/** What a middleware needs from a message or a stream. */
export interface Changeable {
  readonly type: { readonly name: string };
  /** True once its handler has ended. */
  readonly finished: boolean;
  /** Replaces what the handler gets. Throws a `TypeError` if it cannot be that. */
  change(data: unknown): void;
}

/** A handler of anything, or what takes its place. */
export type AnyHandler = (received: never, peer: never) => unknown;

/**
 * A type of messages or of streams.
 *
 * @category Middleware
 */
export type AnyType = AnyMessageType | AnyStreamType;

/** A middleware and what it is around. */
interface Entry {
  readonly middleware: Middleware<never, never>;
  /** The codes of its types; `undefined` for everything. */
  readonly codes: ReadonlySet<number> | undefined;
  /** True if it is around messages without a route, too. */
  readonly unrouted: boolean;
}

const CHANGES = { data: unchecked<unknown>() };

/** The object that has the handler of messages without a route. */
export interface CatchAll {
  readonly handler: AnyHandler;
}

/** Offers a message without a route to the listeners to `message`. */
const OFFERED: CatchAll = { handler: ((message: { offer(): unknown }) => message.offer()) as AnyHandler };

/** The middleware of a Server or a Client, outermost first. */
export class Middlewares {
  #entries: Entry[] = [];
  #catchAll = OFFERED;

  /**
   * Adds one. Returns a function that removes it.
   *
   * @param unrouted True if it is around messages without a route, too. Their payload is not decoded.
   * @throws {TypeError} It is no function, or `types` is no list of types.
   */
  add(
    types: readonly AnyType[] | undefined,
    middleware: Middleware<never, never>,
    unrouted: boolean,
  ): () => void {
    const entry: Entry = {
      middleware: checkFunction("Cannot use: the middleware", middleware),
      codes: types === undefined ? undefined : codesOf(types),
      unrouted,
    };
    this.#set([...this.#entries, entry]);
    return () => this.#set(this.#entries.filter((other) => other !== entry));
  }

  /** Returns a handler with all middleware of its code around it. If there is none, returns the handler itself. */
  around<Handler extends AnyHandler>(code: number, handler: Handler): Handler {
    return composed(this.#entries.filter(({ codes }) => codes?.has(code) ?? true), handler) as Handler;
  }

  /** What handles messages without a route. */
  get catchAll(): CatchAll {
    return this.#catchAll;
  }

  #set(entries: Entry[]): void {
    this.#entries = entries;
    const chain = entries.filter(({ unrouted }) => unrouted).map(onlyItsTypes);
    this.#catchAll = { handler: composed(chain, OFFERED.handler) };
  }
}

/** Returns a middleware that looks at the code of each message itself. */
function onlyItsTypes(entry: Entry): Entry {
  const { codes, middleware } = entry;
  if (codes === undefined) return entry;
  const filtered = (received: { readonly type: AnyType }, peer: never, next: Next): unknown =>
    codes.has(received.type.code) ? middleware(received as never, peer, next) : next();
  return { ...entry, middleware: filtered as Entry["middleware"] };
}

function composed(entries: readonly Entry[], handler: AnyHandler): AnyHandler {
  return entries.reduceRight<AnyHandler>((inner, { middleware }) => {
    return (received, peer) => new Turn(middleware, inner, received, peer).run();
  }, handler);
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
  /** True while the promise of the handler is pending. */
  #pending = false;

  constructor(middleware: Middleware<never, never>, inner: AnyHandler, received: never, peer: never) {
    this.#middleware = middleware;
    this.#inner = inner;
    this.#received = received;
    this.#peer = peer;
  }

  run(): unknown {
    let result: unknown;
    try {
      result = this.#middleware(this.#received, this.#peer, (changes) => this.#next(changes));
    } catch (error) {
      return this.#failed(error);
    }
    // Many return what next() returned.
    if (result === this.#handled && this.#state === "called") return result;
    if (!isThenable(result)) return this.#ended(result);
    return Promise.resolve(result).then((value) => this.#ended(value), (error) => this.#failed(error));
  }

  #next(changes: IncomingChanges | undefined): unknown {
    const { finished, type: { name } } = this.#received as Changeable;
    if (this.#state === "called") throw new TypeError(`Cannot go on with "${name}": next() was called before`);
    if (this.#state === "over") {
      throw new TypeError(`Cannot go on with "${name}": the middleware has ended, so await next() or return it`);
    }
    if (finished) throw new TypeError(`Cannot go on with "${name}": nobody waits for it any more`);
    if (changes !== undefined) change(this.#received, changes);
    this.#state = "called";
    const handled = this.#inner(this.#received, this.#peer);
    if (!isThenable(handled)) return this.#handled = handled;
    const settled = (): void => {
      this.#pending = false;
    };
    this.#pending = true;
    // Some promises work only when somebody waits for them, and once more for each who does.
    const promise = Promise.resolve(handled);
    promise.then(settled, settled);
    return this.#handled = promise;
  }

  /** Returns the result. If the handler still runs, the message fails when it has ended. */
  #ended(result: unknown): unknown {
    if (this.#state === "ready") this.#state = "over";
    if (!this.#pending) return result;
    const { type: { name } } = this.#received as Changeable;
    const text = `A middleware of "${name}" ended before the handler: await next(), or return what it returns`;
    return (this.#handled as Promise<unknown>).then(() => {
      throw new TypeError(text);
    }, (cause) => {
      throw new TypeError(text, { cause });
    });
  }

  /** Fails with the error of the middleware. If the handler still runs, it does so when that has ended. */
  #failed(error: unknown): unknown {
    if (this.#state === "ready") this.#state = "over";
    if (!this.#pending) throw error;
    const fail = (): never => {
      throw error;
    };
    return (this.#handled as Promise<unknown>).then(fail, fail);
  }
}

function change(received: Changeable, changes: IncomingChanges): void {
  readOptions("next()'s changes", changes, CHANGES);
  if ("data" in changes) received.change(changes.data);
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
