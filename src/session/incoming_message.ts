/**
 * The {@linkcode Message} that handlers get: a frame, its type, and the way back to its sender.
 *
 * @module
 */

import { MessageTypeError } from "../errors.ts";
import { checkData } from "../message/codecs.ts";
import { decodeJson } from "../message/json.ts";
import { type Message, type Replied, replied } from "../message/message.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { decodeUtf8 } from "../message/utf8.ts";
import type { DecodedFrame } from "../wire/decoder.ts";
import type { Route } from "./routes.ts";

/** How a message reaches its sender. */
export interface MessageOrigin {
  /** Sends the answer. Throws what sending throws. */
  answer(message: IncomingMessage, payload: unknown): void;
  /** Fires when the connection is over. */
  readonly signal: AbortSignal;
}

/** A message that came in. */
export class IncomingMessage implements Message<unknown, unknown> {
  readonly type: AnyMessageType;
  readonly receivedAt: number;
  readonly wantsReply: boolean;
  /** What it came as. */
  readonly frame: DecodedFrame;
  /** Who takes it; `undefined` where no route knows its code. */
  readonly route: Route | undefined;
  /** Whether its one answer is given. */
  answered = false;
  readonly #origin: MessageOrigin;
  #data: unknown = undefined;
  #json: { readonly value: unknown } | undefined = undefined;

  constructor(
    type: AnyMessageType,
    route: Route | undefined,
    frame: DecodedFrame,
    receivedAt: number,
    wantsReply: boolean,
    origin: MessageOrigin,
  ) {
    this.type = type;
    this.route = route;
    this.frame = frame;
    this.receivedAt = receivedAt;
    this.wantsReply = wantsReply;
    this.#origin = origin;
  }

  /** Decodes the payload ahead of the handler. Throws what the codec throws. */
  decode(): void {
    this.#data = checkData(this.type.name, this.type.payload.decode(this.frame.content));
  }

  get data(): unknown {
    return this.route === undefined || this.route.raw ? this.frame.content : this.#data;
  }

  get content(): Uint8Array {
    return this.frame.content;
  }

  get text(): string {
    return decodeUtf8(this.frame.content);
  }

  get json(): unknown {
    this.#json ??= { value: decodeJson(this.frame.content) };
    return this.#json.value;
  }

  get requestId(): number | string {
    return this.frame.requestId;
  }

  get sentAt(): number | undefined {
    return this.frame.sentAt;
  }

  get latency(): number | undefined {
    const { sentAt } = this.frame;
    return sentAt === undefined ? undefined : this.receivedAt - sentAt;
  }

  get signal(): AbortSignal {
    return this.#origin.signal;
  }

  reply(payload: unknown): Replied {
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
    this.#origin.answer(this, payload);
    this.answered = true;
    return replied;
  }
}
