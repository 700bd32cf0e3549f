/**
 * A message as a handler in a worker thread receives it.
 *
 * @module
 */

import { checkData } from "../base/codec_results.ts";
import { decodeJson } from "../base/json.ts";
import type { Message } from "../message/message.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { realTime } from "../base/real_time.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { MessageTypeError } from "../errors.ts";
import { type Metadata, metadataMembers } from "../wire/metadata.ts";
import type { Payload, TaskInfo, WorkerPeer } from "./worker_messages.ts";

/**
 * A message in a worker thread: a {@linkcode Message} without `kind` and `reply`. Only the return value of its handler answers it,
 * with the metadata that the handler has set.
 *
 * @category Workers
 */
export interface WorkerMessage<Data = unknown> extends Omit<Message<Data>, "kind" | "reply"> {
  /** The client that sent it, by id and address; `undefined` if a server sent it. */
  readonly client: WorkerPeer | undefined;
  /**
   * Aborted when the connection is gone, the request is canceled, or the time that its sender waits is over. The signal
   * reaches a handler only when it gives control back to the event loop of its thread, as `await` does. A handler that
   * only computes does not see it.
   */
  readonly signal: AbortSignal;
}

/** A {@linkcode WorkerMessage}, made from what the program sent to the thread. */
export class TaskMessage implements WorkerMessage {
  readonly type: AnyMessageType;
  readonly content: Uint8Array;
  readonly #info: TaskInfo;
  readonly #controller = new AbortController();
  /** The time at which its sender stops waiting, by the clock of the thread. */
  readonly #until: number;
  /** The metadata of the answer; `undefined` if the handler has set none. */
  replyMeta: Metadata | undefined = undefined;
  /** The metadata: a copy, because what comes from another thread has a prototype again. */
  readonly meta: Metadata;
  #data: unknown = undefined;
  #json: { readonly value: unknown } | undefined = undefined;

  /**
   * @param type The message type.
   * @param payload The payload, whose buffer the worker owns.
   * @param info Everything but the payload.
   */
  constructor(type: AnyMessageType, payload: Payload, info: TaskInfo) {
    this.type = type;
    this.content = new Uint8Array(payload.buffer, payload.start);
    this.#info = info;
    this.#until = realTime.now() + (info.timeLeft ?? NaN);
    this.meta = Object.freeze(Object.assign(Object.create(null), info.meta));
  }

  /** Decodes the payload before the handler runs. Throws what the codec throws. */
  decode(): void {
    this.#data = checkData(this.type.name, this.type.payload.decode(this.content));
  }

  /** Aborts the message's signal. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  get data(): unknown {
    return this.#data;
  }

  get text(): string {
    return decodeUtf8(this.content);
  }

  get json(): unknown {
    this.#json ??= { value: decodeJson(this.content) };
    return this.#json.value;
  }

  get requestId(): number | string {
    return this.#info.requestId;
  }

  get receivedAt(): number {
    return this.#info.receivedAt;
  }

  get sentAt(): number | undefined {
    return this.#info.sentAt;
  }

  get latency(): number | undefined {
    const { receivedAt, sentAt } = this.#info;
    return sentAt === undefined ? undefined : receivedAt - sentAt;
  }

  get timeLeft(): number | undefined {
    return this.#info.timeLeft === undefined ? undefined : Math.max(0, this.#until - realTime.now());
  }

  /** Works without the message as `this`, too. */
  get setReplyMeta(): (meta: Metadata) => void {
    return (meta) => {
      const what = `Cannot reply to "${this.type.name}"`;
      if (!this.wantsReply) throw new MessageTypeError("not-requested", `${what}: its sender waits for no answer`);
      metadataMembers(what, meta, false);
      this.replyMeta = { ...meta };
    };
  }

  get wantsReply(): boolean {
    return this.#info.wantsReply;
  }

  get client(): WorkerPeer | undefined {
    return this.#info.client;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }
}
