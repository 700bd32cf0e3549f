/**
 * Requests for libraries that only have messages: five bytes before the content say what it is and which request it belongs
 * to. The least that a program on such a library has to add.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Peer, ServeHandlers } from "../subject.ts";

const KIND = { message: 0, request: 1, reply: 2 } as const;
const TAG = 5;

/** Bytes waiting above which `send` says to wait; the library's own default. */
const HIGH_WATER = 1024 * 1024;

/** One message with its tag. */
function tagged(kind: number, id: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.allocUnsafe(TAG + content.length);
  bytes[0] = kind;
  bytes.writeUInt32BE(id, 1);
  bytes.set(content, TAG);
  return bytes;
}

/** A one-way message with its tag. */
export function oneWay(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return tagged(KIND.message, 0, content);
}

/** The server's side: echoes a request, hands a message on, confirms a pass. */
export function answer(
  handlers: ServeHandlers,
  bytes: Uint8Array,
  send: (bytes: Uint8Array<ArrayBuffer>) => void,
): void {
  const content = bytes.subarray(TAG);
  if (bytes[0] === KIND.request) send(tagged(KIND.reply, idOf(bytes), content));
  else if (handlers.message(content)) send(oneWay(content));
}

function idOf(bytes: Uint8Array): number {
  return ((bytes[1] << 24) | (bytes[2] << 16) | (bytes[3] << 8) | bytes[4]) >>> 0;
}

/** What the client's side asks of a connection. */
export interface Channel {
  send(bytes: Uint8Array<ArrayBuffer>): void;
  /** Bytes that wait to be sent. */
  buffered(): number;
  close(): Promise<void>;
}

/** The client's side. */
export class TaggedPeer implements Peer {
  readonly #channel: Channel;
  readonly #receive: (content: Uint8Array) => void;
  readonly #pending = new Map<number, (reply: Uint8Array) => void>();
  #id = 0;

  constructor(channel: Channel, receive: (content: Uint8Array) => void) {
    this.#channel = channel;
    this.#receive = receive;
  }

  /** Takes what came. */
  take(bytes: Uint8Array): void {
    const content = bytes.subarray(TAG);
    if (bytes[0] !== KIND.reply) return this.#receive(content);
    const id = idOf(bytes);
    const done = this.#pending.get(id);
    if (done === undefined) throw new Error(`Cannot take a reply: nothing waits for id ${id}`);
    this.#pending.delete(id);
    done(content);
  }

  send(content: Uint8Array): boolean {
    this.#channel.send(oneWay(content));
    return this.#channel.buffered() < HIGH_WATER;
  }

  async ready(): Promise<void> {
    while (this.#channel.buffered() >= HIGH_WATER / 2) await new Promise((resolve) => setImmediate(resolve));
  }

  request(content: Uint8Array, done: (reply: Uint8Array) => void): void {
    const id = this.#id = (this.#id + 1) >>> 0;
    this.#pending.set(id, done);
    this.#channel.send(tagged(KIND.request, id, content));
  }

  close(): Promise<void> {
    return this.#channel.close();
  }
}
