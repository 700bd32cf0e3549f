/**
 * The functions of a contract, which send, request and open.
 *
 * @module
 */

import { optional, type OptionTable, readOptions, show } from "../base/checks.ts";
import { empty } from "../message/codecs.ts";
import { checkContract, type Contract } from "../message/contract.ts";
import type { AnyMessageType, MessageType } from "../message/message_type.ts";
import { type AnyStreamType, isStreamType, type StreamType } from "../message/stream_type.ts";
import type { RequestOptions, RequestScope } from "../session/requests.ts";
import { type Metadata, metadataMembers } from "../wire/metadata.ts";
import type { SendOptions } from "./send_options.ts";
import type { OpenOptions, OpenStream } from "./streams/open_stream.ts";

/**
 * What can be called by a contract: a `Client`, or a `ConnectedClient`.
 *
 * @category Contracts
 */
export interface CallTarget {
  /** Sends a message. */
  send(type: never, payload: never, options?: SendOptions): boolean;
  /** Sends a request. */
  request(type: never, payload: never, options?: RequestOptions): Promise<unknown>;
  /** Opens a stream. */
  open(type: never, ...headAndOptions: never): unknown;
}

/**
 * True if there is nothing to pass, as with the codec `empty`.
 *
 * @category Messages
 */
export type IsEmpty<In> = 0 extends 1 & In ? false : [In] extends [void] ? [void] extends [In] ? true : false : false;

/**
 * Sends a message. Returns what `send` returns.
 *
 * @category Contracts
 */
export type SendCall<In> = IsEmpty<In> extends true ? (options?: SendOptions) => boolean
  : (payload: In, options?: SendOptions) => boolean;

/**
 * Sends a request. Returns what `request` returns.
 *
 * @category Contracts
 */
export type RequestCall<In, Reply> = IsEmpty<In> extends true ? (options?: RequestOptions) => Promise<Reply>
  : (payload: In, options?: RequestOptions) => Promise<Reply>;

/**
 * Opens a stream. Returns what `open` returns.
 *
 * @category Contracts
 */
export type OpenCall<Head, Up, Down, Result> = IsEmpty<Head> extends true
  ? (options?: OpenOptions) => OpenStream<Up, Down, Result>
  : (head: Head, options?: OpenOptions) => OpenStream<Up, Down, Result>;

/**
 * The function of one type. What is passed comes first, options last.
 *
 * @category Contracts
 */
export type Call<Type> = Type extends
  StreamType<infer Head, infer _Head, infer Up, infer _Up, infer _Down, infer Down, infer _Result, infer Result>
  ? OpenCall<Head, Up, Down, Result>
  : Type extends MessageType<infer In, infer _Out, infer ReplyIn, infer Reply>
    ? [ReplyIn] extends [never] ? SendCall<In> : RequestCall<In, Reply>
  : never;

/**
 * The functions of a contract, one for each member.
 *
 * @category Contracts
 */
export type Caller<Types extends Contract> = {
  readonly [Name in keyof Types]: Call<Types[Name]>;
};

/**
 * Options of {@linkcode caller}: defaults for all calls. What a call is given takes their place.
 *
 * @category Contracts
 */
export interface CallerOptions extends RequestOptions {
  /** How long a request waits for its answer, in milliseconds. Messages and streams have no time limit. @default 5000 */
  readonly timeout?: number | undefined;
  /** Aborting it gives up all requests and streams that were not given a signal of their own. */
  readonly signal?: AbortSignal | undefined;
}

const CALLER_OPTIONS = {
  timeout: optional(checkTime),
  signal: optional(checkSignal),
  meta: optional(checkMeta),
  within: optional(checkScope),
} satisfies OptionTable<CallerOptions>;

function checkTime(name: string, value: unknown): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${show(value)}`);
  if (value > 0 && value <= 0x7fffffff) return value;
  throw new RangeError(`${name} must be above 0 and at most 2147483647 ms, not ${value}`);
}

function checkSignal(name: string, value: unknown): AbortSignal {
  if (isSignal(value)) return value;
  throw new TypeError(`${name} must be an AbortSignal, not ${show(value)}`);
}

function checkMeta(_name: string, value: unknown): Metadata {
  metadataMembers(CANNOT, value as Metadata, true);
  return value as Metadata;
}

function checkScope(name: string, value: unknown): RequestScope {
  if (isSignal((value as RequestScope | null)?.signal)) return value as RequestScope;
  throw new TypeError(`${name} must be a message or a stream, not ${show(value)}`);
}

function isSignal(value: unknown): value is AbortSignal {
  return typeof (value as AbortSignal | null | undefined)?.throwIfAborted === "function";
}

/**
 * Returns the functions of a contract: a frozen object with one function for each member. A type of message with a reply
 * makes a request, one without a reply sends, and a type of stream opens. Each function does what `request`, `send` or
 * `open` does, takes the same options as its last argument, and fails as they do. The payload of a type with the codec
 * `empty` is left out.
 *
 * @param peer The Client, or the `ConnectedClient` whose functions the server calls.
 * @param contract The types of messages and streams by name, as `messageTypes` returns them.
 * @param options Defaults for all calls: `timeout` for requests, `signal` and `within` for requests and streams, `meta`
 * for all.
 * @returns The functions.
 * @throws {TypeError} `peer` or the contract is none, or an option is unknown.
 * @throws {RangeError} `timeout` is not above 0 and at most 2147483647.
 *
 * @example Requests, messages and streams
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { caller, Client, empty, implement, json, messageTypes, Server, text } from "@veltix/core";
 *
 * const contract = messageTypes({
 *   upper: [text, text],
 *   time: [empty, json<number>()],
 *   upload: { stream: { head: text, down: false, result: json<number>() } },
 * });
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * implement(server, contract, {
 *   upper: ({ data }) => data.toUpperCase(),
 *   time: () => 1_800_000_000,
 *   upload: async ({ readable }) => {
 *     let size = 0;
 *     for await (const chunk of readable) size += chunk.length;
 *     return size;
 *   },
 * });
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * const api = caller(client, contract, { timeout: 1_000 });
 * assertEquals(await api.upper("hello"), "HELLO");
 * assertEquals(await api.time({ meta: { zone: "UTC" } }), 1_800_000_000);
 * const upload = api.upload("a.bin");
 * await ReadableStream.from([new Uint8Array(70_000)]).pipeTo(upload.writable);
 * assertEquals(await upload.result, 70_000);
 * ```
 *
 * @category Contracts
 */
export function caller<Types extends Contract>(
  peer: CallTarget,
  contract: Types,
  options?: CallerOptions,
): Caller<Types> {
  const target = peer as unknown as Target;
  for (const method of ["send", "request", "open"] as const) {
    if (typeof target?.[method] === "function") continue;
    throw new TypeError(
      `${CANNOT}: the first argument must be a Client or a ConnectedClient, not ${show(peer)} without ${method}()`,
    );
  }
  checkContract(CANNOT, contract);
  const defaults = defaultsOf(options);
  const calls = Object.entries(contract).map(([name, type]) => [name, callOf(target, type, defaults)]);
  return Object.freeze(Object.fromEntries(calls));
}

const CANNOT = "Cannot make the functions of the contract";

/** The methods that the functions call. */
interface Target {
  send(type: AnyMessageType, payload: unknown, options?: object): unknown;
  request(type: AnyMessageType, payload: unknown, options?: object): unknown;
  open(type: AnyStreamType, head: unknown, options?: object): unknown;
}

/** The defaults of each kind of call; `undefined` if there are none. */
interface Defaults {
  readonly send: object | undefined;
  readonly request: object | undefined;
  readonly open: object | undefined;
}

function defaultsOf(options: CallerOptions | undefined): Defaults {
  const { meta, signal, timeout, within } = readOptions("caller()'s options", options ?? {}, CALLER_OPTIONS);
  return {
    send: given({ meta }),
    request: given({ meta, signal, timeout, within }),
    open: given({ meta, signal, within }),
  };
}

/** Returns the members that are not `undefined`, frozen; `undefined` if there are none. */
function given(options: object): object | undefined {
  const members = Object.entries(options).filter(([, value]) => value !== undefined);
  return members.length === 0 ? undefined : Object.freeze(Object.fromEntries(members));
}

/** Returns the function of one type. */
function callOf(peer: Target, type: AnyMessageType | AnyStreamType, { open, request, send }: Defaults): unknown {
  if (isStreamType(type)) {
    return (type.head as unknown) === empty
      ? (options?: object) => peer.open(type, noPayload(options), withDefaults(open, options))
      : (head: unknown, options?: object) => peer.open(type, head, withDefaults(open, options));
  }
  const nothing = (type.payload as unknown) === empty;
  if (type.reply === undefined) {
    return nothing
      ? (options?: object) => peer.send(type, noPayload(options), withDefaults(send, options))
      : (payload: unknown, options?: object) => peer.send(type, payload, withDefaults(send, options));
  }
  return nothing
    ? (options?: object) => peer.request(type, noPayload(options), withDefaults(request, options))
    : (payload: unknown, options?: object) => peer.request(type, payload, withDefaults(request, options));
}

/** Returns the payload of a type that has none. A value that was passed in place of options is refused by its codec. */
function noPayload(options: unknown): unknown {
  return typeof options === "object" && options !== null ? undefined : options;
}

/** Returns the options of a call. Nothing is created for a call without options, or without defaults. */
function withDefaults(defaults: object | undefined, options: object | undefined): object | undefined {
  if (options === undefined) return defaults;
  return defaults === undefined ? options : { ...defaults, ...given(options) };
}
