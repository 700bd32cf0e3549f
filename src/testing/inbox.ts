/**
 * Collects the messages of a type that a Server or a Client receives.
 *
 * @module
 */

import type { MessageType } from "../message/message_type.ts";
import { AssertionError } from "./assertion.ts";
import { show } from "./values.ts";

/**
 * What an inbox needs from a Server or a Client: that it can add a route.
 *
 * @category Testing
 */
export interface InboxTarget {
  /** Adds a route; see `Server.route` and `Client.route`. */
  route(type: never, handler: never): unknown;
}

/**
 * What assertions look at in an {@linkcode Inbox}.
 *
 * @category Testing
 */
export interface ReceivedMessages {
  /** The payloads of all messages so far. */
  readonly all: readonly unknown[];
  /** The name and the code of the type. */
  readonly name: string;
  /** Returns what came so far, for the message of an assertion. */
  describe(): string;
}

/**
 * The messages of one type that came, in order. The inbox is the route of that type.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { messageType, text } from "@veltix/core";
 * import { connect, Inbox, serve } from "@veltix/core/testing";
 *
 * const CHAT = messageType(200, "chat", text);
 *
 * await using served = await serve();
 * const inbox = new Inbox(served.server, CHAT);
 * await using connected = await connect(served);
 * connected.client.send(CHAT, "hello");
 * assertEquals(await inbox.next(), "hello");
 * ```
 *
 * @category Testing
 */
export class Inbox<Out> implements ReceivedMessages {
  /** The payloads of all messages so far, whether they were taken or not. */
  readonly all: Out[] = [];
  readonly #type: { readonly code: number; readonly name: string };
  readonly #untaken: Out[] = [];
  readonly #waiting: ((data: Out) => void)[] = [];

  /**
   * Adds the route.
   *
   * @param target The Server or Client.
   * @param type The type of the messages. It must have no reply.
   * @throws {unknown} What `route` throws: the type has a route already.
   */
  constructor(target: InboxTarget, type: MessageType<never, Out>) {
    this.#type = type;
    const received = ({ data }: { readonly data: Out }): void => {
      this.all.push(data);
      const waiter = this.#waiting.shift();
      if (waiter !== undefined) waiter(data);
      else this.#untaken.push(data);
    };
    target.route(type as never, received as never);
  }

  /**
   * Resolves with the payload of the next message. That is the first one that came and was not taken yet, or else the
   * next one that comes.
   */
  next(): Promise<Out> {
    if (this.#untaken.length > 0) return Promise.resolve(this.#untaken.shift()!);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Returns the payload of the next message, which must have come already.
   *
   * @throws {AssertionError} There is none.
   */
  take(): Out {
    if (this.#untaken.length > 0) return this.#untaken.shift()!;
    throw new AssertionError(`Expected a message of ${this.name}: ${this.describe()}`);
  }

  /** The name and the code of the type. */
  get name(): string {
    return `type ${this.#type.name} (${this.#type.code})`;
  }

  /** Returns what came so far, for the message of an assertion. */
  describe(): string {
    return this.all.length === 0
      ? "none came"
      : `what came was\n${this.all.map((data) => `  ${show(data)}`).join("\n")}`;
  }
}
