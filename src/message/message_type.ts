/**
 * Message types: a code on the wire, a name for people, and the codecs of payload and reply. They are frozen values
 * without a registry, so they can be shared between programs and declared twice.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { FIRST_APPLICATION_CODE } from "../wire/frame.ts";
import { bytes, type Codec } from "./codecs.ts";
import { checkErrors, type WithErrors } from "./declared_errors.ts";

/**
 * A type of message. `In` is what the sender passes, `Out` what the receiver gets. `ReplyIn` and `ReplyOut` are the
 * same for the reply, and `never` if there is none.
 *
 * @category Messages
 */
export interface MessageType<In, Out = In, ReplyIn = never, ReplyOut = ReplyIn> {
  /** The code on the wire, 200 to 65535. */
  readonly code: number;
  /** Its name, for logs and errors. */
  readonly name: string;
  /** What it is for; empty by default. */
  readonly description: string;
  /** Codec of the payload. */
  readonly payload: Codec<Out, In>;
  /** Codec of the reply; `undefined` if messages of this type are not answered. */
  readonly reply: Codec<ReplyOut, ReplyIn> | undefined;
  /** False if payloads and replies are never compressed. */
  readonly compress: boolean;
}

/**
 * Further options of a message type; all optional. `Code` is the union of the codes of its errors.
 *
 * @category Messages
 */
export interface MessageTypeOptions<Code extends string = string> {
  /** What it is for. @default "" */
  readonly description?: string;
  /**
   * False to leave payloads and replies of this type uncompressed if a Server or a Client has the option `compression`.
   * Set it for payloads that cannot shrink, such as images, and for those with secrets beside text that an attacker
   * chooses.
   * @default true
   */
  readonly compress?: boolean;
  /**
   * The codes of the errors that its handlers answer with on purpose, such as `["not-found", "busy"]`. `errorOf` makes
   * such an error, and `isErrorOf` recognizes it. The `error` event does not fire for those that reach the sender. The
   * type must have a reply.
   * @default none
   */
  readonly errors?: readonly Code[] | undefined;
}

/**
 * Any message type at all.
 *
 * @category Messages
 */
export type AnyMessageType = MessageType<never, unknown, never, unknown>;

/**
 * What `request()` requires of a message type besides being one: it has a reply. A type without one lacks a member
 * whose name says so in the compiler's error. No message type has that member.
 *
 * @category Messages
 */
export type WithReply<ReplyIn> = [ReplyIn] extends [never]
  ? { readonly "This message type has no reply: use send(), or give it a codec for the reply": never }
  : unknown;

/**
 * What `send(type)` without a payload requires of a message type: nothing is to be passed, as with the codec `empty`.
 *
 * @category Messages
 */
export type WithoutPayload<In> = [In] extends [void] ? unknown
  : { readonly "This message type has a payload: pass it as the second argument": never };

/**
 * A type of message that is answered. `request()` takes it, and so does a function that passes it on to `request()`.
 * Name all four type parameters, so that a type without a reply is refused there, too.
 *
 * @example A wrapper of one's own
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, messageType, type RequestType, Server, text, TimeoutError } from "@veltix/core";
 *
 * // Asks a second time where the first answer did not come in time.
 * async function ask<In, Out, ReplyIn, ReplyOut>(
 *   client: Client,
 *   type: RequestType<In, Out, ReplyIn, ReplyOut>,
 *   payload: In,
 * ): Promise<ReplyOut> {
 *   try {
 *     return await client.request(type, payload, { timeout: 1_000 });
 *   } catch (error) {
 *     if (!(error instanceof TimeoutError)) throw error;
 *     return await client.request(type, payload);
 *   }
 * }
 *
 * const UPPER = messageType(200, "upper", text, text);
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.route(UPPER, ({ data }) => data.toUpperCase());
 * await server.start();
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * assertEquals(await ask(client, UPPER, "hello"), "HELLO");
 * ```
 *
 * @category Messages
 */
export type RequestType<In, Out, ReplyIn, ReplyOut> =
  & MessageType<In, Out, ReplyIn, ReplyOut>
  & WithReply<ReplyIn>;

/**
 * Declares a message type whose payload is bytes.
 *
 * @param code 200 to 65535; Python's applications use 200 to 9999, its plugins the rest.
 * @param name For logs and errors. Default `"type-<code>"`.
 * @returns The frozen type.
 *
 * @category Messages
 */
export function messageType(code: number, name?: string): MessageType<Uint8Array>;
/**
 * Declares a message type with a payload, and with a reply if there is a codec for one.
 *
 * @param code 200 to 65535.
 * @param name For logs and errors.
 * @param payload Codec of the payload.
 * @param reply Codec of the reply.
 * @param options Further options.
 * @returns The frozen type.
 * @throws {MessageTypeError} `code-out-of-range`.
 * @throws {TypeError} The name is not a non-empty string, a codec is not a codec, `compress` is not a boolean, or
 * `errors` is no list of codes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { json, messageType, text } from "@veltix/core";
 *
 * const CHAT = messageType(200, "chat", text);
 * const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
 * assertEquals([CHAT.code, ADD.name], [200, "add"]);
 * ```
 *
 * @category Messages
 */
export function messageType<In, Out>(
  code: number,
  name: string,
  payload: Codec<Out, In>,
  reply?: undefined,
  options?: MessageTypeOptions<never>,
): MessageType<In, Out>;
/**
 * Declares a message type with a payload and a reply. The reply may also be one of the errors in `options.errors`.
 *
 * @category Messages
 */
export function messageType<In, Out, ReplyIn, ReplyOut, const Code extends string = never>(
  code: number,
  name: string,
  payload: Codec<Out, In>,
  reply: Codec<ReplyOut, ReplyIn>,
  options?: MessageTypeOptions<Code>,
): MessageType<In, Out, ReplyIn, ReplyOut> & WithErrors<Code>;
export function messageType(
  code: number,
  name: string = `type-${code}`,
  payload: Codec<unknown> = bytes as Codec<unknown>,
  reply?: Codec<unknown>,
  options: MessageTypeOptions = {},
): MessageType<unknown, unknown, unknown> {
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`Cannot declare the message type ${code}: its name must be a non-empty string`);
  }
  if (!Number.isInteger(code) || code < FIRST_APPLICATION_CODE || code > 0xffff) {
    throw new MessageTypeError(
      "code-out-of-range",
      `Cannot declare the message type "${name}": its code must be ${FIRST_APPLICATION_CODE} to 65535, not ` +
        (typeof code === "string" ? `the text "${code}"` : code),
    );
  }
  checkCodec(payload, name, "payload");
  if (reply !== undefined) checkCodec(reply, name, "reply");
  const { description = "", compress = true, errors } = options;
  if (typeof compress !== "boolean") {
    throw new TypeError(`Cannot declare the message type "${name}": compress must be a boolean`);
  }
  if (errors === undefined) return Object.freeze({ code, name, description, payload, reply, compress });
  if (reply === undefined) {
    throw new TypeError(
      `Cannot declare the message type "${name}": it has errors and no reply, and an error is an answer: ` +
        "give it a codec for the reply, such as empty",
    );
  }
  const codes = checkErrors("message type", name, errors);
  return Object.freeze({ code, name, description, payload, reply, compress, errors: codes });
}

/**
 * Checks that a value is a codec.
 *
 * @throws {TypeError} It is not. The message names the type and the part.
 */
export function checkCodec(codec: Codec<unknown>, name: string, what: string, kind: string = "message type"): void {
  if (typeof codec?.encode !== "function" || typeof codec?.decode !== "function") {
    throw new TypeError(`Cannot declare the ${kind} "${name}": ${what} must be a codec with encode and decode`);
  }
  // Zod's schemas have methods of these names, which do something else.
  if ("~standard" in codec) {
    throw new TypeError(
      `Cannot declare the ${kind} "${name}": ${what} is a schema, make a codec of it with json()`,
    );
  }
}
