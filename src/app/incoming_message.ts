/**
 * The {@linkcode Message} that handlers get: a payload, its type, and the way back to its sender.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { show } from "../base/checks.ts";
import { checkData } from "../base/codec_results.ts";
import { decodeJson } from "../base/json.ts";
import { type Message, type Replied, replied } from "../message/message.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { type Metadata, metadataMembers, NO_METADATA } from "../wire/metadata.ts";
import type { ReceivedMetadata } from "../wire/received_metadata.ts";
import type { Deadline } from "./deadline.ts";
import type { Route } from "./routes.ts";

/** The connection that a message came from. */
export interface MessageOrigin {
  /** Sends the answer. Throws what sending throws. */
  answer(message: IncomingMessage, payload: unknown): void;
  /**
   * Offers a message without a route to the listeners. Returns `replied` if one has answered it, or a promise if one may
   * still do so.
   */
  offer(message: IncomingMessage): unknown;
  /**
   * Gathers a message of a route with `batch`, to be handed out with others. A message whose middleware has gone on later
   * is handed out at once and alone. Returns what the handler returns then.
   */
  gather(message: IncomingMessage): unknown;
  /** Throws a `PayloadError` if the peer takes no metadata. */
  checkMetadata(what: string): void;
  /** Aborted when the connection is over. */
  readonly signal: AbortSignal;
  /** Aborts the signal of a message once the connection is over. */
  watch(message: IncomingMessage): void;
  /** Undoes {@linkcode watch}. */
  unwatch(message: IncomingMessage): void;
}

/** The state of a message that waits, has metadata or an asynchronous handler, or whose signal or JSON was read. */
class Extra {
  reserved = 0;
  kept = 0;
  started = false;
  successor: IncomingMessage | undefined = undefined;
  charged: number | undefined = undefined;
  packed = 0;
  arrivedAt = 0;
  onDone: (() => void) | undefined = undefined;
  controller: AbortController | undefined = undefined;
  aborted: { readonly reason: unknown } | undefined = undefined;
  json: { readonly value: unknown } | undefined = undefined;
  meta: ReceivedMetadata | undefined = undefined;
  deadline: Deadline<IncomingMessage> | undefined = undefined;
  replyMeta = "";
  changed = false;
}

/** A received message. */
export class IncomingMessage implements Message<unknown, unknown> {
  readonly type: AnyMessageType;
  readonly receivedAt: number;
  readonly wantsReply: boolean;
  content: Uint8Array;
  readonly requestId: number | string;
  readonly sentAt: number | undefined;
  /** The route that handles it; `undefined` if no route has its code. */
  readonly route: Route | undefined;
  /** True once its one answer was sent. */
  answered = false;
  /** True once its handler has ended or will not be called. */
  finished = false;
  readonly #origin: MessageOrigin;
  #data: unknown = undefined;
  /** Created when it is needed. Most messages are handled at once and do without, and each field costs time. */
  #extra: Extra | undefined = undefined;

  constructor(
    type: AnyMessageType,
    route: Route | undefined,
    { content, requestId, sentAt }: Pick<ReceivedFrame, "content" | "requestId" | "sentAt">,
    receivedAt: number,
    wantsReply: boolean,
    origin: MessageOrigin,
  ) {
    this.type = type;
    this.route = route;
    this.content = content;
    this.requestId = requestId;
    this.sentAt = sentAt;
    this.receivedAt = receivedAt;
    this.wantsReply = wantsReply;
    this.#origin = origin;
  }

  /** Decodes the payload for the handler. Throws what the codec throws. */
  decode(): void {
    this.#data = checkData(this.type.name, this.type.payload.decode(this.content));
  }

  get kind(): "message" {
    return "message";
  }

  /**
   * Replaces the payload that its handler gets.
   *
   * @throws {TypeError} Its handler gets bytes, and these are none.
   */
  change(data: unknown): void {
    if (this.route !== undefined && !this.route.raw) {
      this.#data = data;
      this.#ownExtra.changed = true;
      return;
    }
    if (!(data instanceof Uint8Array)) {
      throw new TypeError(`Cannot change "${this.type.name}": its data must be a Uint8Array, not ${show(data)}`);
    }
    // A worker route gives its buffer away.
    this.content = new Uint8Array(data);
    if (this.#extra !== undefined) this.#extra.json = undefined;
  }

  /** True if its data was replaced, so that it is not what `content` says. */
  get changed(): boolean {
    return this.#extra?.changed ?? false;
  }

  /** Offers it to the listeners, because it has no route; see {@linkcode MessageOrigin.offer}. */
  offer(): unknown {
    return this.#origin.offer(this);
  }

  /** Gathers it, because its route takes many in one call; see {@linkcode MessageOrigin.gather}. */
  gather(): unknown {
    return this.#origin.gather(this);
  }

  get data(): unknown {
    return this.route === undefined || this.route.raw ? this.content : this.#data;
  }

  get text(): string {
    return decodeUtf8(this.content);
  }

  get json(): unknown {
    return (this.#ownExtra.json ??= { value: decodeJson(this.content) }).value;
  }

  get latency(): number | undefined {
    return this.sentAt === undefined ? undefined : this.receivedAt - this.sentAt;
  }

  get meta(): Metadata {
    return this.#extra?.meta?.names ?? NO_METADATA;
  }

  get timeLeft(): number | undefined {
    return this.#extra?.deadline?.left;
  }

  get signal(): AbortSignal {
    // A message without a request cannot be cancelled, so it needs no signal other than that of its connection.
    if (!this.wantsReply && this.route?.timeout === undefined) return this.#origin.signal;
    const extra = this.#extra;
    // The same is true once its handler has ended.
    if (this.finished && extra?.controller === undefined && extra?.aborted === undefined) return this.#origin.signal;
    const own = this.#ownExtra;
    if (own.controller === undefined) {
      own.controller = new AbortController();
      if (own.aborted === undefined) this.#origin.watch(this);
      else own.controller.abort(own.aborted.reason);
    }
    return own.controller.signal;
  }

  get #ownExtra(): Extra {
    return this.#extra ??= new Extra();
  }

  /** The size of its payload as it was received, in bytes. Its sender is charged for it. */
  get charged(): number {
    return this.#extra?.charged ?? this.content.length;
  }

  set charged(bytes: number) {
    this.#ownExtra.charged = bytes;
  }

  /** What was received beside its payload. */
  get metadata(): ReceivedMetadata | undefined {
    return this.#extra?.meta;
  }

  set metadata(meta: ReceivedMetadata | undefined) {
    this.#ownExtra.meta = meta;
  }

  /** When its sender stops waiting; `undefined` if the sender does not say. */
  get deadline(): Deadline<IncomingMessage> | undefined {
    return this.#extra?.deadline;
  }

  set deadline(deadline: Deadline<IncomingMessage> | undefined) {
    this.#ownExtra.deadline = deadline;
  }

  /** The members of the metadata of its answer, see `metadataMembers`. */
  get replyMeta(): string {
    return this.#extra?.replyMeta ?? "";
  }

  /**
   * The flags of its frame while its payload is as it was received; 0 once it is decoded. Most are decoded from the start.
   */
  get packed(): number {
    return this.#extra?.packed ?? 0;
  }

  set packed(flags: number) {
    this.#ownExtra.packed = flags;
  }

  /** When it arrived, by the clock; only of a request that is {@linkcode packed} with metadata. */
  get arrivedAt(): number {
    return this.#extra?.arrivedAt ?? 0;
  }

  set arrivedAt(time: number) {
    this.#ownExtra.arrivedAt = time;
  }

  /** The size of its payload once it is decoded, in bytes; while it is packed, with its metadata. */
  get size(): number {
    return this.packed === 0 ? this.content.length : this.charged;
  }

  /** The room that is kept for its answer, in bytes; see `ReplyRoom`. */
  get reserved(): number {
    return this.#extra?.reserved ?? 0;
  }

  set reserved(bytes: number) {
    this.#ownExtra.reserved = bytes;
  }

  /** The bytes that it counts for while it waits or while its handler runs. */
  get kept(): number {
    return this.#extra?.kept ?? 0;
  }

  set kept(bytes: number) {
    this.#ownExtra.kept = bytes;
  }

  /** True once its handler or a middleware goes on asynchronously. */
  get started(): boolean {
    return this.#extra?.started ?? false;
  }

  set started(started: boolean) {
    this.#ownExtra.started = started;
  }

  /** The message that has taken its place while it waited, because its route was replaced. */
  get successor(): IncomingMessage | undefined {
    return this.#extra?.successor;
  }

  set successor(message: IncomingMessage | undefined) {
    this.#ownExtra.successor = message;
  }

  /** Sets a function that is called when {@linkcode answer} was called, or when the message is aborted. */
  onDone(fn: () => void): void {
    this.#ownExtra.onDone = fn;
  }

  /** True if it was handled at once so far and has nothing but a payload: no signal, no metadata, no abort. */
  get plain(): boolean {
    return this.#extra === undefined;
  }

  /** True if it has a signal of its own. */
  get watched(): boolean {
    return this.#extra?.controller !== undefined;
  }

  /** True while its sender waits for an answer. */
  get awaited(): boolean {
    return this.wantsReply && !this.answered && this.aborted === undefined;
  }

  /** The reason why it was aborted; `undefined` if it was not. */
  get aborted(): { readonly reason: unknown } | undefined {
    return this.#extra?.aborted;
  }

  /** Called when nobody waits for the answer any more. Aborts the signal. No answer is sent from then on. */
  abort(reason: unknown): void {
    if (this.aborted !== undefined) return;
    const own = this.#ownExtra;
    own.aborted = { reason };
    own.controller?.abort(reason);
    own.onDone?.();
  }

  /** Called when the connection is over. Aborts the signal. */
  gone(reason: unknown): void {
    this.#extra?.controller?.abort(reason);
  }

  /** Returns whether a handler failed only because its signal was aborted. */
  stopped(error: unknown): boolean {
    const { aborted, reason } = this.signal;
    try {
      return aborted && (error === reason || (error as Error | undefined)?.name === "AbortError");
    } catch {
      // Anything can be thrown, even an object whose members cannot be read.
      return false;
    }
  }

  /** The public way to answer. A new function with each access, so that it works without the message as `this`. */
  get reply(): (payload: unknown) => Replied {
    return (payload) => this.answer(payload);
  }

  /** The public way to set the metadata of the answer. Works without the message as `this`, too. */
  get setReplyMeta(): (meta: Metadata) => void {
    return (meta) => {
      this.#checkReply();
      const what = `Cannot reply to "${this.type.name}"`;
      const members = metadataMembers(what, meta, false);
      if (members !== "") this.#origin.checkMetadata(what);
      this.#ownExtra.replyMeta = members;
    };
  }

  /** Sends the one answer. Throws what `Message.reply` throws. */
  answer(payload: unknown): Replied {
    const { name } = this.type;
    if (this.type.reply === undefined) {
      throw new MessageTypeError("no-reply-codec", `Cannot reply to "${name}": its type has no reply`);
    }
    this.#checkReply();
    if (this.aborted === undefined) this.#origin.answer(this, payload);
    this.answered = true;
    this.#extra?.onDone?.();
    return replied;
  }

  #checkReply(): void {
    const { name } = this.type;
    if (this.answered) {
      throw new MessageTypeError("already-replied", `Cannot reply to "${name}": it is answered already`);
    }
    if (!this.wantsReply) {
      throw new MessageTypeError("not-requested", `Cannot reply to "${name}": its sender waits for no answer`);
    }
  }
}
