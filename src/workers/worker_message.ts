/**
 * A message as a handler in a worker thread gets it.
 *
 * @module
 */

import { checkData } from "../base/codec_results.ts";
import { decodeJson } from "../base/json.ts";
import type { Message } from "../message/message.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import type { Payload, TaskInfo, WorkerPeer } from "./worker_messages.ts";

/** A message in a worker thread: a {@linkcode Message} that is answered by what its handler returns, and only so. */
export interface WorkerMessage<Data = unknown> extends Omit<Message<Data>, "reply"> {
  /** The client that sent it, by id and address; `undefined` where a server did. */
  readonly client: WorkerPeer | undefined;
  /**
   * Aborted when the connection is gone or the request was cancelled. A handler learns of it when it lets the event loop
   * of its thread go on, as by `await`; one that only computes does not.
   */
  readonly signal: AbortSignal;
}

/** Makes a {@linkcode WorkerMessage} of what the program passed on. */
export class TaskMessage implements WorkerMessage {
  readonly type: AnyMessageType;
  readonly content: Uint8Array;
  readonly #info: TaskInfo;
  readonly #controller = new AbortController();
  #data: unknown = undefined;
  #json: { readonly value: unknown } | undefined = undefined;

  /**
   * @param type Its type.
   * @param payload The payload, which is the worker's own.
   * @param info The rest.
   */
  constructor(type: AnyMessageType, payload: Payload, info: TaskInfo) {
    this.type = type;
    this.content = new Uint8Array(payload.buffer, payload.start);
    this.#info = info;
  }

  /** Decodes the payload ahead of the handler. Throws what the codec throws. */
  decode(): void {
    this.#data = checkData(this.type.name, this.type.payload.decode(this.content));
  }

  /** Fires its signal. */
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
