/**
 * Message types, stream types, codecs and contracts alone, for the files that servers and clients share. It connects to
 * nothing and has no side effects, so that a contract costs a page in a browser a few kilobytes, and nothing where it is
 * not used. What it makes is used with the Client and the Server of `@veltix/core`.
 *
 * @example A contract
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, Server } from "@veltix/core";
 * import { fingerprint, json, messageType, messageTypes, streamType, text } from "@veltix/core/contract";
 *
 * const CONTRACT = messageTypes({
 *   chat: text,
 *   add: [json<{ a: number; b: number }>(), json<number>()],
 * });
 * const PRICES = streamType(300, "prices", { head: text, down: json<number>() });
 * assertEquals([CONTRACT.add.code, PRICES.name, fingerprint(CONTRACT).length], [201, "prices", 8]);
 *
 * await using server = new Server({ port: 0, hostname: "127.0.0.1", contract: CONTRACT });
 * server.route(CONTRACT.add, ({ data }) => data.a + data.b);
 * await server.start();
 * await using client = new Client({ ...server.addresses[0], contract: CONTRACT });
 * await client.connect();
 * assertEquals(await client.request(CONTRACT.add, { a: 1, b: 2 }), 3);
 * assertEquals(messageType(203, "hello", text).code, 203);
 * ```
 *
 * @module
 */

export { bytes, type Codec, empty, json, text } from "./codecs.ts";
export type { JsonOptions } from "../base/json.ts";
export type { SchemaIssue, SchemaResult, StandardSchema } from "./schema.ts";
export {
  type AnyCodec,
  type Contract,
  type ContractMember,
  type ContractTypes,
  fingerprint,
  type MessageMember,
  messageTypes,
  type StreamMember,
  type StreamTypeOf,
} from "./contract.ts";
export {
  type AnyMessageType,
  type MessageType,
  messageType,
  type MessageTypeOptions,
  type RequestType,
  type WithoutPayload,
  type WithReply,
} from "./message_type.ts";
export type { DeclaresErrors, ErrorCodeOf, WithErrors } from "./declared_errors.ts";
export { type AnyStreamType, type Direction, type StreamParts, type StreamType, streamType } from "./stream_type.ts";
