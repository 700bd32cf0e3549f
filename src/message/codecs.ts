/**
 * Codecs convert the values of a program to the bytes on the wire, and back.
 *
 * @module
 */

import { describeType } from "../base/codec_results.ts";
import { type StandardSchema, validate } from "./schema.ts";
import { type JsonOptions, jsonText, maxBytesOf, parseJson } from "../base/json.ts";
import { UnreadableError } from "../base/unreadable.ts";
import { decodeUtf8 } from "../base/utf8.ts";

/**
 * Encodes values as payloads and decodes them. Both directions are synchronous. What `encode` throws reaches the caller
 * of `send` or `request`; what `decode` throws reaches the `error` event or rejects the request.
 *
 * @category Messages
 */
export interface Codec<Out, In = Out> {
  /** Encodes a value as bytes, or as a string, which is written as UTF-8 straight into the outgoing buffer. */
  encode(value: In): Uint8Array | string;
  /** Decodes a payload. The bytes are a view that may be kept but not written to. */
  decode(bytes: Uint8Array): Out;
}

/**
 * Passes bytes through unchanged; the default.
 *
 * @category Messages
 */
export const bytes: Codec<Uint8Array> = /* @__PURE__ */ Object.freeze({
  encode(value: Uint8Array): Uint8Array {
    if (value instanceof Uint8Array) return value;
    throw new TypeError(`Cannot encode the payload: it must be a Uint8Array, not ${describeType(value)}`);
  },
  decode: (content: Uint8Array): Uint8Array => content,
});

/**
 * Text as UTF-8. Malformed UTF-8 is refused.
 *
 * @category Messages
 */
export const text: Codec<string> = /* @__PURE__ */ Object.freeze({
  encode(value: string): string {
    if (typeof value === "string") return value;
    throw new TypeError(`Cannot encode the payload: it must be a string, not ${describeType(value)}`);
  },
  decode: decodeUtf8,
});

/**
 * The codec of messages and replies without a payload. Such a message says everything by its type, and such a reply
 * says only that the request is done. No payload is passed: `client.send(PING_ME)`, `await client.request(PING_ME)`. It
 * takes zero bytes on the wire. A payload with bytes is refused like any other malformed one, whoever sends it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, empty, messageType, Server } from "@veltix/core";
 *
 * const SAVE = messageType(200, "save", empty, empty);
 * const steps: string[] = [];
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.route(SAVE, () => void steps.push("saved"));
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * await client.request(SAVE);
 * assertEquals(steps, ["saved"]);
 * ```
 *
 * @category Messages
 */
export const empty: Codec<void> = /* @__PURE__ */ Object.freeze({
  encode(value: void): string {
    if (value === undefined) return "";
    throw new TypeError(
      `Cannot encode the payload: its type has none, so it must be undefined, not ${describeType(value)}`,
    );
  },
  decode(content: Uint8Array): void {
    if (content.length === 0) return;
    throw new UnreadableError(
      "invalid-payload",
      `Cannot decode the payload: ${content.length} bytes came where none belong`,
    );
  },
});

/**
 * Creates a codec for JSON that is checked by a schema. A payload that the schema refuses never reaches a handler, and
 * the sender of a request gets the error.
 *
 * @param schema Any synchronous validator that implements Standard Schema: Zod, Valibot, ArkType. A payload is refused
 * if the validator answers with a promise.
 * @param options `maxBytes`: the most bytes of a payload. Default 1048576.
 * @returns The codec. Senders pass the schema's input; receivers get its output.
 * @throws {TypeError} `schema` is not a Standard Schema validator.
 * @throws {RangeError | TypeError} An option is wrong.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { json } from "@veltix/core";
 * import * as v from "valibot";
 *
 * const point = json(v.object({ x: v.number(), y: v.number() }));
 * const bytes = new TextEncoder().encode(point.encode({ x: 1, y: 2 }) as string);
 * assertEquals(point.decode(bytes), { x: 1, y: 2 });
 * ```
 *
 * @category Messages
 */
export function json<In, Out>(schema: StandardSchema<In, Out>, options?: JsonOptions): Codec<Out, In>;
/**
 * Creates a codec for JSON with a type argument only. Nothing checks that what arrives has that type. Give the type a name
 * by an interface: editors then show the name, in place of all its members.
 *
 * @param options `maxBytes`: the most bytes of a payload. Default 1048576.
 * @returns The codec.
 * @throws {RangeError | TypeError} An option is wrong.
 *
 * @example Large documents
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { json, messageType } from "@veltix/core";
 *
 * const REPORT = messageType(200, "report", json<string[]>({ maxBytes: 8 * 1024 * 1024 }));
 * const lines = Array.from({ length: 200_000 }, (_, i) => `line ${i}`);
 * assertEquals(REPORT.payload.encode(lines).length, 2_688_891);
 * ```
 *
 * @category Messages
 */
export function json<T>(options?: JsonOptions): Codec<T>;
export function json(first?: StandardSchema | JsonOptions, second?: JsonOptions): Codec<unknown> {
  if (first === undefined || isOptions(first)) {
    const maxBytes = maxBytesOf(first ?? second ?? {}, OPTIONS_OF);
    return Object.freeze({
      encode: (value: unknown) => jsonText(value, maxBytes),
      decode: (content: Uint8Array) => parseJson(content, maxBytes),
    });
  }
  const schema = first as StandardSchema;
  if (typeof schema?.["~standard"]?.validate !== "function") {
    throw new TypeError("Cannot make a JSON codec: schema must be a Standard Schema validator");
  }
  const maxBytes = maxBytesOf(second ?? {}, OPTIONS_OF);
  return Object.freeze({
    encode: (value: unknown) => jsonText(value, maxBytes),
    decode: (content: Uint8Array) => validate(schema, parseJson(content, maxBytes)),
  });
}

const OPTIONS_OF = "json(), which takes a Standard Schema validator before its options,";

/** Returns whether a value holds options and not a schema: it is an object that describes no schema. */
function isOptions(value: StandardSchema | JsonOptions | null): value is JsonOptions {
  return typeof value === "object" && value !== null && !("~standard" in value);
}
