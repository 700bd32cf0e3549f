/**
 * A peer as the server sees it.
 *
 * @module
 */

import { CLOSE_REASONS, type CloseReason } from "../link/close_reason.ts";
import type { RequestOptions } from "../session/requests.ts";
import type { Peer } from "../app/peer.ts";
import type { SessionStats } from "../session/counters.ts";
import type { MessageType, RequestType, WithoutPayload } from "../message/message_type.ts";
import { nonEmpty } from "../base/checks.ts";
import { shuttingOf } from "../app/closing.ts";
import type { Address } from "../base/address.ts";

/** Options for closing a connection or a server. */
export interface CloseOptions {
  /** How long handlers, pending requests and unsent bytes may take, in milliseconds; 0 cuts at once. @default 5000 */
  readonly drain?: number;
  /** When native clients that reconnect may come back, in milliseconds; they add their own delay. @default not said */
  readonly retryAfter?: number;
}

/** Options for closing one connection of a server; the words reach native clients. */
export interface ShutOutOptions extends CloseOptions {
  /** Why, for programs, such as `"banned"`; 200 characters arrive. @default the reason */
  readonly code?: string;
  /** Why, for people; 200 characters arrive. @default not said */
  readonly message?: string;
  /** Whether coming back is pointless: then a client with `reconnect` does not try. @default true for `"unauthorized"` */
  readonly final?: boolean;
}

/** Told of the tags of clients. */
export interface TagKeeper<P> {
  /** A client got a tag. */
  added(client: ConnectedClient<P>, name: string, value: unknown): void;
  /** A client's tag has another value: `value` in place of `before`. */
  updated(client: ConnectedClient<P>, name: string, value: unknown, before: unknown): void;
  /** A client lost a tag. */
  removed(client: ConnectedClient<P>, name: string, value: unknown): void;
  /** A client lost all its tags, which were these. */
  cleared(client: ConnectedClient<P>, tags: ReadonlyMap<string, unknown>): void;
}

/**
 * One connected client, as handlers and event listeners get it from the server. `P` is what the server's `authenticate`
 * returns.
 *
 * A client can carry tags: names, each with a value if you like, to find it by and to send to all that carry it. Its tags go
 * with it: once it is {@linkcode leaving} they can still be read, and are found no more.
 *
 * @example Rooms
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, json, messageType, Server, text } from "@veltix/core";
 *
 * const JOIN = messageType(200, "join", text, json<string[]>());
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.route(JOIN, ({ data }, client) => {
 *   client.addTag("room", data);
 *   return [...client.tags.keys()];
 * });
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * assertEquals(await client.request(JOIN, "lobby"), ["room"]);
 * assertEquals(server.clientsByTag("room", "lobby").map(({ id }) => id), [1]);
 * ```
 */
export class ConnectedClient<P = undefined> {
  /** Its number, unique in this server, counted from 1. */
  readonly id: number;
  /** Where it connects from. */
  readonly address: Address;
  /** What `authenticate` returned for it; `undefined` where its listener has none. */
  readonly principal: P;
  /** When its handshake finished, in milliseconds since 1970. */
  readonly connectedAt: number;
  readonly #member: { readonly peer: Peer };
  readonly #keeper: TagKeeper<P>;
  #tags: Map<string, unknown> | undefined = undefined;

  /**
   * Created by the server.
   *
   * @param id Its number.
   * @param address Where it connects from.
   * @param principal What `authenticate` returned.
   * @param member Has its connection.
   * @param keeper Told of its tags.
   */
  constructor(
    id: number,
    address: Address,
    principal: P,
    member: { readonly peer: Peer },
    keeper: TagKeeper<P>,
  ) {
    this.id = id;
    this.address = address;
    this.principal = principal;
    this.connectedAt = Date.now();
    this.#member = member;
    this.#keeper = keeper;
  }

  /** Its IP address; empty on a unix socket. */
  get ip(): string {
    return "hostname" in this.address ? this.address.hostname : "";
  }

  /** Its port; 0 on a unix socket. */
  get port(): number {
    return "port" in this.address ? this.address.port : 0;
  }

  /** The protocol in use: `"native"`, or the Python release that the peer announced. */
  get protocol(): string {
    return this.#member.peer.session.protocolName;
  }

  /** Whether messages can be sent to it. */
  get connected(): boolean {
    return this.#member.peer.session.open;
  }

  /**
   * True from the moment that it says that it goes away until it is gone, which `maxDrain` bounds and `disconnect` tells. Nothing
   * can be sent to it meanwhile; handlers that run for it may still answer.
   */
  get leaving(): boolean {
    return this.#member.peer.session.leaving;
  }

  /** Its tags with their values, as they are now: a copy, oldest first. */
  get tags(): ReadonlyMap<string, unknown> {
    return new Map(this.#tags);
  }

  /**
   * Gives it a tag. A client has one value for each name: {@linkcode setTag} changes it.
   *
   * @param name The name.
   * @param value The value, if it has one.
   * @returns False if it has a tag of that name: then nothing changes.
   * @throws {TypeError} `name` is not a non-empty string.
   */
  addTag(name: string, value?: unknown): boolean {
    if (this.hasTag(name)) return false;
    this.#tags ??= new Map();
    this.#tags.set(name, value);
    this.#keeper.added(this, name, value);
    return true;
  }

  /**
   * Gives it a tag, or the tag that it has another value. It keeps its place among the client's tags, and the client its place in
   * `Server.clientsByTag(name)`. The `tag` event says `added` or `updated`; it is `updated` also where the value is the one
   * before, as an object may have changed inside.
   *
   * @param name The name.
   * @param value The value, if it has one.
   * @throws {TypeError} `name` is not a non-empty string.
   */
  setTag(name: string, value?: unknown): void {
    if (this.addTag(name, value)) return;
    const before = this.#tags!.get(name);
    this.#tags!.set(name, value);
    this.#keeper.updated(this, name, value, before);
  }

  /**
   * Whether it has a tag.
   *
   * @param name The name.
   * @returns Whether it has a tag of that name, whatever its value.
   * @throws {TypeError} `name` is not a non-empty string.
   */
  hasTag(name: string): boolean {
    tagName(name);
    return this.#tags?.has(name) ?? false;
  }

  /**
   * Whether it has each of these tags.
   *
   * @param names The names; with none of them it is true.
   * @returns Whether none is missing.
   * @throws {TypeError} A name is not a non-empty string, or `names` is a string itself.
   */
  hasAllTags(names: Iterable<string>): boolean {
    return tagNames(names).every((name) => this.hasTag(name));
  }

  /**
   * Whether it has one of these tags.
   *
   * @param names The names; with none of them it is false.
   * @returns Whether at least one is there.
   * @throws {TypeError} A name is not a non-empty string, or `names` is a string itself.
   */
  hasAnyTags(names: Iterable<string>): boolean {
    return tagNames(names).some((name) => this.hasTag(name));
  }

  /**
   * Reads a tag.
   *
   * @param name The name.
   * @returns Its value; `undefined` where there is no such tag, or one without a value.
   * @throws {TypeError} `name` is not a non-empty string.
   */
  getTag(name: string): unknown {
    tagName(name);
    return this.#tags?.get(name);
  }

  /**
   * Takes a tag away.
   *
   * @param name The name.
   * @returns Whether it was there.
   * @throws {TypeError} `name` is not a non-empty string.
   */
  removeTag(name: string): boolean {
    if (!this.hasTag(name)) return false;
    const value = this.#tags!.get(name);
    this.#tags!.delete(name);
    this.#keeper.removed(this, name, value);
    return true;
  }

  /** Takes all its tags away. */
  clearTags(): void {
    const tags = this.#tags;
    this.#tags = undefined;
    if (tags !== undefined && tags.size > 0) this.#keeper.cleared(this, tags);
  }

  /** Reads its connection's counters. */
  stats(): SessionStats {
    return this.#member.peer.stats;
  }

  /**
   * Sends a message whose type has no payload, see `empty`.
   *
   * @param type The type.
   * @returns Whether more may be sent right away. It throws as with a payload.
   */
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut> & WithoutPayload<In>,
  ): boolean;
  /**
   * Sends a message to it; see `Client.send`.
   *
   * @param type The type.
   * @param payload The payload.
   * @returns Whether more may be sent right away; if not, await {@linkcode ready}.
   * @throws {ConnectionError} `closed`.
   * @throws {BackpressureError} `buffer-full` or `total-buffer-full`: the message was not taken.
   * @throws {PayloadError} The payload cannot be encoded, or is larger than the client takes.
   * @throws {TypeError} The payload is not what the codec takes.
   */
  send<In, Out, ReplyIn, ReplyOut>(type: MessageType<In, Out, ReplyIn, ReplyOut>, payload: NoInfer<In>): boolean;
  send<In, Out, ReplyIn, ReplyOut>(type: MessageType<In, Out, ReplyIn, ReplyOut>, payload?: In): boolean {
    return this.#member.peer.send(type, payload as In);
  }

  /**
   * Sends a request whose type has no payload, see `empty`, and waits for the answer.
   *
   * @param type The type.
   * @returns The decoded answer. It rejects as with a payload.
   */
  request<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut> & WithoutPayload<In>,
  ): Promise<ReplyOut>;
  /**
   * Sends a request to it and waits for the answer; see `Client.request`.
   *
   * @param type The type, which has a reply.
   * @param payload The payload.
   * @param options Timeout, 5,000 ms by default, and signal.
   * @returns The decoded answer.
   * @throws {TimeoutError} No answer came in time.
   * @throws {RemoteError} The client answered with an error.
   * @throws {ConnectionError} `closed`: the connection has ended, or ended before the answer came.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full` or `ids-exhausted`: the request was not sent.
   * @throws {MessageTypeError} `no-reply-codec`: the type has no reply.
   * @throws {PayloadError} The payload cannot be encoded or is larger than the peer takes, or the answer cannot be decoded.
   * @throws {TypeError} The payload is not what the codec takes.
   * @throws {RangeError} `timeout` is not above 0 and at most 2147483647.
   * @throws {unknown} `signal.reason`, when `signal` is aborted.
   */
  request<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: RequestOptions,
  ): Promise<ReplyOut>;
  request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload?: In,
    options: RequestOptions = {},
  ): Promise<ReplyOut> {
    return this.#member.peer.request(type, payload as In, options);
  }

  /**
   * Measures a round trip. It never throws; the promise rejects.
   *
   * @param options Timeout, 5,000 ms by default, and signal.
   * @returns Milliseconds, by a monotonic clock.
   * @throws {TimeoutError} No answer came in time.
   * @throws {RemoteError} The client answered with an error.
   * @throws {ConnectionError} `closed`: the connection has ended, or ended before the answer came.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full` or `ids-exhausted`: the ping was not sent.
   * @throws {RangeError} `timeout` is not above 0 and at most 2147483647.
   * @throws {unknown} `signal.reason`, when `signal` is aborted.
   */
  ping(options: RequestOptions = {}): Promise<number> {
    return this.#member.peer.ping(options);
  }

  /** Resolves when more may be sent or the connection is over; never rejects. */
  ready(): Promise<void> {
    return this.#member.peer.ready();
  }

  /**
   * Closes its connection. With `message` or `final` it shuts the client out: its `disconnect` event has the words as `refusal`.
   *
   * @param reason The reason in the `disconnect` event of the server. Default `"manual"`.
   * @param options How long work under way may take, and what the client is told.
   * @returns Resolves when the connection is over; never rejects. In a handler of this client it resolves when everything else
   * is done, as `Server.close` does.
   * @throws {TypeError} There is no such reason.
   * @throws {RangeError | TypeError} An option is unknown, or no number from 0 to 2147483647.
   */
  close(reason: CloseReason = "manual", options: ShutOutOptions = {}): Promise<void> {
    if (!CLOSE_REASONS.includes(reason)) {
      throw new TypeError(`Cannot close the connection: reason must be one of ${CLOSE_REASONS.join(", ")}`);
    }
    const { drain, final = reason === "unauthorized" ? true : undefined, ...words } = shuttingOf(options);
    const { peer } = this.#member;
    return peer.awaited(peer.close(reason, drain, { ...words, final }));
  }
}

/** The name of a tag, checked. Returns it. */
export function tagName(name: string): string {
  return nonEmpty("A tag's name", name);
}

/** Names of tags, all of them checked; a string is a list of letters, and never meant. */
function tagNames(names: Iterable<string>): string[] {
  if (typeof names === "string") throw new TypeError("names must be a list of tags' names, not one of them");
  return [...names].map(tagName);
}
