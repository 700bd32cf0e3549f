/**
 * Which handler takes which type of message.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import type { Message, Replied } from "../message/message.ts";
import type { AnyMessageType, MessageType } from "../message/message_type.ts";
import { bytes } from "../message/codecs.ts";
import { checkBoolean, optional, type OptionTable, readOptions, whole } from "../base/checks.ts";
import { AnswerSizes } from "../link/answer_sizes.ts";

/** What a handler returns: the reply or a promise of it if its type has one; otherwise anything, which is ignored. */
export type HandlerResult<ReplyIn> = [ReplyIn] extends [never] ? unknown
  : ReplyIn | Replied | PromiseLike<ReplyIn | Replied>;

/** Handles messages of one type. `Peer` is a `ConnectedClient` on a server, the `Client` itself on a client. */
export type Handler<Out, ReplyIn, Peer> = (message: Message<Out, ReplyIn>, peer: Peer) => HandlerResult<ReplyIn>;

/** Options of a route. */
export interface RouteOptions {
  /**
   * Handles this route's messages one at a time per connection: each waits until the promise of the one before is settled.
   * What comes after a waiting message on the same connection waits, too, whatever its type. On a client the first message of
   * a new connection waits for a handler that a connection before has left at work.
   * @default false
   */
  readonly ordered?: boolean;
  /**
   * How long the promise of a handler may take, in milliseconds. After that `message.signal` is aborted, the request of a
   * native peer rejects with a `RemoteError` of code `timeout`, the `error` event gets a `TimeoutError`, and other messages
   * no longer wait for the handler; what it still does is ignored.
   * @default no limit
   */
  readonly timeout?: number;
}

const ROUTE_OPTIONS = {
  ordered: optional(checkBoolean, false),
  timeout: optional(whole(1)),
} satisfies OptionTable<RouteOptions>;

/** A type with its handler. */
export interface Route {
  /** The type. */
  readonly type: AnyMessageType;
  /** Its handler. */
  readonly handler: (message: Message<never, never>, peer: never) => unknown;
  /** Whether each message waits for the one before. */
  readonly ordered: boolean;
  /** How long it may take, in milliseconds. */
  readonly timeout: number | undefined;
  /** Whether the payload is handed out as it came, with nothing to decode. */
  readonly raw: boolean;
  /** How large its answers are. */
  readonly answers: AnswerSizes;
}

/** A change of the routes. */
export interface RouteInfo {
  /** What was done. */
  readonly action: "added" | "removed";
  /** The code of its type. */
  readonly code: number;
  /** The name of its type. */
  readonly name: string;
}

/** The routes of a Server or a Client. */
export class Routes {
  readonly #routes = new Map<number, Route>();
  /** How large the answers to messages without a route are. */
  readonly unrouted: AnswerSizes = new AnswerSizes();

  /** The route of a code. */
  get(code: number): Route | undefined {
    return this.#routes.get(code);
  }

  /**
   * Adds a route.
   *
   * @throws {MessageTypeError} `code-taken`: that code has a route.
   */
  add<In, Out, ReplyIn, ReplyOut, Peer>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    handler: Handler<Out, ReplyIn, Peer>,
    options: RouteOptions = {},
  ): void {
    if (typeof handler !== "function") {
      throw new TypeError(`Cannot route "${type?.name}": handler must be a function`);
    }
    if (!Number.isInteger(type?.code)) throw new TypeError("Cannot route: type must be a message type");
    const { ordered, timeout } = readOptions("a route's options", options, ROUTE_OPTIONS);
    const other = this.#routes.get(type.code);
    if (other !== undefined) {
      throw new MessageTypeError(
        "code-taken",
        `Cannot route "${type.name}": code ${type.code} is routed as "${other.type.name}", unroute that first`,
      );
    }
    this.#routes.set(type.code, {
      type: type as AnyMessageType,
      handler: handler as Route["handler"],
      ordered,
      timeout,
      raw: (type.payload as unknown) === bytes,
      answers: new AnswerSizes(),
    });
  }

  /** Takes a route away; false if there was none. */
  remove(type: { readonly code: number }): boolean {
    return this.#routes.delete(type.code);
  }
}
