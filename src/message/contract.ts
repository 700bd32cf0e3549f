/**
 * A contract declares the message types of a program together. Its fingerprint shows whether two programs have the same
 * ones.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { crc32 } from "../wire/crc32.ts";
import { FIRST_APPLICATION_CODE } from "../wire/frame.ts";
import type { Codec } from "./codecs.ts";
import { type AnyMessageType, checkCodec, type MessageType, messageType } from "./message_type.ts";
import { type AnyStreamType, isStreamType, type StreamType, streamType } from "./stream_type.ts";
import { encodeUtf8 } from "../base/utf8.ts";

/** Any codec. */
export type AnyCodec = Codec<unknown, never>;

/** A member of a contract with a fixed code, which does not depend on the position of the member. */
export interface FixedMember {
  /** The code on the wire, 200 to 65535. */
  readonly code: number;
  /** Codec of the payload. */
  readonly payload: AnyCodec;
  /** Codec of the reply; left out if messages of this type are not answered. */
  readonly reply?: AnyCodec | undefined;
  /** False if payloads and replies are never compressed. @default true */
  readonly compress?: boolean | undefined;
}

/** A member of a contract that is a type of stream. */
export interface StreamMember {
  /** The parts of the type, as for `streamType`. */
  readonly stream: {
    readonly head?: AnyCodec;
    readonly up?: AnyCodec | false;
    readonly down?: AnyCodec | false;
    readonly result?: AnyCodec;
    /** False if nothing of the stream is ever compressed. @default true */
    readonly compress?: boolean;
  };
  /** The code on the wire, 200 to 65535. Default: by position. */
  readonly code?: number;
}

/**
 * One member of a contract: the codec of the payload, those of payload and reply, or both by name with a code:
 * `text`, `[text, json<number>()]`, `{ code: 210, payload: text, reply: json<number>() }`. A stream is
 * `{ stream: { head: text, down: json<number>() } }`.
 */
export type ContractMember = AnyCodec | readonly [payload: AnyCodec, reply: AnyCodec] | FixedMember | StreamMember;

/** The stream type of its parts. */
export type StreamTypeOf<Parts> = StreamType<
  Parts extends { readonly head: Codec<infer _Out, infer In> } ? In : void,
  Parts extends { readonly head: Codec<infer Out, infer _In> } ? Out : void,
  Parts extends { readonly up: Codec<infer _Out, infer In> } ? In : Uint8Array,
  Parts extends { readonly up: Codec<infer Out, infer _In> } ? Out : Uint8Array,
  Parts extends { readonly down: Codec<infer _Out, infer In> } ? In : Uint8Array,
  Parts extends { readonly down: Codec<infer Out, infer _In> } ? Out : Uint8Array,
  Parts extends { readonly result: Codec<infer _Out, infer In> } ? In : void,
  Parts extends { readonly result: Codec<infer Out, infer _In> } ? Out : void
>;

/** The message types of a contract. */
export type ContractTypes<Contract extends Record<string, ContractMember>> = {
  readonly [Name in keyof Contract]: Contract[Name] extends Codec<infer Out, infer In> ? MessageType<In, Out>
    : Contract[Name] extends { readonly stream: infer Parts } ? StreamTypeOf<Parts>
    : Contract[Name] extends
      | readonly [Codec<infer Out, infer In>, Codec<infer ReplyOut, infer ReplyIn>]
      | { readonly payload: Codec<infer Out, infer In>; readonly reply: Codec<infer ReplyOut, infer ReplyIn> }
      ? MessageType<In, Out, ReplyIn, ReplyOut>
    : Contract[Name] extends { readonly payload: Codec<infer Out, infer In> } ? MessageType<In, Out>
    : never;
};

/**
 * Declares all message types of a contract. **Append only:** members are numbered by their position (not by the
 * alphabet), from 200 on. A member that is inserted in the middle or removed changes the codes of all members after it,
 * and a peer with the older contract then reaches the wrong routes. Put new members at the end, or give members codes
 * of their own: `{ code: 210, payload: text }`. Members with a code of their own are not counted, so they can be placed
 * anywhere, added and removed.
 *
 * @param contract For each name a codec, `[payload, reply]`, `{ code, payload, reply }`, or `{ stream: { head, up, down,
 * result } }` for a type of stream.
 * @param options `from`: the first code that is given by position. Default 200.
 * @returns A frozen object with one type per name.
 * @throws {MessageTypeError} `code-out-of-range`, or `code-taken`: two members have the same code.
 * @throws {TypeError} A member is none of these, or a name is a number: object keys that are numbers do not keep their
 * order.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { json, messageTypes, text } from "@veltix/core";
 *
 * const { chat, add, who } = messageTypes({
 *   chat: text,
 *   who: { code: 210, payload: text, reply: json<string[]>() },
 *   add: [json<[number, number]>(), json<number>()],
 * });
 * assertEquals([chat.code, who.code, add.code], [200, 210, 201]);
 * ```
 */
export function messageTypes<const Contract extends Record<string, ContractMember>>(
  contract: Contract,
  options: { readonly from?: number } = {},
): ContractTypes<Contract> {
  const { from = FIRST_APPLICATION_CODE } = options;
  let numbered = 0;
  const names = new Map<number, string>();
  const types = Object.entries<unknown>(contract).map(([name, member]) => {
    if (/^\d+$/.test(name)) throw new TypeError(`Cannot number the contract: the name "${name}" is a number`);
    const fixed = fixedCode(member);
    const type = typeOf(fixed ?? from + numbered++, name, member);
    const other = names.get(type.code);
    if (other !== undefined) {
      throw new MessageTypeError(
        "code-taken",
        `Cannot number the contract: "${other}" and "${name}" both have the code ${type.code}, ` +
          (fixed === undefined ? `give "${name}" a code of its own, too` : `give "${name}" another one`),
      );
    }
    names.set(type.code, name);
    return [name, type] as const;
  });
  return Object.freeze(Object.fromEntries(types)) as unknown as ContractTypes<Contract>;
}

/** A member that names its parts, as far as it does. */
interface NamedMember {
  readonly code?: number;
  readonly payload?: Codec<unknown>;
  readonly reply?: Codec<unknown>;
  readonly compress?: boolean;
  readonly stream?: StreamMember["stream"];
}

/** Returns a member that names its parts; `undefined` for a codec and a list of codecs. */
function named(member: unknown): NamedMember | undefined {
  const names = typeof member === "object" && member !== null && !("encode" in member);
  return names && ("code" in member || "stream" in member) ? member as NamedMember : undefined;
}

/** Returns the code of a member that has one of its own. */
function fixedCode(member: unknown): number | undefined {
  return named(member)?.code;
}

/** Returns the type of a member. A missing codec does not stand for bytes here, but in streams. */
function typeOf(code: number, name: string, member: unknown): AnyMessageType | AnyStreamType {
  const parts = named(member);
  if (parts?.stream !== undefined) {
    if ((parts.payload ?? parts.reply) !== undefined) {
      throw new TypeError(`Cannot declare "${name}": a member has a payload, or it is a stream`);
    }
    if (parts.compress !== undefined) {
      throw new TypeError(`Cannot declare "${name}": compress of a stream is one of its parts, in stream`);
    }
    return streamType(code, name, parts.stream as never) as unknown as AnyStreamType;
  }
  const [payload, reply] = parts !== undefined
    ? [parts.payload!, parts.reply]
    : (Array.isArray(member) ? member : [member]) as unknown as readonly [Codec<unknown>, Codec<unknown>?];
  checkCodec(payload, name, "payload");
  if (Array.isArray(member)) checkCodec(reply!, name, "reply");
  const options = parts?.compress === undefined ? {} : { compress: parts.compress };
  return reply === undefined
    ? messageType(code, name, payload, undefined, options) as never
    : messageType(code, name, payload, reply, options);
}

/**
 * Returns a short text that is the same for two contracts with the same types: the same codes with the same names, each a
 * message type with a reply, one without, or a stream type. The order of the types changes nothing. What the codecs do is
 * not compared.
 *
 * @param types The types of messages and streams: what {@linkcode messageTypes} returned, or an object of types that were
 * declared one by one.
 * @returns Eight hexadecimal digits, the same on every runtime: the CRC-32 of one line for each type, in the order of
 * the codes.
 * @throws {TypeError} A member is not a type.
 *
 * @example
 * ```ts
 * import { assertEquals, assertNotEquals } from "@std/assert";
 * import { fingerprint, messageType, messageTypes, text } from "@veltix/core";
 *
 * const ours = messageTypes({ chat: text, who: [text, text] });
 * const theirs = { who: messageType(201, "who", text, text), chat: messageType(200, "chat", text) };
 * assertEquals(fingerprint(ours), fingerprint(theirs));
 * assertNotEquals(fingerprint(ours), fingerprint(messageTypes({ who: [text, text], chat: text })));
 * ```
 */
export function fingerprint(types: Readonly<Record<string, AnyMessageType | AnyStreamType>>): string {
  if (typeof types !== "object" || types === null) throw notTypes(types);
  const all = Object.values(types);
  for (const type of all) if (!Number.isInteger(type?.code) || typeof type.name !== "string") throw notTypes(type);
  const lines = all.sort((a, b) => a.code - b.code || (a.name < b.name ? -1 : 1))
    .map((type) => JSON.stringify([type.code, type.name, isStreamType(type) ? "stream" : type.reply !== undefined]));
  return crc32(encodeUtf8(lines.join("\n"))).toString(16).padStart(8, "0");
}

function notTypes(value: unknown): TypeError {
  return new TypeError(
    `Cannot take the fingerprint: a contract is an object of message types, and has ${typeof value}`,
  );
}
