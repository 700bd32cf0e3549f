/**
 * The message that a handler receives.
 *
 * @module
 */

import type { Metadata } from "../wire/metadata.ts";
import type { AnyMessageType } from "./message_type.ts";

/**
 * The type of {@linkcode replied}. It is no `unique symbol`, because TypeScript widens that to `symbol` if a function
 * returns it.
 *
 * @category Requests
 */
export interface Replied {
  /** Distinguishes it from any reply. */
  readonly [Symbol.toStringTag]: "Replied";
}

/**
 * What `reply()` returns. A handler returns it in place of a value to say that the reply has been sent.
 *
 * @category Requests
 */
export const replied: Replied = /* @__PURE__ */ Object.freeze<Replied>({ [Symbol.toStringTag]: "Replied" });

/**
 * A message from a peer. `data` is the payload as decoded by the codec of its type. `content`, `text` and `json` are
 * other views of the same bytes, created on demand.
 *
 * @category Messages
 */
export interface Message<Data = unknown, ReplyIn = never> {
  /** Distinguishes a message from a stream, for middleware that gets both. */
  readonly kind: "message";
  /** The type of the message. Without a route, it is a type made from its code, with bytes as payload. */
  readonly type: AnyMessageType;
  /** The decoded payload. */
  readonly data: Data;
  /** The raw payload: a view that may be kept but not written to. */
  readonly content: Uint8Array;
  /** The payload as text. Reading it throws a `PayloadError` if it is not UTF-8. */
  readonly text: string;
  /**
   * The payload as JSON, unchecked and parsed once. Reading it throws a `PayloadError` if it is not JSON or takes more
   * than 1 MiB: `decodeJson(message.content, { maxBytes })` reads larger ones.
   */
  readonly json: unknown;
  /**
   * The metadata that the sender has set beside the payload: a frozen object without a prototype, empty if there is none.
   * It is what a peer wrote: check it like a payload.
   */
  readonly meta: Metadata;
  /** The sender's id of the message; 0 for a native message that is not a request. */
  readonly requestId: number | string;
  /** When it arrived, in milliseconds since 1970. */
  readonly receivedAt: number;
  /**
   * When it was sent, by the sender's clock, in milliseconds since 1970; `undefined` if the protocol does not carry it.
   */
  readonly sentAt: number | undefined;
  /** `receivedAt - sentAt`, in milliseconds, and only as accurate as the two clocks; `undefined` without `sentAt`. */
  readonly latency: number | undefined;
  /**
   * True if the sender waits for a reply. The Python protocols do not say so: there it is true if the type has a reply.
   */
  readonly wantsReply: boolean;
  /**
   * Tells a handler to stop work that nobody needs. Aborted when the connection is gone, when a native sender gives up its
   * request, when the time that the sender waits is over, or when the `timeout` of the route is over.
   */
  readonly signal: AbortSignal;
  /**
   * How long its sender still waits for the answer, in milliseconds, counted from the arrival of the request; 0 when that
   * time is over. `undefined` if the sender does not say. Native requests say it if they are made with a `timeout`, or
   * `within` another message.
   */
  readonly timeLeft: number | undefined;
  /**
   * Sends the reply before the handler returns. What the handler returns afterwards is ignored. The method can be taken
   * out of the message, as in `({ data, reply }) => reply(data)`.
   *
   * @param payload The reply.
   * @returns {@linkcode replied}, for a handler to return.
   * @throws {MessageTypeError} `no-reply-codec`, `already-replied`, or `not-requested` if the sender waits for no
   * reply.
   * @throws {ConnectionError} `closed`: the connection is gone.
   * @throws {TypeError | PayloadError} The codec refuses the payload, or it is larger than the peer takes.
   *
   * @example Replying first, working on afterwards
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const JOB = messageType(200, "job", text, text);
   * const steps: string[] = [];
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(JOB, async (message) => {
   *   const answered = message.reply("accepted");
   *   await new Promise((resolve) => setTimeout(resolve, 20));
   *   steps.push("done");
   *   return answered;
   * });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * steps.push(await client.request(JOB, "build"));
   * await server.close(); // Waits for the handler.
   * assertEquals(steps, ["accepted", "done"]);
   * ```
   */
  reply(this: void, payload: ReplyIn): Replied;
  /**
   * Sets the metadata of the answer, which `exchange()` returns to the sender. It goes with the value that the handler
   * returns, with what {@linkcode reply} sends, or with the error that the handler throws. A second call replaces it.
   *
   * @param meta Names and strings: at most 64 names, and 8 KiB as JSON.
   * @throws {MessageTypeError} `already-replied`, or `not-requested` if the sender waits for no reply.
   * @throws {PayloadError} `metadata-unsupported`: the peer takes none, as those that speak a Python protocol.
   * @throws {TypeError | RangeError} `meta` is not a plain object of names to strings, or too large.
   */
  setReplyMeta(this: void, meta: Metadata): void;
}
