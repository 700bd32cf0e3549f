/**
 * What a client sends: straight to its connection, or into a queue while there is none.
 *
 * @module
 */

import { BackpressureError, TimeoutError } from "../errors.ts";
import { checkPayload } from "../base/codec_results.ts";
import type { MessageType } from "../message/message_type.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import { closedError } from "../link/close_reason.ts";
import type { AnswerCodec, RequestOptions } from "../session/requests.ts";
import { noReplyCodec } from "../app/peer.ts";
import { checkTimeout, payloadTooLarge } from "../session/sender.ts";
import type { Peer } from "../app/peer.ts";
import type { PeerShared } from "../app/shared.ts";
import { Timeout } from "../base/timer_wheel.ts";
import type { MessageCounts } from "./disconnect.ts";
import type { OutgoingQueue, QueuedMessage, QueuedRequest } from "./outgoing_queue.ts";

/** How long to wait for ids, which are free when somebody answers or gives up, in milliseconds. */
const PAUSE = 20;

/** What goes wrong with a queued message is told here. */
export interface OutgoingHost {
  /** A message cannot be sent. */
  error(error: unknown): void;
  /** Limits, in bytes. */
  readonly limits: { readonly maxMessageSize: number; readonly handshakeTimeout: number };
}

/** The sending side of one client. */
export class Outgoing {
  readonly #queue: OutgoingQueue | undefined;
  readonly #host: OutgoingHost;
  #shared: PeerShared | undefined = undefined;
  /** Whether messages may be queued. */
  #open = false;
  /** Requests that were made before there was a clock. */
  #later: ((shared: PeerShared) => void)[] = [];
  /** The largest frame that the last server took, and what its header takes, in bytes. */
  #most: number;
  #headerSize: number;
  #peer: Peer | undefined = undefined;
  /** While listeners to `connect` run: what they send goes first. */
  #greeting = false;
  /** The connection whose listeners to `connect` returned promises: what is queued waits for these. */
  #greeted: Peer | undefined = undefined;
  #pumping = false;
  #counts = { expired: 0, delivered: 0, uncertain: 0, lost: 0 };

  /**
   * @param queue Keeps messages while there is no connection; without it sending throws then.
   * @param host Is told what goes wrong.
   * @param headerSize What a header takes before a server is known, in bytes.
   */
  constructor(queue: OutgoingQueue | undefined, host: OutgoingHost, headerSize: number) {
    this.#queue = queue;
    this.#host = host;
    this.#most = host.limits.maxMessageSize;
    this.#headerSize = headerSize;
  }

  /** From now on messages may be queued. */
  open(): void {
    this.#open = true;
  }

  /** The sockets are there, and with them the time. */
  begin(shared: PeerShared): void {
    this.#shared = shared;
    this.#queue?.begin(this.now);
    for (const begin of this.#later) begin(shared);
    this.#later = [];
  }

  /** There is a connection: `greet` sends first. What is queued follows when the promises that it returns are settled. */
  attach(peer: Peer, greet: () => Promise<unknown>[]): void {
    this.#peer = peer;
    this.#most = peer.session.maxMessageSize;
    this.#headerSize = peer.session.protocol.headerSize;
    const queue = this.#queue;
    if (queue !== undefined) {
      peer.session.sender.track();
      this.#counts.expired += queue.expire(this.now);
    }
    this.#greeting = true;
    const pending = greet();
    this.#greeting = false;
    if (pending.length === 0 || queue === undefined) void this.#pump(peer);
    else void this.#hold(peer, pending);
  }

  /** Lets what is queued wait for `pending`, at most for `handshakeTimeout`. */
  async #hold(peer: Peer, pending: Promise<unknown>[]): Promise<void> {
    this.#greeted = peer;
    await this.#within(this.#host.limits.handshakeTimeout, Promise.all(pending), peer);
    if (this.#greeted === peer) this.#greeted = undefined;
    if (this.#peer === peer) void this.#pump(peer);
  }

  /** The connection is over. */
  detach(peer: Peer): void {
    const { deliveries } = peer;
    if (deliveries !== undefined) {
      this.#counts.delivered += deliveries.delivered;
      this.#counts.uncertain += deliveries.uncertain;
      this.#counts.lost += deliveries.lost;
    }
    if (this.#peer === peer) this.#peer = undefined;
  }

  /** There will be no connection any more; returns how many messages never had one. */
  end(error: () => unknown): number {
    this.#open = false;
    this.#shared = undefined;
    this.#later = [];
    return this.#queue?.clear(error) ?? 0;
  }

  /** What became of messages since it was asked last; `undefined` where that is not counted. */
  counts(lost: number): MessageCounts | undefined {
    if (this.#queue === undefined) return undefined;
    // What expires behind messages that were sent is told the next time: the order names them.
    const { delivered, uncertain, lost: behind } = this.#counts;
    if (delivered + uncertain + behind === 0) this.#counts.expired += this.#queue.expire(this.now);
    const counts = { ...this.#counts, lost: this.#counts.lost + lost, queued: this.#queue.messages };
    this.#counts = { expired: 0, delivered: 0, uncertain: 0, lost: 0 };
    return counts;
  }

  /** Messages that wait for a connection. */
  get queued(): number {
    return this.#queue?.size ?? 0;
  }

  /** See `Client.send`. */
  send<In, Out, ReplyIn, ReplyOut>(type: MessageType<In, Out, ReplyIn, ReplyOut>, payload: In): boolean {
    if (this.#direct) return this.#peer!.send(type, payload);
    const queue = this.#waiting(`Cannot send "${type?.name}"`);
    const content = checkPayload(type.name, type.payload.encode(payload));
    queue.push(type.name, type.code, this.#own(type.name, content), this.now);
    return queue.takesMore;
  }

  /** See `Client.request`. Never throws. */
  async request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: RequestOptions,
  ): Promise<ReplyOut> {
    const queue = this.#waiting(`Cannot request "${type?.name}"`);
    if (type.reply === undefined) throw noReplyCodec(type.name);
    const content = checkPayload(type.name, type.payload.encode(payload));
    const { timeout = 5_000, signal } = options;
    checkTimeout(type.name, timeout);
    signal?.throwIfAborted();
    const own = this.#own(type.name, content);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const request = new WaitingRequest(this, type.reply as AnswerCodec, { timeout, signal }, resolve, reject);
    const message = queue.push(type.name, type.code, own, this.now, request);
    const begin = (shared: PeerShared): void => request.begin(message, queue, shared, timeout);
    if (this.#shared === undefined) this.#later.push(begin);
    else begin(this.#shared);
    return await promise as ReplyOut;
  }

  /** Whether there is a connection, and nothing that goes before. */
  get #direct(): boolean {
    const peer = this.#peer;
    if (peer === undefined || !peer.session.open) return this.#queue === undefined && peer !== undefined;
    if (this.#greeting || this.#queue === undefined) return true;
    return this.#queue.size === 0 && this.#greeted !== peer;
  }

  /** The session to ask right now; `undefined` if the request has to wait. A login is a request: it goes before the queue. */
  get peer(): Peer | undefined {
    const peer = this.#peer;
    return this.#direct || peer !== undefined && peer.session.open && this.#greeted === peer ? peer : undefined;
  }

  /** The connection, whatever waits. */
  get current(): Peer | undefined {
    return this.#peer;
  }

  /** The time, by the transport's clock. */
  get now(): number {
    // Nothing is too old before there is a clock.
    return this.#shared?.clock.now() ?? NaN;
  }

  /** See `Client.ready`. */
  async ready(): Promise<void> {
    await this.#queue?.ready();
    await this.#peer?.ready();
  }

  /** Settles when nothing is queued, or after `ms` milliseconds, or when the connection is over; returns how long it took. */
  async emptied(peer: Peer, ms: number): Promise<number> {
    if (this.#queue === undefined || this.#queue.size === 0 || this.#shared === undefined) return 0;
    const { clock } = this.#shared.transport;
    const since = clock.now();
    await this.#within(ms, this.#queue.empty(), peer);
    return clock.now() - since;
  }

  /** Sends what is queued, as fast as the connection takes it. */
  async #pump(peer: Peer): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined || this.#pumping || this.#greeted === peer) return;
    this.#pumping = true;
    while (this.#peer === peer && peer.session.open && queue.first !== undefined) {
      const message = queue.first;
      try {
        let more = true;
        if (message.request !== undefined) message.request.send(message);
        else more = peer.sendContent(message.name, message.code, message.content);
        queue.shift(message);
        if (!more) await peer.ready();
      } catch (error) {
        if (error instanceof BackpressureError) {
          await peer.ready();
          await this.#within(PAUSE, new Promise(() => {}), peer);
          continue;
        }
        queue.shift(message);
        // As a rule the new server does not take it: its limit may be another than that of the last one.
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

  /** Settles when `what` does, after `ms` milliseconds, or when the connection is over. A closed wheel calls nobody. */
  async #within(ms: number, what: Promise<unknown>, peer: Peer): Promise<void> {
    if (this.#shared === undefined) return;
    const { wheel } = this.#shared;
    let limit: Timeout | undefined;
    const late = new Promise<void>((resolve) => wheel.add(limit = new Timeout(resolve), ms));
    await Promise.race([what, late, peer.session.closed]);
    wheel.remove(limit!);
  }

  /** The queue, where it may be used now. */
  #waiting(what: string): OutgoingQueue {
    if (!this.#open || this.#queue === undefined) throw closedError(what, this.#peer?.session.reason);
    return this.#queue;
  }

  /**
   * Bytes of its own for the queue: what the caller does to a payload afterwards changes nothing.
   *
   * @throws {PayloadError} `payload-too-large`: as far as is known, the server does not take it.
   */
  #own(name: string, content: Uint8Array | string): Uint8Array {
    const bytes = typeof content === "string" ? encodeUtf8(content) : content;
    if (this.#headerSize + bytes.length > this.#most) throw payloadTooLarge(name, content, this.#most);
    return bytes === content ? new Uint8Array(bytes) : bytes;
  }
}

/** A request whose time runs while it waits for a connection. */
class WaitingRequest implements QueuedRequest {
  readonly codec: AnswerCodec;
  readonly #outgoing: Outgoing;
  readonly #options: RequestOptions;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #limit: Timeout | undefined = undefined;
  #stop = (): void => {};
  #until = 0;
  #over = false;
  left = false;

  constructor(
    outgoing: Outgoing,
    codec: AnswerCodec,
    options: RequestOptions,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#outgoing = outgoing;
    this.codec = codec;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Begins to wait. */
  begin(message: QueuedMessage, queue: OutgoingQueue, shared: PeerShared, timeout: number): void {
    const { signal } = this.#options;
    const { wheel, transport: { clock } } = shared;
    this.#until = clock.now() + timeout;
    const giveUp = (error: unknown): void => {
      this.fail(error);
      this.left = true;
      queue.leave(message);
    };
    this.#limit = new Timeout(() =>
      giveUp(new TimeoutError("timeout", `No connection to send "${message.name}" within ${timeout} ms`))
    );
    wheel.add(this.#limit, timeout);
    const abort = (): void => giveUp(signal!.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#stop = () => {
      wheel.remove(this.#limit!);
      signal?.removeEventListener("abort", abort);
    };
    // Between the call and the first time that there is a clock.
    if (signal?.aborted) abort();
  }

  send({ name, code, content }: QueuedMessage): void {
    if (this.#over) return;
    const peer = this.#outgoing.current!;
    const timeout = Math.max(1, this.#until - this.#outgoing.now);
    const answer = peer.ask(name, code, content, this.codec, { timeout, signal: this.#options.signal });
    this.#over = true;
    this.#stop();
    answer.then(this.#resolve, this.#reject);
  }

  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#stop();
    this.#reject(error);
  }
}
