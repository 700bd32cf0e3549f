/**
 * The {@linkcode Message} that handlers get: a payload, its type, and the way back to its sender.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { checkData } from "../base/codec_results.ts";
import { decodeJson } from "../base/json.ts";
import { type Message, type Replied, replied } from "../message/message.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import type { Route } from "./routes.ts";

/** How a message reaches its sender. */
export interface MessageOrigin {
  /** Sends the answer. Throws what sending throws. */
  answer(message: IncomingMessage, payload: unknown): void;
  /** Fires when the connection is over. */
  readonly signal: AbortSignal;
  /** Aborts the message when the connection is over. */
  watch(message: IncomingMessage): void;
  /** The message does not have to be aborted any more. */
  unwatch(message: IncomingMessage): void;
}

/** What a message has that waits, whose handler takes a while, or whose signal or JSON is looked at. */
class Extra {
  reserved = 0;
  kept = 0;
  charged: number | undefined = undefined;
  onDone: (() => void) | undefined = undefined;
  controller: AbortController | undefined = undefined;
  aborted: { readonly reason: unknown } | undefined = undefined;
  json: { readonly value: unknown } | undefined = undefined;
}

/** A message that came in. */
export class IncomingMessage implements Message<unknown, unknown> {
  readonly type: AnyMessageType;
  readonly receivedAt: number;
  readonly wantsReply: boolean;
  readonly content: Uint8Array;
  readonly requestId: number | string;
  readonly sentAt: number | undefined;
  /** Who takes it; `undefined` where no route knows its code. */
  readonly route: Route | undefined;
  /** Whether its one answer is given. */
  answered = false;
  /** Whether its handler is done, or never ran. */
  finished = false;
  readonly #origin: MessageOrigin;
  #data: unknown = undefined;
  /** What a message that is handled at once does without: most are, and each field costs time. */
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

  /** Decodes the payload ahead of the handler. Throws what the codec throws. */
  decode(): void {
    this.#data = checkData(this.type.name, this.type.payload.decode(this.content));
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

  get signal(): AbortSignal {
    // Nobody cancels a plain message: one signal serves all of a connection.
    if (!this.wantsReply && this.route?.timeout === undefined) return this.#origin.signal;
    const extra = this.#extra;
    // Neither does anybody once its handler is done.
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

  /** What the message costs its sender: the size of its payload as it came, in bytes. */
  get charged(): number {
    return this.#extra?.charged ?? this.content.length;
  }

  set charged(bytes: number) {
    this.#ownExtra.charged = bytes;
  }

  /** The room that is kept for its answer, see `ReplyRoom`. */
  get reserved(): number {
    return this.#extra?.reserved ?? 0;
  }

  set reserved(bytes: number) {
    this.#ownExtra.reserved = bytes;
  }

  /** The bytes that it counts for while it waits, and while its handler runs. */
  get kept(): number {
    return this.#extra?.kept ?? 0;
  }

  set kept(bytes: number) {
    this.#ownExtra.kept = bytes;
  }

  /** Has `fn` called when it is answered by `reply()`, or when nobody waits for the answer any more. */
  onDone(fn: () => void): void {
    this.#ownExtra.onDone = fn;
  }

  /** Whether it has a signal of its own. */
  get watched(): boolean {
    return this.#extra?.controller !== undefined;
  }

  /** Whether its sender waits for an answer. */
  get awaited(): boolean {
    return this.wantsReply && !this.answered && this.aborted === undefined;
  }

  /** Whether nobody waits for it any more, and why. */
  get aborted(): { readonly reason: unknown } | undefined {
    return this.#extra?.aborted;
  }

  /** Nobody waits for it any more: its handler may stop, and no answer is sent. */
  abort(reason: unknown): void {
    if (this.aborted !== undefined) return;
    const own = this.#ownExtra;
    own.aborted = { reason };
    own.controller?.abort(reason);
    own.onDone?.();
  }

  /** The connection is over: its handler may stop. */
  gone(reason: unknown): void {
    this.#extra?.controller?.abort(reason);
  }

  /** Whether a failure only shows that the handler stopped when it was told to. */
  stopped(error: unknown): boolean {
    const { aborted, reason } = this.signal;
    try {
      return aborted && (error === reason || (error as Error | undefined)?.name === "AbortError");
    } catch {
      // Anything can be thrown, also what can't be looked at.
      return false;
    }
  }

  /** The public way to answer, made when a handler looks at it: it works without the message before it. */
  get reply(): (payload: unknown) => Replied {
    return (payload) => this.answer(payload);
  }

  /** Sends the one answer. Throws what `Message.reply` throws. */
  answer(payload: unknown): Replied {
    const { name, reply } = this.type;
    if (reply === undefined) {
      throw new MessageTypeError("no-reply-codec", `Cannot reply to "${name}": its type has no reply`);
    }
    if (this.answered) {
      throw new MessageTypeError("already-replied", `Cannot reply to "${name}": it is answered already`);
    }
    if (!this.wantsReply) {
      throw new MessageTypeError("not-requested", `Cannot reply to "${name}": its sender waits for no answer`);
    }
    if (this.aborted === undefined) this.#origin.answer(this, payload);
    this.answered = true;
    this.#extra?.onDone?.();
    return replied;
  }
}
