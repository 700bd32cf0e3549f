/**
 * The messages of one connection that wait for their handlers. Small messages are packed into pages. As objects, with
 * an array for each payload, they would take many times the bytes that were received.
 *
 * @module
 */

import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Fifo } from "../base/fifo.ts";
import type { IncomingMessage } from "./incoming_message.ts";

/** The size of the largest payload that is packed, in bytes. */
const SMALL = 512;
/** The sizes of the first page and of the others, in bytes. */
const FIRST_PAGE = 1_024;
const PAGE = 16_384;
/** The size of the head of a payload in a page, in bytes: type code, size, id and two times. */
const HEAD = 24;

/** The parts of a frame that a message is made of. */
export type Received = Pick<ReceivedFrame, "code" | "content" | "requestId" | "sentAt" | "meta">;

interface Page {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  used: number;
}

/** Makes messages of their parts. */
export interface MessageMaker {
  unpacked(received: Received, receivedAt: number): IncomingMessage;
}

/** The place of a packed message in the queue. */
const PACKED = null;

/**
 * Returns the payload to keep while a message waits. A payload that is a small part of its chunk is copied: otherwise
 * it would keep the whole chunk alive. Credit counts payloads and not chunks, so with flow control nearly all are
 * copied.
 *
 * @param content The payload, as a part of the chunk in which it came.
 * @param flowControlled True if the peer needs credit to send.
 */
export function keepable(content: Uint8Array, flowControlled: boolean): Uint8Array {
  const share = flowControlled ? 16 / 15 : 4;
  return content.length * share >= content.buffer.byteLength ? content : content.slice();
}

/** The queue of one connection. */
export class MessageQueue {
  readonly #maker: MessageMaker;
  readonly #items = new Fifo<IncomingMessage | null>();
  /** Created when a message is packed. */
  #pages: Fifo<Page> | undefined = undefined;
  #last: Page | undefined = undefined;
  /** The offset of the first packed message in its page. */
  #at = 0;
  /** The first message, once it was unpacked. */
  #head: IncomingMessage | undefined = undefined;
  #bytes = 0;

  /** @param maker Makes messages of their parts when they are unpacked. */
  constructor(maker: MessageMaker) {
    this.#maker = maker;
  }

  /** The number of messages that wait. */
  get size(): number {
    return this.#items.size;
  }

  /** The bytes that they take, buffers counted whole, and metadata as received. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a message. */
  push(message: IncomingMessage): void {
    // A payload that is still compressed counts with the size that it will have, its metadata included.
    const kept = Math.max(message.content.buffer.byteLength + (message.metadata?.size ?? 0), message.size);
    message.kept = kept;
    this.#bytes += kept;
    this.#items.push(message);
  }

  /**
   * Adds a message that nothing looks up by its id while it waits. Returns false if it cannot be packed, because its
   * payload is too large or its id is a string.
   */
  pack({ code, content, requestId, sentAt }: Received, receivedAt: number): boolean {
    const size = content.length;
    if (size > SMALL || typeof requestId !== "number") return false;
    const { bytes, view, used } = this.#page(HEAD + size);
    view.setUint16(used, code);
    view.setUint16(used + 2, size);
    view.setUint32(used + 4, requestId);
    view.setFloat64(used + 8, sentAt ?? NaN);
    view.setFloat64(used + 16, receivedAt);
    bytes.set(content, used + HEAD);
    this.#last!.used += HEAD + size;
    this.#bytes += HEAD + size;
    this.#items.push(PACKED);
    return true;
  }

  /** The first message, which stays in the queue. */
  get first(): IncomingMessage | undefined {
    const item = this.#items.first;
    return item === PACKED ? this.#head ??= this.#unpack() : item;
  }

  /**
   * Removes the first message. `message` is that message, or one that was made in its place and has the same `kept`.
   */
  shift(message: IncomingMessage): void {
    this.#items.shift();
    this.#head = undefined;
    this.#bytes -= message.kept;
  }

  /** Removes all messages. */
  clear(): void {
    this.#items.clear();
    this.#pages = undefined;
    this.#last = undefined;
    this.#head = undefined;
    this.#at = 0;
    this.#bytes = 0;
  }

  /** Takes the first packed message out of its page. Its payload is a copy, so that it does not keep the page alive. */
  #unpack(): IncomingMessage {
    const page = this.#pages!.first!;
    const { bytes, view } = page;
    const at = this.#at;
    const size = view.getUint16(at + 2);
    const sentAt = view.getFloat64(at + 8);
    const message = this.#maker.unpacked({
      code: view.getUint16(at),
      requestId: view.getUint32(at + 4),
      sentAt: Number.isNaN(sentAt) ? undefined : sentAt,
      content: bytes.slice(at + HEAD, at + HEAD + size),
    }, view.getFloat64(at + 16));
    message.kept = HEAD + size;
    this.#at += HEAD + size;
    if (this.#at === page.used) {
      this.#pages!.shift();
      this.#at = 0;
      if (page === this.#last) this.#last = undefined;
    }
    return message;
  }

  /** Returns a page with `size` bytes free. */
  #page(size: number): Page {
    const last = this.#last;
    if (last !== undefined && last.bytes.length - last.used >= size) return last;
    const bytes = new Uint8Array(last === undefined ? FIRST_PAGE : PAGE);
    const page = { bytes, view: new DataView(bytes.buffer), used: 0 };
    (this.#pages ??= new Fifo()).push(page);
    return this.#last = page;
  }
}
