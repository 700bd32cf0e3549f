/**
 * The part of a worker route that runs in the thread. {@linkcode workerHandler} makes the default export of its module.
 *
 * @module
 */

import { PayloadError } from "../errors.ts";
import { checkPayload } from "../base/codec_results.ts";
import type { AnyMessageType, MessageType } from "../message/message_type.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import type { Metadata } from "../wire/metadata.ts";
import { SERVE } from "./bootstrap.ts";
import { ownBuffer } from "./payload.ts";
import { errorLike, likenessOf, type Order, type Report } from "./worker_messages.ts";
import { TaskMessage, type WorkerMessage } from "./worker_message.ts";

/**
 * What a handler in a worker returns: the reply, or a promise of it, if its type has one; otherwise anything.
 *
 * @category Workers
 */
export type WorkerResult<ReplyIn> = [ReplyIn] extends [never] ? unknown : ReplyIn | PromiseLike<ReplyIn>;

/**
 * The default export of a worker's module.
 *
 * @category Workers
 */
export interface WorkerHandler<Out = never, ReplyIn = unknown> {
  /** The type that it handles. Its code must be that of the route's type. */
  readonly type: AnyMessageType;
  /** Handles a message. Tests can call it without a thread. */
  readonly handle: (message: WorkerMessage<Out>) => WorkerResult<ReplyIn>;
}

/** The thread's side of the message channel to the program. */
interface Port {
  postMessage(value: Report, transfer?: ArrayBuffer[]): void;
  on(event: "message", listener: (order: Order) => void): void;
}

/**
 * Makes the default export of a module whose handler runs in worker threads; see `Server.workerRoute`. The codecs of
 * the type run in the thread, too: they decode the payload and encode the reply. An error that the handler throws
 * answers the request, as for any handler. An error outside of the handler, such as in a timer, ends the thread, which
 * is then replaced.
 *
 * @param type The type, the same as the route's: import both from one module.
 * @param handler Called with one message at a time. If the bytes of a reply fill their buffer, the buffer is
 * transferred and cannot be used in the thread afterwards. To keep the bytes, reply with a copy (`bytes.slice()`).
 * @returns The handler, to be exported as default.
 * @throws {TypeError} `handler` is not a function.
 *
 * @example The module of a worker
 * ```ts
 * import { json, messageType, workerHandler } from "@veltix/core";
 *
 * // In a program the type comes from a file that both sides import.
 * export default workerHandler(messageType(200, "primes", json<number>(), json<number>()), ({ data }) => {
 *   let count = 0;
 *   for (let n = 2; n <= data; n++) {
 *     let i = 2;
 *     while (i * i <= n && n % i !== 0) i++;
 *     if (i * i > n) count++;
 *   }
 *   return count;
 * });
 * ```
 *
 * @category Workers
 */
export function workerHandler<In, Out, ReplyIn, ReplyOut>(
  type: MessageType<In, Out, ReplyIn, ReplyOut>,
  handler: (message: WorkerMessage<NoInfer<Out>>) => NoInfer<WorkerResult<ReplyIn>>,
): WorkerHandler<Out, ReplyIn> {
  if (typeof handler !== "function") {
    throw new TypeError(`Cannot make a worker handler for "${type?.name}": handler must be a function`);
  }
  const server = new WorkerServer(type as AnyMessageType, handler as (message: WorkerMessage) => unknown);
  return Object.freeze({
    type: type as AnyMessageType,
    handle: handler as WorkerHandler<Out, ReplyIn>["handle"],
    [Symbol.for(SERVE)]: (port: Port): void => server.serve(port),
  });
}

/** Runs the handler on one message at a time and reports each result. */
class WorkerServer {
  readonly #type: AnyMessageType;
  readonly #handler: (message: WorkerMessage) => unknown;
  #current: { readonly id: number; readonly message: TaskMessage } | undefined = undefined;

  constructor(type: AnyMessageType, handler: (message: WorkerMessage) => unknown) {
    this.#type = type;
    this.#handler = handler;
  }

  serve(port: Port): void {
    const { code, name, reply } = this.#type;
    port.on("message", (order) => {
      if (order.kind === "run") void this.#run(port, order);
      else if (this.#current?.id === order.id) this.#current.message.abort(errorLike(order.reason));
    });
    port.postMessage({ kind: "ready", code, name, replies: reply !== undefined });
  }

  async #run(port: Port, { id, payload, info }: Order & { readonly kind: "run" }): Promise<void> {
    const message = new TaskMessage(this.#type, payload, info);
    this.#current = { id, message };
    try {
      message.decode();
      const value = await this.#handler(message);
      if (!info.wantsReply || this.#type.reply === undefined) {
        port.postMessage({ kind: "done", id, reply: undefined, meta: undefined });
      } else this.#done(port, id, value, message.replyMeta);
    } catch (error) {
      port.postMessage({ kind: "failed", id, error: likenessOf(error), meta: message.replyMeta });
    }
  }

  #done(port: Port, id: number, value: unknown, meta: Metadata | undefined): void {
    const { name, reply } = this.#type;
    const content = checkPayload(name, reply!.encode(value as never));
    const bytes = typeof content === "string" ? encodeUtf8(content) : content;
    if (isDetached(bytes)) {
      throw new PayloadError(
        "invalid-payload",
        `Cannot reply to "${name}": its bytes were given away before, copy them`,
      );
    }
    const mine = ownBuffer(bytes, true);
    try {
      port.postMessage({ kind: "done", id, reply: mine, meta }, [mine]);
    } catch {
      // Some buffers cannot be transferred, such as the memory of WebAssembly.
      const copy = ownBuffer(bytes, false);
      port.postMessage({ kind: "done", id, reply: copy, meta }, [copy]);
    }
  }
}

function isDetached({ buffer }: Uint8Array): boolean {
  return (buffer as { detached?: boolean }).detached === true;
}
