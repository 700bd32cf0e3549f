/**
 * The {@linkcode Message} that handlers get: a payload, its type, and the way back to its sender.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { checkData } from "../message/codecs.ts";
import { decodeJson } from "../message/json.ts";
import { type Message, type Replied, replied } from "../message/message.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { decodeUtf8 } from "../message/utf8.ts";
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
  /** The room that is kept for its answer, see `ReplyRoom`. */
  reserved = 0;
  /** The bytes that it counts for while it waits, and while its handler runs. */
  kept = 0;
  /** Called when it is answered by `reply()`, or nobody waits for the answer any more. */
  onDone: (() => void) | undefined = undefined;
  readonly #origin: MessageOrigin;
  #controller: AbortController | undefined = undefined;
  #aborted: { readonly reason: unknown } | undefined = undefined;
  #data: unknown = undefined;
  #json: { readonly value: unknown } | undefined = undefined;

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
    this.#json ??= { value: decodeJson(this.content) };
    return this.#json.value;
  }

  get latency(): number | undefined {
    return this.sentAt === undefined ? undefined : this.receivedAt - this.sentAt;
  }

  get signal(): AbortSignal {
    // Nobody cancels a plain message: one signal serves all of a connection.
    if (!this.wantsReply && this.route?.timeout === undefined) return this.#origin.signal;
    // Neither does anybody once its handler is done.
    if (this.finished && this.#controller === undefined && this.#aborted === undefined) return this.#origin.signal;
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted === undefined) this.#origin.watch(this);
      else this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  /** Whether it has a signal of its own. */
  get watched(): boolean {
    return this.#controller !== undefined;
  }

  /** Whether its sender waits for an answer. */
  get awaited(): boolean {
    return this.wantsReply && !this.answered && this.#aborted === undefined;
  }

  /** Whether nobody waits for it any more, and why. */
  get aborted(): { readonly reason: unknown } | undefined {
    return this.#aborted;
  }

  /** Nobody waits for it any more: its handler may stop, and no answer is sent. */
  abort(reason: unknown): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = { reason };
    this.#controller?.abort(reason);
    this.onDone?.();
  }

  /** The connection is over: its handler may stop. */
  gone(reason: unknown): void {
    this.#controller?.abort(reason);
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
    if (this.#aborted === undefined) this.#origin.answer(this, payload);
    this.answered = true;
    this.onDone?.();
    return replied;
  }
}
