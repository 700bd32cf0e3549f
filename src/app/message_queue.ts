/**
 * The messages of one connection that wait for their handlers. Small ones are packed into pages: an object each, with an array
 * for its payload, would take many times the bytes that came.
 *
 * @module
 */

import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Fifo } from "../base/fifo.ts";
import type { IncomingMessage } from "./incoming_message.ts";

/** Payloads up to this size are packed, in bytes. */
const SMALL = 512;
/** The size of the first page and of the others, in bytes. */
const FIRST_PAGE = 1_024;
const PAGE = 16_384;
/** What stands before a payload in a page: type code, size, id, and two times, in bytes. */
const HEAD = 24;

/** What a message is made of. */
export type Received = Pick<ReceivedFrame, "code" | "content" | "requestId" | "sentAt">;

/** A page. */
interface Page {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  used: number;
}

/** Makes a message of its parts. */
export interface MessageMaker {
  unpacked(received: Received, receivedAt: number): IncomingMessage;
}

/** Stands in the queue for a message that is packed. */
const PACKED = null;

/**
 * Returns the payload to keep while a message waits. A payload that is a small part of its chunk is copied: otherwise it
 * would keep the whole chunk alive. Credit counts payloads and not chunks, so with flow control nearly all are copied.
 *
 * @param content The payload, as a part of the chunk in which it came.
 * @param flowControlled True if the peer needs credit to send.
 */
export function keepable(content: Uint8Array, flowControlled: boolean): Uint8Array {
  const share = flowControlled ? 16 / 15 : 4;
  return content.length * share >= content.buffer.byteLength ? content : content.slice();
}

/** The queue. */
export class MessageQueue {
  readonly #maker: MessageMaker;
  readonly #items = new Fifo<IncomingMessage | null>();
  /** Made when something is packed. */
  #pages: Fifo<Page> | undefined = undefined;
  #last: Page | undefined = undefined;
  /** Where the first packed message begins in its page. */
  #at = 0;
  /** The first message, unpacked. */
  #head: IncomingMessage | undefined = undefined;
  #bytes = 0;

  /** @param maker Makes messages of what was packed. */
  constructor(maker: MessageMaker) {
    this.#maker = maker;
  }

  /** How many wait. */
  get size(): number {
    return this.#items.size;
  }

  /** What they take, in bytes, buffers counted whole. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a message. */
  push(message: IncomingMessage): void {
    const kept = message.content.buffer.byteLength;
    message.kept = kept;
    this.#bytes += kept;
    this.#items.push(message);
  }

  /** Adds a message that nobody asks for before its turn comes. Returns false if it is too large to be packed. */
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

  /** The first message, which stays. */
  get first(): IncomingMessage | undefined {
    const item = this.#items.first;
    return item === PACKED ? this.#head ??= this.#unpack() : item;
  }

  /** Takes the first message out, which is `message` or what has taken its place. */
  shift(message: IncomingMessage): void {
    this.#items.shift();
    this.#head = undefined;
    this.#bytes -= message.kept;
  }

  /** Forgets all. */
  clear(): void {
    this.#items.clear();
    this.#pages = undefined;
    this.#last = undefined;
    this.#head = undefined;
    this.#at = 0;
    this.#bytes = 0;
  }

  /** Takes the first packed message out of its page. Its payload is a copy: who keeps it keeps no page. */
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
