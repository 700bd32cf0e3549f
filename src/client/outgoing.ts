/**
 * The sending side of a client. It sends directly to the connection, or into a queue while there is none.
 *
 * @module
 */

import { BackpressureError } from "../errors.ts";
import { checkPayload } from "../base/codec_results.ts";
import { free, givenAway } from "../base/hand_over.ts";
import type { MessageType } from "../message/message_type.ts";
import type { AnyStreamType } from "../message/stream_type.ts";
import type { OpenOptions, OpenStream } from "../app/streams/open_stream.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import { closedError } from "../link/close_reason.ts";
import type { Answer, AnswerCodec, RequestOptions } from "../session/requests.ts";
import { requestTerms, timelyAnswer } from "../app/request_terms.ts";
import type { SendTerms } from "../app/send_options.ts";
import { noReplyCodec, payloadTooLarge } from "../session/send_checks.ts";
import { joinMetadata } from "../wire/metadata.ts";
import type { Peer } from "../app/peer.ts";
import type { PeerShared } from "../app/shared.ts";
import type { MessageCounts } from "./disconnect.ts";
import type { OutgoingQueue } from "./outgoing_queue.ts";
import { WaitingRequest } from "./waiting_request.ts";

/**
 * The pause before a queued message is tried again, in milliseconds. If it waits for a request id, only the pause
 * helps: ids become free when a request is answered or given up.
 */
const PAUSE = 20;

/** The part of a client that its sending side uses. */
export interface OutgoingHost {
  /** Called when a queued message cannot be sent. */
  error(error: unknown): void;
  readonly limits: { readonly maxMessageSize: number; readonly handshakeTimeout: number };
}

/** The sending side of one client. */
export class Outgoing {
  readonly #queue: OutgoingQueue | undefined;
  readonly #host: OutgoingHost;
  #shared: PeerShared | undefined = undefined;
  /** True while messages may be queued. */
  #open = false;
  /** The requests that were made before there was a clock. */
  #later: ((shared: PeerShared) => void)[] = [];
  /** The largest frame that the last server takes, and the size of its header, in bytes. */
  #most: number;
  #headerSize: number;
  /** True if metadata reaches the server, or the last one. */
  takesMetadata = false;
  #peer: Peer | undefined = undefined;
  /** True while listeners to `connect` run. What they send is sent first. */
  #greeting = false;
  /** The connection whose listeners to `connect` returned promises. Queued messages wait for these. */
  #greeted: Peer | undefined = undefined;
  #pumping = false;
  #counts = nothing();

  /**
   * @param queue The queue for messages while there is no connection. Without it sending throws then.
   * @param host The client.
   * @param headerSize The size of a header before a server is known, in bytes.
   */
  constructor(queue: OutgoingQueue | undefined, host: OutgoingHost, headerSize: number) {
    this.#queue = queue;
    this.#host = host;
    this.#most = host.limits.maxMessageSize;
    this.#headerSize = headerSize;
  }

  /** Allows messages to be queued from now on. */
  allowQueue(): void {
    this.#open = true;
  }

  /** Called when the sockets are loaded, and with them the clock. */
  begin(shared: PeerShared): void {
    this.#shared = shared;
    this.#queue?.begin(this.now);
    for (const begin of this.#later) begin(shared);
    this.#later = [];
  }

  /**
   * Called when there is a connection. What `greet` sends is sent first. Queued messages follow when the promises that
   * `greet` returns are settled.
   */
  attach(peer: Peer, greet: () => Promise<unknown>[]): void {
    this.#peer = peer;
    this.#most = peer.session.maxMessageSize;
    this.#headerSize = peer.session.protocol.headerSize;
    this.takesMetadata = peer.session.sender.takesMetadata;
    const queue = this.#queue;
    if (queue !== undefined) {
      peer.session.sender.startTracking();
      this.#counts.expired += queue.expire(this.now);
    }
    this.#greeting = true;
    const pending = greet();
    this.#greeting = false;
    if (pending.length === 0 || queue === undefined) void this.#pump(peer);
    else void this.#hold(peer, pending);
  }

  /** Holds queued messages back until `pending` is settled, but at most for `handshakeTimeout`. */
  async #hold(peer: Peer, pending: Promise<unknown>[]): Promise<void> {
    this.#greeted = peer;
    await this.#within(this.#host.limits.handshakeTimeout, Promise.all(pending), peer);
    if (this.#greeted === peer) this.#greeted = undefined;
    if (this.#peer === peer) void this.#pump(peer);
  }

  /** Called when the session goes on over another connection: what was sent meanwhile follows. */
  resumed(peer: Peer): void {
    void this.#pump(peer);
  }

  /** Called when the connection is over. */
  detach(peer: Peer): void {
    const { deliveries } = peer;
    if (deliveries !== undefined) {
      this.#counts.delivered += deliveries.delivered;
      this.#counts.uncertain += deliveries.uncertain;
      this.#counts.lost += deliveries.lost;
      this.#counts.expired += deliveries.expired;
      this.#counts.replaced += deliveries.replaced;
    }
    if (this.#peer === peer) this.#peer = undefined;
  }

  /** Called when no connection follows. Returns the number of messages that never had one. */
  end(error: () => unknown): number {
    this.#open = false;
    this.#shared = undefined;
    this.#later = [];
    return this.#queue?.clear(error) ?? 0;
  }

  /** Returns what became of the messages since the last call; `undefined` if they are not counted. */
  counts(lost: number): MessageCounts | undefined {
    if (this.#queue === undefined) return undefined;
    // If others were sent since the last call, messages that have expired after them are counted the next time.
    // Otherwise the numbers would not tell which messages they are.
    const { delivered, uncertain, lost: unsent } = this.#counts;
    if (delivered + uncertain + unsent === 0) this.#counts.expired += this.#queue.expire(this.now);
    const counts = { ...this.#counts, lost: this.#counts.lost + lost, queued: this.#queue.messages };
    this.#counts = nothing();
    return counts;
  }

  /** The number of messages that wait for a connection. */
  get queued(): number {
    return this.#queue?.size ?? 0;
  }

  /** See `Client.send`. */
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    terms?: SendTerms,
  ): boolean {
    const latest = terms?.latest;
    // What is sent first because listeners to `connect` send it must still not come before what it replaces.
    const direct = this.#direct && (latest === undefined || this.#queue?.replaces(type.code, latest) !== true);
    if (direct) return this.#peer!.send(type, payload, terms);
    const queue = this.#waiting(`Cannot send "${type?.name}"`);
    const { meta = "", transfer = false } = terms ?? {};
    const encoded = checkPayload(type.name, type.payload.encode(payload));
    const given = transfer ? givenAway(`Cannot send "${type.name}"`, encoded) : undefined;
    const content = this.#own(type.name, encoded, meta);
    if (latest === undefined) queue.push(type, content, meta, this.now);
    else if (queue.pushLatest(type, content, meta, this.now, latest)) this.#counts.replaced++;
    if (given !== undefined) free(given);
    return queue.takesMore;
  }

  /** See `Client.request`; if `whole` is true, `Client.exchange`. Rejects instead of throwing. */
  async request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: RequestOptions,
    whole: boolean,
  ): Promise<unknown> {
    const queue = this.#waiting(`Cannot request "${type?.name}"`);
    if (type.reply === undefined) throw noReplyCodec(type.name);
    const content = checkPayload(type.name, type.payload.encode(payload));
    const terms = requestTerms(type.name, options);
    const own = this.#own(type.name, content, terms.meta);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const request = new WaitingRequest(this, type.reply as AnswerCodec, terms, whole, resolve, reject);
    const message = queue.push(type, own, terms.meta, this.now, request);
    const begin = (shared: PeerShared): void => request.begin(message, queue, shared);
    if (this.#shared === undefined) this.#later.push(begin);
    else begin(this.#shared);
    return await timelyAnswer(type.name, terms, promise);
  }

  /** See `Client.exchange`. Rejects instead of throwing. */
  exchange<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: RequestOptions,
  ): Promise<Answer<ReplyOut>> {
    return this.peer?.exchange(type, payload, options) ??
      this.request(type, payload, options, true) as Promise<Answer<ReplyOut>>;
  }

  /** See `Client.open`. Streams do not wait for a connection. */
  open(type: AnyStreamType, head: unknown, options: OpenOptions): OpenStream<unknown, unknown, unknown> {
    if (this.#peer === undefined) throw closedError(`Cannot open "${type?.name}"`, undefined);
    return this.#peer.open(type, head, options);
  }

  /** True while there is a connection and nothing in the queue has to be sent first. */
  get #direct(): boolean {
    const peer = this.#peer;
    if (peer === undefined || !isHere(peer)) return this.#queue === undefined && peer !== undefined;
    if (this.#greeting || this.#queue === undefined) return true;
    return this.#queue.size === 0 && this.#greeted !== peer;
  }

  /**
   * The peer for a request that is made now; `undefined` if the request has to wait. While the promises of `connect`
   * listeners are pending, requests are sent before the queue: a login is a request.
   */
  get peer(): Peer | undefined {
    const peer = this.#peer;
    return this.#direct || peer !== undefined && isHere(peer) && this.#greeted === peer ? peer : undefined;
  }

  /** The current peer, whether or not anything is queued. */
  get current(): Peer | undefined {
    return this.#peer;
  }

  /** The time, by the clock of the connections. */
  get now(): number {
    // Before there is a clock, no message is too old.
    return this.#shared?.clock.now() ?? NaN;
  }

  /** See `Client.ready`. */
  async ready(): Promise<void> {
    await this.#queue?.ready();
    await this.#peer?.ready();
  }

  /**
   * Waits until the queue is empty, the connection is over, or `ms` milliseconds have passed. Returns how long it took,
   * in milliseconds.
   */
  async emptied(peer: Peer, ms: number): Promise<number> {
    if (this.#queue === undefined || this.#queue.size === 0 || this.#shared === undefined) return 0;
    const { clock } = this.#shared;
    const since = clock.now();
    await this.#within(ms, this.#queue.empty(), peer);
    return clock.now() - since;
  }

  /** Sends queued messages, as fast as the connection takes them. */
  async #pump(peer: Peer): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined || this.#pumping || this.#greeted === peer) return;
    this.#pumping = true;
    while (this.#peer === peer && isHere(peer) && queue.first !== undefined) {
      if (queue.expireFirst(this.now)) {
        this.#counts.expired++;
        continue;
      }
      const message = queue.first;
      try {
        let more = true;
        if (message.request !== undefined) message.request.send(message);
        else {
          const { at, code, content, latest, meta, name, origin } = message;
          more = peer.sendContent(name, code, content, meta, origin, latest, at);
        }
        queue.shift(message);
        if (!more) await peer.ready();
      } catch (error) {
        if (error instanceof BackpressureError) {
          await peer.ready();
          await this.#shared?.wheel.within(PAUSE, peer.session.closed);
          continue;
        }
        queue.shift(message);
        // Usually the message is larger than the new server takes: its limit may differ from that of the last server.
        if (message.request === undefined) {
          this.#counts.lost++;
          this.#host.error(error);
        } else message.request.fail(error);
      }
    }
    this.#pumping = false;
    const next = this.#peer;
    if (next !== undefined && next !== peer) void this.#pump(next);
  }

  /** Waits until `what` settles, the connection is over, or `ms` milliseconds have passed. */
  async #within(ms: number, what: Promise<unknown>, peer: Peer): Promise<void> {
    await this.#shared?.wheel.within(ms, Promise.race([what, peer.session.closed]));
  }

  /** Returns the queue, or throws if messages may not be queued now. */
  #waiting(what: string): OutgoingQueue {
    if (!this.#open || this.#queue === undefined) throw closedError(what, this.#peer?.session.reason);
    return this.#queue;
  }

  /**
   * Returns a copy for the queue, unless the bytes are new already. The caller may change its payload afterwards.
   *
   * @param meta The members of the metadata that is sent beside it.
   * @throws {PayloadError} `payload-too-large`: as far as is known, the server does not take it.
   */
  #own(name: string, content: Uint8Array | string, meta: string): Uint8Array {
    const bytes = typeof content === "string" ? encodeUtf8(content) : content;
    const sent = meta === "" ? bytes : joinMetadata(meta, undefined, bytes);
    if (this.#headerSize + sent.length > this.#most) {
      throw payloadTooLarge(name, meta === "" ? content : sent, this.#most);
    }
    return bytes === content ? new Uint8Array(bytes) : bytes;
  }
}

/**
 * True if a session has a connection. What is sent to a suspended one waits in the queue, because a session that is lost
 * takes with it what it has.
 */
function isHere({ session }: Peer): boolean {
  return session.open && !session.link.away;
}

/** Returns the counts of no message. */
function nothing(): Omit<Writable<MessageCounts>, "queued"> {
  return { expired: 0, replaced: 0, delivered: 0, uncertain: 0, lost: 0 };
}

type Writable<Counts> = { -readonly [Name in keyof Counts]: Counts[Name] };
