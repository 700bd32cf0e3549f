/**
 * A connected client, as the server and its handlers see it.
 *
 * @module
 */

import { CLOSE_REASONS, type CloseReason } from "../link/close_reason.ts";
import type { Answer, PingOptions, RequestOptions } from "../session/requests.ts";
import type { Peer } from "../app/peer.ts";
import type { SessionStats } from "../session/counters.ts";
import type { MessageType, RequestType, WithoutPayload } from "../message/message_type.ts";
import type { OpenOptions, OpenStream } from "../app/streams/open_stream.ts";
import type { AnyStreamType, StreamType } from "../message/stream_type.ts";
import { type SendOptions, sendTerms } from "../app/send_options.ts";
import { nonEmpty } from "../base/checks.ts";
import type { OutgoingMiddlewares } from "../app/outgoing_middleware.ts";
import { shuttingOf } from "../app/closing.ts";
import type { Address } from "../base/address.ts";
import type { ConnectionSecurity, PeerCertificate } from "../transport.ts";

/**
 * Options for closing a connection or a server.
 *
 * @category Server
 */
export interface CloseOptions {
  /** How long handlers, pending requests and unsent bytes may take, in milliseconds; 0 cuts at once. @default 5000 */
  readonly drain?: number;
  /** When native clients that reconnect may come back, in milliseconds. They add their own delay. @default not sent */
  readonly retryAfter?: number;
}

/**
 * Options for closing one connection of a server. The code and the message reach native clients.
 *
 * @category Server
 */
export interface ShutOutOptions extends CloseOptions {
  /** The reason, for programs, such as `"banned"`. At most 200 characters arrive. @default the reason */
  readonly code?: string;
  /** The reason, for people. At most 200 characters arrive. @default not sent */
  readonly message?: string;
  /**
   * True if coming back is pointless. A client with `reconnect` then does not try. @default true for `"unauthorized"`
   */
  readonly final?: boolean;
}

/** The owner of a client's connection. */
export interface ClientMember {
  readonly peer: Peer;
  /** The address of the client's connection, or of the last one. */
  readonly address: Address;
  /** The server's middleware around what is sent; `undefined` without any. */
  readonly outgoing: OutgoingMiddlewares | undefined;
}

/** Receives each change of a client's tags. */
export interface TagKeeper<P> {
  /** Called when a client got a tag. */
  added(client: ConnectedClient<P>, name: string, value: unknown): void;
  /** Called when a client's tag got another value: `value` instead of `before`. */
  updated(client: ConnectedClient<P>, name: string, value: unknown, before: unknown): void;
  /** Called when a client lost a tag. */
  removed(client: ConnectedClient<P>, name: string, value: unknown): void;
  /** Called when a client lost all its tags. `tags` are the ones that it had. */
  cleared(client: ConnectedClient<P>, tags: ReadonlyMap<string, unknown>): void;
}

/**
 * One connected client, as handlers and event listeners receive it from the server. `P` is what the server's
 * `authenticate` returns.
 *
 * A client can carry tags: names, each with an optional value. The server can find all clients that carry a tag, and
 * send to them. Once a client is {@linkcode leaving}, its tags can still be read, but it is no longer found by them.
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
 *
 * @category Server
 */
export class ConnectedClient<P = undefined> {
  /** The number of the client, unique in this server, counted from 1. */
  readonly id: number;
  /** What `authenticate` returned for the client; `undefined` if its listener has no `authenticate`. */
  readonly principal: P;
  /** When the handshake finished, in milliseconds since 1970. */
  readonly connectedAt: number;
  readonly #member: ClientMember;
  readonly #keeper: TagKeeper<P>;
  #tags: Map<string, unknown> | undefined = undefined;

  /**
   * Created by the server.
   *
   * @param id The number of the client.
   * @param principal What `authenticate` returned.
   * @param member The owner of its connection.
   * @param keeper Receives the changes of its tags.
   */
  constructor(
    id: number,
    principal: P,
    member: ClientMember,
    keeper: TagKeeper<P>,
  ) {
    this.id = id;
    this.principal = principal;
    this.connectedAt = Date.now();
    this.#member = member;
    this.#keeper = keeper;
  }

  /** The address that the client connects from. After its session was resumed, that of its new connection. */
  get address(): Address {
    return this.#member.address;
  }

  /** The client's IP address; empty on a unix socket. */
  get ip(): string {
    return "hostname" in this.address ? this.address.hostname : "";
  }

  /** The client's port; 0 on a unix socket. */
  get port(): number {
    return "port" in this.address ? this.address.port : 0;
  }

  /** The protocol in use: `"native"`, or the Python release that the peer announced. */
  get protocol(): string {
    return this.#member.peer.session.protocolName;
  }

  /** What protects the connection. */
  get security(): "none" | ConnectionSecurity["kind"] {
    return this.#member.peer.security;
  }

  /** The certificate that the client has shown; `undefined` if it has shown none, or without TLS. */
  get certificate(): PeerCertificate | undefined {
    return this.#member.peer.certificate;
  }

  /** The public key of the client's identity; `undefined` if it has shown none, or without encryption. */
  get publicKey(): string | undefined {
    return this.#member.peer.publicKey;
  }

  /**
   * True while the client has a connection over which messages can be sent to it. False while its session is suspended;
   * see the option `resume`. What is sent then waits until the client is back.
   */
  get connected(): boolean {
    const { session } = this.#member.peer;
    return session.open && session.resumption?.suspended !== true;
  }

  /**
   * True from the moment when the client says that it goes away until its connection is over. `maxDrain` limits that
   * time, and the `disconnect` event tells its end. Nothing can be sent to the client meanwhile. Handlers that run for
   * it may still answer.
   */
  get leaving(): boolean {
    return this.#member.peer.session.leaving;
  }

  /** A copy of the client's tags and their values, oldest first. */
  get tags(): ReadonlyMap<string, unknown> {
    return new Map(this.#tags);
  }

  /**
   * Gives the client a tag. A client has one value for each name: {@linkcode setTag} changes it.
   *
   * @param name The name.
   * @param value The value, if it has one.
   * @returns False if the client already has a tag of that name. Then nothing changes.
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
   * Gives the client a tag, or another value to a tag that it has. The tag then keeps its place among the client's
   * tags, and the client keeps its place in `Server.clientsByTag(name)`. The `tag` event says `added` or `updated`. It
   * says `updated` even if the value is the same, because an object may have changed inside.
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
   * Returns whether the client has a tag.
   *
   * @param name The name.
   * @returns True if it has a tag of that name, whatever its value.
   * @throws {TypeError} `name` is not a non-empty string.
   */
  hasTag(name: string): boolean {
    tagName(name);
    return this.#tags?.has(name) ?? false;
  }

  /**
   * Returns whether the client has each of these tags.
   *
   * @param names The names.
   * @returns True if none is missing; always true without names.
   * @throws {TypeError} A name is not a non-empty string, or `names` is a string itself.
   */
  hasAllTags(names: Iterable<string>): boolean {
    return tagNames(names).every((name) => this.hasTag(name));
  }

  /**
   * Returns whether the client has at least one of these tags.
   *
   * @param names The names.
   * @returns True if it has one of them; always false without names.
   * @throws {TypeError} A name is not a non-empty string, or `names` is a string itself.
   */
  hasAnyTags(names: Iterable<string>): boolean {
    return tagNames(names).some((name) => this.hasTag(name));
  }

  /**
   * Returns the value of a tag.
   *
   * @param name The name.
   * @returns The value; `undefined` if there is no such tag, or if it has no value.
   * @throws {TypeError} `name` is not a non-empty string.
   */
  getTag(name: string): unknown {
    tagName(name);
    return this.#tags?.get(name);
  }

  /**
   * Removes a tag.
   *
   * @param name The name.
   * @returns True if the client had it.
   * @throws {TypeError} `name` is not a non-empty string.
   */
  removeTag(name: string): boolean {
    if (!this.hasTag(name)) return false;
    const value = this.#tags!.get(name);
    this.#tags!.delete(name);
    this.#keeper.removed(this, name, value);
    return true;
  }

  /** Removes all tags of the client. */
  clearTags(): void {
    const tags = this.#tags;
    this.#tags = undefined;
    if (tags !== undefined && tags.size > 0) this.#keeper.cleared(this, tags);
  }

  /** Returns the counters of the client's connection. */
  stats(): SessionStats {
    return this.#member.peer.stats;
  }

  /**
   * Sends a message whose type has no payload, see `empty`.
   *
   * @param type The type.
   * @returns True if more may be sent right away. It throws as with a payload.
   */
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut> & WithoutPayload<In>,
  ): boolean;
  /**
   * Sends a message to the client; see `Client.send`.
   *
   * @param type The type.
   * @param payload The payload.
   * @param options Metadata, what replaces the message while it waits, how long it may wait, and whether the payload's
   * memory is given away.
   * @returns True if more may be sent right away. If not, await {@linkcode ready}.
   * @throws {ConnectionError} `closed`.
   * @throws {BackpressureError} `buffer-full` or `total-buffer-full`: the message was not taken.
   * @throws {PayloadError} The payload cannot be encoded, or is larger than the client takes.
   * @throws {PayloadError} `metadata-unsupported`: there is metadata, and the peer takes none.
   * @throws {TypeError} The payload is not what the codec takes.
   * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type. `meta` is not a plain object
   * of names to strings, or too large. With `transfer`, the payload's memory cannot be given away.
   */
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: SendOptions,
  ): boolean;
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload?: In,
    options?: SendOptions,
  ): boolean {
    const { outgoing, peer } = this.#member;
    if (outgoing !== undefined) return outgoing.send({ peer: this, direct: peer }, type, payload, options);
    return peer.send(type, payload as In, options === undefined ? undefined : sendTerms(type.name, options));
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
   * Sends a request to the client and waits for the answer; see `Client.request`.
   *
   * @param type The type, which has a reply.
   * @param payload The payload.
   * @param options Timeout, 5,000 ms by default, signal, metadata, and the message that it is made for.
   * @returns The decoded answer.
   * @throws {TimeoutError} No answer came in time. `deadline-exceeded`: it was the time of the message in `within`.
   * @throws {RemoteError} The client answered with an error.
   * @throws {ConnectionError} `closed`: the connection has ended, or ended before the answer came.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full` or `ids-exhausted`: the request was not sent.
   * @throws {MessageTypeError} `no-reply-codec`: the type has no reply.
   * @throws {PayloadError} The payload cannot be encoded or is larger than the peer takes, or the answer cannot be
   * decoded.
   * @throws {TypeError} The payload is not what the codec takes.
   * @throws {PayloadError} `metadata-unsupported`: there is metadata, and the peer takes none.
   * @throws {RangeError} `timeout` is not above 0 and at most 2147483647, or `meta` is too large.
   * @throws {TypeError} `meta` is not a plain object of names to strings, or `within` is no message.
   * @throws {unknown} `signal.reason`, when `signal` or that of `within` is aborted.
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
    const { outgoing, peer } = this.#member;
    if (outgoing !== undefined) {
      return this.exchange(type as RequestType<In, Out, ReplyIn, ReplyOut>, payload as In, options).then(({ data }) =>
        data
      );
    }
    return peer.request(type, payload as In, options);
  }

  /**
   * Opens a stream to the client; see `Client.open`.
   *
   * @param type The type of the stream.
   * @param head What the client gets at the beginning. Left out if the type has none.
   * @param options A signal that ends the stream, how much the client may send before it is read, metadata, and the
   * message that the stream is opened for.
   * @returns Both directions as Web Streams, and the answer.
   * @throws {ConnectionError} `closed`.
   * @throws {BackpressureError} `too-many-streams`, `buffer-full` or `total-buffer-full`: the stream was not opened.
   * @throws {ConfigError} `unsupported`: the client is a Python program, which has no streams.
   * @throws {PayloadError} The head cannot be encoded, or is larger than the client takes.
   * @throws {PayloadError} `metadata-unsupported`: there is metadata, and the peer takes none.
   * @throws {TimeoutError} `deadline-exceeded`: the message in `within` has no time left.
   * @throws {RangeError | TypeError} `window` is not a whole number from 1 to `maxStreamWindow`, or `meta` or `within` is
   * wrong as for {@linkcode request}.
   * @throws {unknown} `signal.reason`, if `signal` or that of `within` is aborted.
   */
  open<HI, HO, UI, UO, DI, DO, RI, RO>(
    type: StreamType<HI, HO, UI, UO, DI, DO, RI, RO>,
    ...[head, options]: [HI] extends [void] ? [head?: undefined, options?: OpenOptions]
      : [head: NoInfer<HI>, options?: OpenOptions]
  ): OpenStream<UI, DO, RO> {
    const { outgoing, peer } = this.#member;
    const any = type as unknown as AnyStreamType;
    const stream = outgoing === undefined
      ? peer.open(any, head, options ?? {})
      : outgoing.open({ peer: this, direct: peer }, any, head, options);
    return stream as OpenStream<UI, DO, RO>;
  }

  /**
   * Does what {@linkcode request} does for a type without a payload, and returns the whole answer.
   *
   * @param type The type.
   * @returns The whole answer. It rejects as with a payload.
   */
  exchange<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut> & WithoutPayload<In>,
  ): Promise<Answer<ReplyOut>>;
  /**
   * Does what {@linkcode request} does, and returns the whole answer; see `Client.exchange`.
   *
   * @param type The type, which has a reply.
   * @param payload The payload.
   * @param options As for {@linkcode request}.
   * @returns The answer. Its `meta` is empty if the client speaks a Python protocol.
   */
  exchange<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: RequestOptions,
  ): Promise<Answer<ReplyOut>>;
  exchange<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload?: In,
    options: RequestOptions = {},
  ): Promise<Answer<ReplyOut>> {
    const { outgoing, peer } = this.#member;
    if (outgoing !== undefined) {
      return outgoing.exchange({ peer: this, direct: peer }, type, payload, options) as Promise<Answer<ReplyOut>>;
    }
    return peer.exchange(type, payload as In, options);
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
  ping(options: PingOptions = {}): Promise<number> {
    return this.#member.peer.ping(options);
  }

  /** Resolves when more may be sent or the connection is over; never rejects. */
  ready(): Promise<void> {
    return this.#member.peer.ready();
  }

  /**
   * Closes the client's connection. With `message` or `final` it shuts the client out: the client's `disconnect` event
   * has the code and the message as `refusal`.
   *
   * @param reason The reason in the `disconnect` event of the server. Default `"manual"`.
   * @param options How long work under way may take, and what to say to the client.
   * @returns Resolves when the connection is over; never rejects. In a handler of this client it resolves when
   * everything else is done, as `Server.close` does.
   * @throws {TypeError} There is no such reason.
   * @throws {RangeError | TypeError} An option is unknown, of the wrong type, or not a number from 0 to 2147483647.
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

/** Checks the name of a tag and returns it. */
export function tagName(name: string): string {
  return nonEmpty("A tag's name", name);
}

/** Checks names of tags and returns them. A string would be a list of its letters, which nobody means. */
function tagNames(names: Iterable<string>): string[] {
  if (typeof names === "string") throw new TypeError("names must be a list of tags' names, not one of them");
  return [...names].map(tagName);
}
