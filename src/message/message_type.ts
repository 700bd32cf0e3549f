/**
 * Message types: a code on the wire, a name for people, and the codecs of payload and reply. They are frozen values without
 * a registry, safe to share between programs and to declare twice.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { FIRST_APPLICATION_CODE } from "../wire/frame.ts";
import { bytes, type Codec } from "./codecs.ts";

/**
 * A type of message. `In` is what the sender passes, `Out` what the receiver gets; `ReplyIn` and `ReplyOut` are the same for
 * the reply, and `never` if there is none.
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
}

/** Further options of a message type; all optional. */
export interface MessageTypeOptions {
  /** What it is for. @default "" */
  readonly description?: string;
}

/** Any message type at all. */
export type AnyMessageType = MessageType<never, unknown, never, unknown>;

/**
 * Declares a message type whose payload is bytes.
 *
 * @param code 200 to 65535; Python's applications use 200 to 9999, its plugins the rest.
 * @param name For logs and errors. Default `"type-<code>"`.
 * @returns The frozen type.
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
 * @throws {TypeError} The name is not a non-empty string, or a codec is not a codec.
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
 */
export function messageType<In, Out>(
  code: number,
  name: string,
  payload: Codec<Out, In>,
  reply?: undefined,
  options?: MessageTypeOptions,
): MessageType<In, Out>;
/** Declares a message type with a payload and a reply. */
export function messageType<In, Out, ReplyIn, ReplyOut>(
  code: number,
  name: string,
  payload: Codec<Out, In>,
  reply: Codec<ReplyOut, ReplyIn>,
  options?: MessageTypeOptions,
): MessageType<In, Out, ReplyIn, ReplyOut>;
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
  return Object.freeze({ code, name, description: options.description ?? "", payload, reply });
}

/** Any codec at all. */
export type AnyCodec = Codec<unknown, never>;

/** One member of a contract: the codec of the payload, or those of payload and reply. */
export type ContractMember = AnyCodec | readonly [payload: AnyCodec, reply: AnyCodec];

/** The message types of a contract. */
export type ContractTypes<Contract extends Record<string, ContractMember>> = {
  readonly [Name in keyof Contract]: Contract[Name] extends
    readonly [Codec<infer Out, infer In>, Codec<infer ReplyOut, infer ReplyIn>]
    ? MessageType<In, Out, ReplyIn, ReplyOut>
    : Contract[Name] extends Codec<infer Out, infer In> ? MessageType<In, Out>
    : never;
};

/**
 * Declares all message types of a contract, numbered in the order of their names.
 *
 * @param contract For each name a codec, or `[payload, reply]`.
 * @param options `from`: the first code. Default 200.
 * @returns A frozen object with one message type per name.
 * @throws {MessageTypeError} `code-out-of-range`.
 * @throws {TypeError} A member is not a codec, or a name is a number: object keys like that do not keep their order.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { json, messageTypes, text } from "@veltix/core";
 *
 * const { chat, add } = messageTypes({ chat: text, add: [json<[number, number]>(), json<number>()] }, { from: 300 });
 * assertEquals([chat.code, add.code], [300, 301]);
 * ```
 */
export function messageTypes<const Contract extends Record<string, ContractMember>>(
  contract: Contract,
  options: { readonly from?: number } = {},
): ContractTypes<Contract> {
  const { from = FIRST_APPLICATION_CODE } = options;
  const types = Object.entries(contract).map(([name, member], index) => {
    if (/^\d+$/.test(name)) throw new TypeError(`Cannot number the contract: the name "${name}" is a number`);
    const [payload, reply] = (Array.isArray(member) ? member : [member]) as readonly Codec<unknown>[];
    checkCodec(payload, name, "payload"); // Here, undefined does not stand for bytes.
    if (Array.isArray(member)) checkCodec(reply, name, "reply");
    return [name, messageType(from + index, name, payload, reply)] as const;
  });
  return Object.freeze(Object.fromEntries(types)) as unknown as ContractTypes<Contract>;
}

function checkCodec(codec: Codec<unknown>, name: string, what: string): void {
  if (typeof codec?.encode !== "function" || typeof codec?.decode !== "function") {
    throw new TypeError(`Cannot declare the message type "${name}": ${what} must be a codec with encode and decode`);
  }
  // Zod's schemas have methods of these names, which do something else.
  if ("~standard" in codec) {
    throw new TypeError(
      `Cannot declare the message type "${name}": ${what} is a schema, make a codec of it with json()`,
    );
  }
}
