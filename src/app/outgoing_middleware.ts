/**
 * Middleware around what a program sends: messages, requests, broadcasts, and the streams that it opens.
 *
 * @module
 */

import { checkFunction, readOptions, show, unchecked } from "../base/checks.ts";
import { isThenable } from "../base/thenable.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import type { AnyStreamType } from "../message/stream_type.ts";
import type { Answer, RequestOptions } from "../session/requests.ts";
import { type Metadata, metadataMembers, NO_METADATA } from "../wire/metadata.ts";
import { type AnyType, codesOf } from "./middleware.ts";
import { type SendOptions, type SendTerms, sendTerms } from "./send_options.ts";
import type { OpenOptions } from "./streams/open_stream.ts";

/**
 * What a program is about to send. `Peer` is a `ConnectedClient` on a server, the `Client` itself on a client.
 *
 * @category Middleware
 */
export interface OutgoingCall<Peer> {
  /** The method that was called: `send`, `request` or `exchange`, `broadcast`, `open`. */
  readonly kind: "send" | "request" | "broadcast" | "open";
  /** The type of the message or of the stream. */
  readonly type: AnyType;
  /** The payload, before it is encoded; of a stream, its head. */
  readonly payload: unknown;
  /** The options of the call, unchecked; an empty object if there are none. */
  readonly options: Readonly<Record<string, unknown>> & { readonly meta?: Metadata | undefined };
  /** Whom it goes to; `undefined` for a broadcast. */
  readonly peer: Peer | undefined;
  /**
   * True if metadata reaches the peer, or all peers of a broadcast. False for a peer that speaks a Python protocol, and
   * while a client has not connected yet.
   */
  readonly takesMetadata: boolean;
}

/**
 * What a middleware changes before it goes on.
 *
 * @category Middleware
 */
export interface OutgoingChanges {
  /** Another payload; of a stream, another head. */
  readonly payload?: unknown;
  /** Metadata in addition to that of the call. If both have the same name, this value takes the place of the call's. */
  readonly meta?: Metadata | undefined;
}

/**
 * Goes on: calls the next middleware or, after the last one, sends. It can be called once. The middleware of a request
 * may call it later. Every other middleware must call it before it returns. The `timeout` and the `signal` of a request
 * take effect when `next()` is called.
 *
 * @param changes What changes for the middleware that follow, and for what is sent. Default: nothing.
 * @returns For `send` a boolean; for `request` a promise of the whole answer, as `exchange()` returns it; for
 * `broadcast` the numbers of clients; and for `open` the stream.
 * @throws {TypeError | RangeError} It was called before, the middleware has ended, a change is unknown, or `meta` is not what
 * the method takes.
 * @throws {unknown} What the method throws.
 *
 * @category Middleware
 */
export type OutgoingNext = (changes?: OutgoingChanges) => unknown;

/**
 * A function around what is sent. It returns what `next()` returns, or something of the same kind in its place, such as
 * an answer from a cache. Only a middleware of requests may be asynchronous.
 *
 * @category Middleware
 */
export type OutgoingMiddleware<Peer> = (call: OutgoingCall<Peer>, next: OutgoingNext) => unknown;

/** A call that is about to be made. */
export interface Departure {
  readonly kind: OutgoingCall<unknown>["kind"];
  readonly type: AnyType;
  readonly payload: unknown;
  readonly options: object | undefined;
  readonly peer: unknown;
  /** Returns whether metadata reaches the peer. */
  takesMetadata(): boolean;
  /** Makes the call, without any middleware. */
  go(payload: unknown, options: object | undefined): unknown;
}

/** What makes the calls to one peer, without any middleware. */
export interface Direct {
  /** True if metadata reaches the peer. */
  readonly takesMetadata: boolean;
  send(type: AnyMessageType, payload: never, terms: SendTerms | undefined): boolean;
  exchange(type: AnyMessageType, payload: never, options: RequestOptions): Promise<Answer<unknown>>;
  open(type: AnyStreamType, head: unknown, options: OpenOptions): object;
}

/** The peer that a call is for: the public object, and what makes the call. */
export interface Recipient {
  readonly peer: unknown;
  readonly direct: Direct;
}

interface Entry {
  readonly middleware: OutgoingMiddleware<never>;
  /** The codes of its types; `undefined` for all. */
  readonly codes: ReadonlySet<number> | undefined;
}

const CHANGES = { payload: unchecked<unknown>(), meta: unchecked<Metadata | undefined>() };

/** The outgoing middleware of a Server or a Client, outermost first. */
export class OutgoingMiddlewares {
  #entries: Entry[] = [];

  /** True if there is none. */
  get empty(): boolean {
    return this.#entries.length === 0;
  }

  /**
   * Adds one. Returns a function that removes it.
   *
   * @throws {TypeError} It is no function, or `types` is no list of types.
   */
  add(types: readonly AnyType[] | undefined, middleware: OutgoingMiddleware<never>): () => void {
    const entry: Entry = {
      middleware: checkFunction("Cannot use: the middleware", middleware),
      codes: types === undefined ? undefined : codesOf(types),
    };
    this.#entries = [...this.#entries, entry];
    return () => {
      this.#entries = this.#entries.filter((other) => other !== entry);
    };
  }

  /** Does what `Client.send` does. */
  send(to: Recipient, type: unknown, payload: unknown, options: SendOptions | undefined): boolean {
    const known = type as AnyMessageType;
    return this.call(departure("send", to, known, payload, options, (sent, options) => {
      const terms = options === undefined ? undefined : sendTerms(known.name, options);
      // What a middleware has put in the place of the payload is not the caller's to give away.
      const kept = terms !== undefined && sent !== payload ? { ...terms, transfer: false } : terms;
      return to.direct.send(known, sent as never, kept);
    })) as boolean;
  }

  /** Does what `Client.open` does. */
  open(to: Recipient, type: AnyStreamType, head: unknown, options: OpenOptions | undefined): unknown {
    return this.call(departure("open", to, type, head, options, (head, options = {}) => {
      return to.direct.open(type, head, options);
    }));
  }

  /** Does what `Client.exchange` does. */
  exchange(to: Recipient, type: unknown, payload: unknown, options: RequestOptions): Promise<Answer<unknown>> {
    const known = type as AnyMessageType;
    return this.#request(departure("request", to, known, payload, options, (payload, options = {}) => {
      return to.direct.exchange(known, payload as never, options);
    }));
  }

  /** Makes a call that returns at once. Throws what it or a middleware throws. */
  call(departure: Departure): unknown {
    const result = this.#run(this.#entries, departure, departure.payload, departure.options);
    const wrong = wrongResult(departure, result);
    if (wrong === undefined) return result;
    if (isThenable(result)) Promise.resolve(result).catch(() => {});
    throw wrong;
  }

  /** Makes a request and returns its whole answer. Never throws; the promise rejects. */
  async #request(departure: Departure): Promise<Answer<unknown>> {
    const answer = await this.#run(this.#entries, departure, departure.payload, departure.options);
    const wrong = wrongResult(departure, answer);
    if (wrong !== undefined) throw wrong;
    return { meta: NO_METADATA, latency: 0, ...answer as Pick<Answer<unknown>, "data"> };
  }

  /** Calls the first of the middleware, and makes the call after the last one. */
  #run(
    entries: readonly Entry[],
    departure: Departure,
    payload: unknown,
    options: object | undefined,
  ): unknown {
    const { kind, type, peer } = departure;
    const index = entries.findIndex(({ codes }) => codes?.has(type.code) ?? true);
    if (index < 0) return departure.go(payload, options);
    let state: "ready" | "called" | "over" = "ready";
    const next: OutgoingNext = (changes) => {
      if (state === "called") throw new TypeError(`Cannot go on with "${type.name}": next() was called before`);
      if (state === "over") {
        throw new TypeError(
          `Cannot go on with "${type.name}": the middleware has ended, so call next() before it returns`,
        );
      }
      const changed = changes === undefined ? { payload, options } : changedBy(departure, changes, payload, options);
      state = "called";
      const result = this.#run(entries.slice(index + 1), departure, changed.payload, changed.options);
      if (!isThenable(result)) return result;
      // A middleware may ignore it. Its caller gets it from the middleware, if at all.
      const promise = Promise.resolve(result);
      promise.catch(() => {});
      return promise;
    };
    const call: OutgoingCall<unknown> = {
      kind,
      type,
      payload,
      options: (options ?? NO_OPTIONS) as OutgoingCall<unknown>["options"],
      peer,
      get takesMetadata() {
        return departure.takesMetadata();
      },
    };
    const result = entries[index].middleware(call as OutgoingCall<never>, next);
    const over = (): void => {
      if (state === "ready") state = "over";
    };
    if (kind !== "request" || !isThenable(result)) {
      over();
      return result;
    }
    return Promise.resolve(result).finally(over);
  }
}

/** Returns the payload and the options of a call with the changes of a middleware. */
function changedBy(
  { type: { name } }: Departure,
  changes: OutgoingChanges,
  payload: unknown,
  options: object | undefined,
): Pick<Departure, "payload" | "options"> {
  const { meta } = readOptions("next()'s changes", changes, CHANGES);
  const changed = "payload" in changes ? changes.payload : payload;
  if (meta === undefined) return { payload: changed, options };
  const what = `Cannot go on with "${name}"`;
  metadataMembers(what, meta, false);
  // The method itself refuses options that are none.
  if (typeof options !== "object" && options !== undefined || options === null) return { payload: changed, options };
  const { meta: given } = (options ?? NO_OPTIONS) as OutgoingCall<unknown>["options"];
  if (given !== undefined) metadataMembers(what, given, false);
  return { payload: changed, options: { ...options, meta: { ...given, ...meta } } };
}

function departure(
  kind: Departure["kind"],
  { peer, direct }: Recipient,
  type: AnyType,
  payload: unknown,
  options: object | undefined,
  go: Departure["go"],
): Departure {
  return { kind, type, payload, options, peer, takesMetadata: () => direct.takesMetadata, go };
}

const NO_OPTIONS = /* @__PURE__ */ Object.freeze({});

/**
 * Returns the error for what a middleware has returned in place of the result of a call; `undefined` if it is of the right
 * kind. Of a request, the result is the settled answer.
 */
export function wrongResult(
  { kind, type: { name } }: Pick<Departure, "kind" | "type">,
  result: unknown,
): TypeError | undefined {
  if (kind === "send" ? typeof result === "boolean" : typeof result === "object" && result !== null) {
    if (kind === "request" ? "data" in (result as object) : !isThenable(result)) return undefined;
  }
  const right = {
    send: "a boolean, at once",
    request: "an answer, { data }",
    broadcast: "numbers of clients, at once",
    open: "a stream, at once",
  }[kind];
  const what = isThenable(result) ? "a promise" : show(result);
  return new TypeError(`Cannot ${kind} "${name}": a middleware returned ${what} in place of ${right}`);
}
