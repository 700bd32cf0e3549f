/**
 * The routes of a Server or a Client, which assign handlers to types of messages.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import type { Message, Replied } from "../message/message.ts";
import type { AnyMessageType, MessageType } from "../message/message_type.ts";
import { bytes } from "../message/codecs.ts";
import { checkBoolean, optional, type OptionTable, readOptions, show, whole } from "../base/checks.ts";
import { type AnyStreamType, isStreamType } from "../message/stream_type.ts";
import type { IncomingStream } from "./streams/incoming_stream.ts";
import { type AnyType, type CatchAll, type Middleware, Middlewares } from "./middleware.ts";
import { AnswerSizes } from "../link/answer_sizes.ts";

/**
 * The result of a handler. It is the reply or a promise of it, if the type has one. Otherwise any value is ignored.
 *
 * @category Requests
 */
export type HandlerResult<ReplyIn> = [ReplyIn] extends [never] ? unknown
  : ReplyIn | Replied | PromiseLike<ReplyIn | Replied>;

/**
 * Handles messages of one type. `Peer` is a `ConnectedClient` on a server, the `Client` itself on a client.
 *
 * @category Requests
 */
export type Handler<Out, ReplyIn, Peer> = (message: Message<Out, ReplyIn>, peer: Peer) => HandlerResult<ReplyIn>;

/**
 * Handles the messages of one type, many in one call; see {@linkcode BatchRouteOptions}. Whatever it returns is ignored; a
 * promise is awaited. `Peer` is a `ConnectedClient` on a server, the `Client` itself on a client.
 *
 * @category Requests
 */
export type BatchHandler<Out, Peer> = (messages: Message<Out>[], peer: Peer) => unknown;

/**
 * Options of a route.
 *
 * @category Requests
 */
export interface RouteOptions {
  /**
   * Handles this route's messages one at a time: each waits until the promise of the handler before is settled. On a
   * server, this holds for each connection. On a client, it holds across reconnects: a message of a new connection
   * waits for a handler that still runs from an earlier one. Messages that come after a waiting message on the same
   * connection wait, too, whatever their type.
   * @default false
   */
  readonly ordered?: boolean;
  /**
   * How long the promise of a handler may take, in milliseconds. After that, `message.signal` is aborted, the request
   * of a native peer rejects with a `RemoteError` of code `timeout`, the `error` event gets a `TimeoutError`, and other
   * messages no longer wait for the handler. Its result is ignored.
   * @default no limit
   */
  readonly timeout?: number;
  /** With `true`, the handler gets many messages in one call; see {@linkcode BatchRouteOptions}. @default false */
  readonly batch?: false;
}

/**
 * Options of a route whose handler gets many messages in one call: less work for each message, and one write for all of
 * them where they go to a database. The type must have no reply.
 *
 * A call gets the messages of one connection, in order: those of the route that come one after the other in what is read
 * at once, or that have waited together. There is at least one, and at most 1,024, whose payloads have at most
 * `maxHandlerBytes` together unless there is only one. Nothing is waited for: a message that comes alone is handed out
 * alone, at once. What the connection brings after the messages, such as a message of another route, is handed out after
 * them.
 *
 * Middleware, hooks of plugins and the event `routed` are called for each message, before it is gathered, and `next()`
 * returns `undefined` then. A message whose middleware calls `next()` later is handed out alone, and `next()` returns what
 * the handler returns.
 *
 * A payload that cannot be decoded is left out, and the event `error` tells of it. If the handler fails, the event tells of
 * it once, with the first of its messages. A handler with a promise counts as one for `maxConcurrentHandlers`, and for
 * `maxHandlerBytes` with all of its payloads. Other connections wait while a handler works through its messages.
 *
 * @category Requests
 */
export interface BatchRouteOptions {
  /** Turns it on. */
  readonly batch: true;
  /**
   * Calls the handler again only when the promise of its last call is settled. What comes meanwhile waits, and is the next
   * array, up to the limits. On a server, this holds for each connection. On a client, it holds across reconnects.
   * Messages that come after a waiting message on the same connection wait, too, whatever their type.
   * @default false
   */
  readonly ordered?: boolean;
  /**
   * How long the promise of a handler may take, in milliseconds. After that, the `signal` of its messages is aborted, the
   * `error` event gets a `TimeoutError`, and other messages no longer wait for the handler.
   * @default no limit
   */
  readonly timeout?: number;
}

const ROUTE_OPTIONS = {
  ordered: optional(checkBoolean, false),
  timeout: optional(whole(1)),
  batch: optional(checkBoolean, false),
} satisfies OptionTable<Omit<RouteOptions, "batch"> & { readonly batch?: boolean }>;

/**
 * The handler that fits the options of a route: a {@linkcode BatchHandler} with `batch: true`, otherwise a
 * {@linkcode Handler}. For options that do not fit the type it is a text that says so, which the compiler's error shows.
 *
 * @category Requests
 */
export type RouteHandler<Out, ReplyIn, Peer, Options> = [Options] extends [BatchRouteOptions]
  ? [ReplyIn] extends [never] ? BatchHandler<Out, Peer>
  : "This message type has a reply, so its handler gets one message at a time: leave out batch"
  : [Options] extends [RouteOptions] ? Handler<Out, ReplyIn, Peer>
  : "The option batch must be a literal true or false";

/** What stands for the handler of a route with `batch`. */
const GATHERED: Route["own"] = (message) => (message as unknown as { gather(): unknown }).gather();

/** A type of messages with its handler. */
export interface Route {
  readonly type: AnyMessageType;
  /** The handler with all middleware around it. */
  handler: (message: Message<never, never>, peer: never) => unknown;
  /** True if its messages are handled one at a time. */
  readonly ordered: boolean;
  /** How long its handler may take, in milliseconds; `undefined` for no limit. */
  readonly timeout: number | undefined;
  /** True if the handler gets the payload as it was received, without decoding. */
  readonly raw: boolean;
  /** The sizes of its answers. */
  readonly answers: AnswerSizes;
  /** The handler alone, or what gathers messages for {@linkcode batch}. */
  readonly own: (message: Message<never, never>, peer: never) => unknown;
  /** The handler of many messages; `undefined` if it gets one at a time. */
  readonly batch: ((messages: Message<never, never>[], peer: never) => unknown) | undefined;
}

/**
 * What a handler of a stream returns: the result, or a promise of it. A stream or an asynchronous iterable is sent to the
 * opener, item by item; what a generator returns at its end is the result. A `ReadableStream` has no result.
 *
 * @category Streams
 */
export type StreamResult<DownIn, ResultIn> =
  | ResultIn
  | StreamItems<DownIn, ResultIn>
  | PromiseLike<ResultIn | StreamItems<DownIn, ResultIn>>;

/**
 * What a handler may return in place of a result: items that go to the opener, before the result that they end with.
 *
 * @category Streams
 */
export type StreamItems<DownIn, ResultIn> =
  | AsyncGenerator<DownIn, ResultIn, unknown>
  | AsyncIterable<DownIn, ResultIn>
  | ReadableStream<DownIn>;

/**
 * Handles streams of one type. `Peer` is a `ConnectedClient` on a server, the `Client` itself on a client.
 *
 * @category Streams
 */
export type StreamHandler<HeadOut, UpOut, DownIn, ResultIn, Peer> = (
  stream: IncomingStream<HeadOut, UpOut, DownIn>,
  peer: Peer,
) => StreamResult<DownIn, ResultIn>;

/** A type of streams with its handler. */
export interface StreamRoute {
  readonly type: AnyStreamType;
  /** The handler with all middleware around it. */
  handler: (stream: never, peer: never) => unknown;
  /** The handler alone. */
  readonly own: (stream: never, peer: never) => unknown;
}

/**
 * A route that is to be added. `Peer` is the second argument of its handler.
 *
 * @category Requests
 */
export interface NewRoute<Peer> {
  /** The type of its messages or streams. */
  readonly type: AnyMessageType | AnyStreamType;
  /** Called with each of them and the peer. */
  readonly handler: (received: never, peer: Peer) => unknown;
  /** Its options. A route of streams has none. */
  readonly options?: RouteOptions | BatchRouteOptions | undefined;
}

/**
 * A change of the routes.
 *
 * @category Events
 */
export interface RouteInfo {
  /** What happened to the route. */
  readonly action: "added" | "removed";
  /** The code of the route's type. */
  readonly code: number;
  /** The name of the route's type. */
  readonly name: string;
}

/** The routes of a Server or a Client. */
export class Routes {
  readonly #routes = new Map<number, Route>();
  /** Created with the first one. */
  #streams: Map<number, StreamRoute> | undefined = undefined;
  readonly #middlewares = new Middlewares();
  /** The sizes of the answers to messages without a route. */
  readonly unrouted: AnswerSizes = new AnswerSizes();

  /** Returns the route of a code; `undefined` if there is none. */
  get(code: number): Route | undefined {
    return this.#routes.get(code);
  }

  /**
   * Adds a route and returns it.
   *
   * @throws {MessageTypeError} `code-taken`: the code of `type` has a route already.
   * @throws {TypeError} `batch` is set, and `type` has a reply.
   */
  add<In, Out, ReplyIn, ReplyOut, Peer, Options extends RouteOptions | BatchRouteOptions = RouteOptions>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    handler: NoInfer<RouteHandler<Out, ReplyIn, Peer, Options>>,
    options?: Options,
  ): Route {
    if (typeof handler !== "function") {
      throw new TypeError(`Cannot route "${type?.name}": handler must be a function`);
    }
    if (!Number.isInteger(type?.code) || isStreamType(type)) {
      throw new TypeError("Cannot route: type must be a message type; for a stream type call stream()");
    }
    const { batch, ordered, timeout } = readOptions("a route's options", options ?? {}, ROUTE_OPTIONS);
    if (batch && type.reply !== undefined) {
      const text =
        `Cannot route "${type.name}" with batch: its type has a reply, and only single messages are answered`;
      throw new TypeError(text);
    }
    this.#checkFree(type);
    const own = batch ? GATHERED : handler as Route["own"];
    const route: Route = {
      type: type as AnyMessageType,
      handler: this.#middlewares.around(type.code, own),
      ordered,
      timeout,
      raw: (type.payload as unknown) === bytes,
      answers: new AnswerSizes(),
      own,
      batch: batch ? handler as Route["batch"] : undefined,
    };
    this.#routes.set(type.code, route);
    return route;
  }

  /** Returns the route of a code of streams; `undefined` if there is none. */
  stream(code: number): StreamRoute | undefined {
    return this.#streams?.get(code);
  }

  /**
   * Adds a route of streams and returns it.
   *
   * @throws {MessageTypeError} `code-taken`: the code of `type` has a route already.
   */
  addStream(type: AnyStreamType, handler: StreamRoute["handler"]): StreamRoute {
    if (typeof handler !== "function") {
      throw new TypeError(`Cannot route "${type?.name}": handler must be a function`);
    }
    if (!Number.isInteger(type?.code) || !isStreamType(type)) {
      throw new TypeError("Cannot route: type must be a stream type");
    }
    this.#checkFree(type);
    const route: StreamRoute = { type, handler: this.#middlewares.around(type.code, handler), own: handler };
    (this.#streams ??= new Map()).set(type.code, route);
    return route;
  }

  /** Adds routes of messages and streams and returns them. If one cannot be added, none is. Throws what adding throws. */
  addAll(routes: readonly NewRoute<never>[]): (Route | StreamRoute)[] {
    if (!Array.isArray(routes)) {
      throw new TypeError(`Cannot add routes: they must be a list of { type, handler, options }, not ${show(routes)}`);
    }
    const added: (Route | StreamRoute)[] = [];
    try {
      for (const route of routes as readonly NewRoute<never>[]) added.push(this.#addOne(route));
    } catch (error) {
      for (const { type } of added) this.remove(type);
      throw error;
    }
    return added;
  }

  /** Returns whether a route is still there, and not another one of its code. */
  has(route: Route | StreamRoute): boolean {
    const { code } = route.type;
    return this.#routes.get(code) === route || this.#streams?.get(code) === route;
  }

  /** Removes the route of a code. Returns its type; `undefined` if there was none. */
  remove({ code }: { readonly code: number }): AnyMessageType | AnyStreamType | undefined {
    const route = this.#routes.get(code) ?? this.#streams?.get(code);
    this.#routes.delete(code);
    this.#streams?.delete(code);
    return route?.type;
  }

  /**
   * Adds a middleware around the handlers, those that are there and those that come. Returns a function that removes it.
   * Throws what `Middlewares.add` throws.
   */
  use(types: readonly AnyType[] | undefined, middleware: Middleware<never, never>, unrouted: boolean): () => void {
    const remove = this.#middlewares.add(types, middleware, unrouted);
    this.#compose();
    return () => {
      remove();
      this.#compose();
    };
  }

  /** What handles messages without a route. */
  get catchAll(): CatchAll {
    return this.#middlewares.catchAll;
  }

  #compose(): void {
    for (const route of this.#routes.values()) route.handler = this.#middlewares.around(route.type.code, route.own);
    for (const route of this.#streams?.values() ?? []) {
      route.handler = this.#middlewares.around(route.type.code, route.own);
    }
  }

  #addOne(route: NewRoute<never>): Route | StreamRoute {
    if (typeof route?.type !== "object" || route.type === null) {
      throw new TypeError(`Cannot add routes: each must be { type, handler, options }, not ${show(route)}`);
    }
    const { type, handler, options } = route;
    if (!isStreamType(type)) return this.add(type, handler as never, options);
    if (options !== undefined) throw new TypeError(`Cannot route "${type.name}": a route of streams has no options`);
    return this.addStream(type, handler);
  }

  #checkFree({ code, name }: { readonly code: number; readonly name: string }): void {
    const other = this.#routes.get(code) ?? this.#streams?.get(code);
    if (other === undefined) return;
    const text = `Cannot route "${name}": code ${code} is routed as "${other.type.name}", unroute that first`;
    throw new MessageTypeError("code-taken", text);
  }
}
