/**
 * A contract declares the message types of a program together. Its fingerprint shows whether two programs have the same
 * ones.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { crc32Bytewise } from "../wire/crc32_table.ts";
import { FIRST_APPLICATION_CODE } from "../wire/frame.ts";
import type { Codec } from "./codecs.ts";
import type { ErrorCodeOf, WithErrors } from "./declared_errors.ts";
import { type AnyMessageType, checkCodec, type MessageType, messageType } from "./message_type.ts";
import { type AnyStreamType, isStreamType, type StreamType, streamType } from "./stream_type.ts";
import { encodeUtf8 } from "../base/utf8.ts";

/**
 * Any codec.
 *
 * @category Messages
 */
export type AnyCodec = Codec<unknown, never>;

/**
 * A member of a contract that is a type of message, with its parts by name.
 *
 * @category Contracts
 */
export interface MessageMember {
  /** The code on the wire, 200 to 65535. Default: by position. */
  readonly code?: number;
  /** Codec of the payload. */
  readonly payload: AnyCodec;
  /** Codec of the reply; left out if messages of this type are not answered. */
  readonly reply?: AnyCodec | undefined;
  /** False if payloads and replies are never compressed. @default true */
  readonly compress?: boolean | undefined;
  /** The codes of the errors that its handlers answer with on purpose; see `errorOf`. @default none */
  readonly errors?: readonly string[] | undefined;
}

/**
 * A member of a contract that is a type of stream.
 *
 * @category Contracts
 */
export interface StreamMember {
  /** The parts of the type, as for `streamType`. */
  readonly stream: {
    readonly head?: AnyCodec;
    readonly up?: AnyCodec | false;
    readonly down?: AnyCodec | false;
    readonly result?: AnyCodec;
    /** False if nothing of the stream is ever compressed. @default true */
    readonly compress?: boolean;
    /** The codes of the errors that its handlers answer with on purpose; see `errorOf`. @default none */
    readonly errors?: readonly string[];
  };
  /** The code on the wire, 200 to 65535. Default: by position. */
  readonly code?: number;
}

/**
 * One member of a contract: the codec of the payload, those of payload and reply, or both by name, with a code or errors:
 * `text`, `[text, json<number>()]`, `{ code: 210, payload: text, reply: json<number>(), errors: ["not-found"] }`. A
 * stream is `{ stream: { head: text, down: json<number>() } }`.
 *
 * @category Contracts
 */
export type ContractMember = AnyCodec | readonly [payload: AnyCodec, reply: AnyCodec] | MessageMember | StreamMember;

/**
 * A contract: types of messages and streams by their names, as `messageTypes` returns them.
 *
 * @category Contracts
 */
export type Contract = Readonly<Record<string, AnyMessageType | AnyStreamType>>;

/**
 * The stream type of its parts.
 *
 * @category Contracts
 */
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

/**
 * The message types of a contract.
 *
 * @category Contracts
 */
export type ContractTypes<Members extends Record<string, ContractMember>> = {
  readonly [Name in keyof Members]: Members[Name] extends Codec<infer Out, infer In> ? MessageType<In, Out>
    : Members[Name] extends { readonly stream: infer Parts } ? StreamTypeOf<Parts> & WithErrors<ErrorCodeOf<Parts>>
    : Members[Name] extends
      | readonly [Codec<infer Out, infer In>, Codec<infer ReplyOut, infer ReplyIn>]
      | { readonly payload: Codec<infer Out, infer In>; readonly reply: Codec<infer ReplyOut, infer ReplyIn> }
      ? MessageType<In, Out, ReplyIn, ReplyOut> & WithErrors<ErrorCodeOf<Members[Name]>>
    : Members[Name] extends { readonly payload: Codec<infer Out, infer In> } ? MessageType<In, Out>
    : never;
};

/**
 * Declares all message types of a contract. **Append only:** members are numbered by their position (not by the
 * alphabet), from 200 on. A member that is inserted in the middle or removed changes the codes of all members after it,
 * and a peer with the older contract then reaches the wrong routes. Put new members at the end, or give members codes
 * of their own: `{ code: 210, payload: text }`. Members with a code of their own are not counted, so they can be placed
 * anywhere, added and removed.
 *
 * @param contract For each name a codec, `[payload, reply]`, `{ payload, reply, code, errors }`, or `{ stream: { head,
 * up, down, result } }` for a type of stream.
 * @param options `from`: the first code that is given by position. Default 200.
 * @returns A frozen object with one type per name.
 * @throws {MessageTypeError} `code-out-of-range`, or `code-taken`: two members have the same code.
 * @throws {TypeError} A member is none of these, one has errors and no reply, or a name is a number: object keys that are numbers do not keep their
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
 *
 * @category Contracts
 */
export function messageTypes<const Members extends Record<string, ContractMember>>(
  contract: Members,
  options: { readonly from?: number } = {},
): ContractTypes<Members> {
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
  return Object.freeze(Object.fromEntries(types)) as unknown as ContractTypes<Members>;
}

/** A member that names its parts, as far as it does. */
interface NamedMember {
  readonly code?: number;
  readonly payload?: Codec<unknown>;
  readonly reply?: Codec<unknown>;
  readonly compress?: boolean;
  readonly errors?: readonly string[];
  readonly stream?: StreamMember["stream"];
}

const PARTS = ["code", "payload", "reply", "compress", "errors", "stream"];

/** Returns a member that names its parts; `undefined` for a codec and a list of codecs. */
function named(member: unknown): NamedMember | undefined {
  const names = typeof member === "object" && member !== null && !("encode" in member);
  return names && ("code" in member || "stream" in member || "payload" in member) ? member as NamedMember : undefined;
}

/** Returns the code of a member that has one of its own. */
function fixedCode(member: unknown): number | undefined {
  return named(member)?.code;
}

/** Returns the type of a member. A missing codec does not stand for bytes here, but in streams. */
function typeOf(code: number, name: string, member: unknown): AnyMessageType | AnyStreamType {
  const parts = named(member);
  const strange = Object.keys(parts ?? {}).find((part) => !PARTS.includes(part));
  if (strange !== undefined) {
    throw new TypeError(
      `Cannot declare "${name}": a member has no part "${strange}", its parts are ${PARTS.join(", ")}`,
    );
  }
  if (parts?.stream !== undefined) {
    if ((parts.payload ?? parts.reply) !== undefined) {
      throw new TypeError(`Cannot declare "${name}": a member has a payload, or it is a stream`);
    }
    for (const part of ["compress", "errors"] as const) {
      if (parts[part] === undefined) continue;
      throw new TypeError(`Cannot declare "${name}": ${part} of a stream is one of its parts, in stream`);
    }
    return streamType(code, name, parts.stream as never) as unknown as AnyStreamType;
  }
  const [payload, reply] = parts !== undefined
    ? [parts.payload!, parts.reply]
    : (Array.isArray(member) ? member : [member]) as unknown as readonly [Codec<unknown>, Codec<unknown>?];
  checkCodec(payload, name, "payload");
  if (Array.isArray(member)) checkCodec(reply!, name, "reply");
  const { compress, errors } = parts ?? {};
  return messageType(code, name, payload, reply as Codec<unknown>, { compress, errors }) as unknown as AnyMessageType;
}

/**
 * Returns a short text that is the same for two contracts with the same types: the same codes with the same names, each a
 * message type with a reply, one without, or a stream type. The order of the types changes nothing. Neither do errors, and
 * what the codecs do is not compared.
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
 *
 * @category Contracts
 */
export function fingerprint(types: Contract): string {
  checkContract("Cannot take the fingerprint", types);
  const lines = Object.values(types).sort((a, b) => a.code - b.code || (a.name < b.name ? -1 : 1))
    .map((type) => JSON.stringify([type.code, type.name, isStreamType(type) ? "stream" : type.reply !== undefined]));
  return crc32Bytewise(encodeUtf8(lines.join("\n"))).toString(16).padStart(8, "0");
}

/**
 * Checks that a value is a contract.
 *
 * @param what The beginning of error messages, such as `Cannot take the fingerprint`.
 * @throws {TypeError} It is not an object, or one of its members is not a type.
 */
export function checkContract(what: string, value: Contract): void {
  const wrong = typeof value !== "object" || value === null
    ? [value]
    : Object.values(value).filter((type) => !isType(type));
  if (wrong.length === 0) return;
  throw new TypeError(`${what}: a contract is an object of message types, and has ${typeof wrong[0]}`);
}

function isType(type: AnyMessageType | AnyStreamType | null | undefined): boolean {
  if (!Number.isInteger(type?.code) || typeof type?.name !== "string") return false;
  return isStreamType(type) || typeof type.payload?.encode === "function";
}
