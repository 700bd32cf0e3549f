/**
 * One direction of a WebSocket as it is on the wire: the head of the HTTP message, then frames (RFC 6455, section 5.2). It
 * hands on what the binary messages carry, unmasked.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { printable } from "../../base/untrusted.ts";
import { viewOf } from "../../wire/integers.ts";
import type { Sender } from "./seen.ts";

/** Takes what is within. */
export interface WebSocketSink {
  /** Called for bytes of binary messages. */
  bytes(bytes: Uint8Array): void;
  note(text: string): void;
  /** Called for what cannot be read. */
  unreadable(bytes: Uint8Array, offset: number, what: string): void;
}

/** The longest head of an HTTP message, in bytes. */
const LONGEST_HEAD = 65_536;
const UPGRADE = /^GET [^\r\n]* HTTP\/1\.1\r\n/;

/** Returns whether a client begins with the request that asks for a WebSocket. */
export function isUpgrade(bytes: Uint8Array): boolean {
  return UPGRADE.test(String.fromCharCode(...bytes.subarray(0, 4096)));
}

/** Reads one direction. */
export class WebSocketBytes {
  readonly #from: Sender;
  readonly #secrets: boolean;
  readonly #sink: WebSocketSink;
  #held: Uint8Array = new Uint8Array(0);
  /** How many bytes of `#held` are done with. They are cut off once a chunk, not once a frame. */
  #at = 0;
  #offset = 0;
  #stage: "head" | "frames" | "unreadable" = "head";
  /** The frame whose content is under way. */
  #left = 0;
  /** True if the message, of which there may be several frames, is binary. */
  #binary = false;
  #opcode = 0;
  #mask: Uint8Array | undefined = undefined;
  #turn = 0;

  /** @param secrets True to show what a request has after the `?`, and the password in a URL. */
  constructor(from: Sender, secrets: boolean, sink: WebSocketSink) {
    this.#from = from;
    this.#secrets = secrets;
    this.#sink = sink;
  }

  /** Takes bytes, and keeps none of `chunk`. */
  push(chunk: Uint8Array): void {
    this.#held = concat(this.#held, chunk);
    if (this.#stage === "head") this.#head();
    while (this.#stage === "frames" && this.#count > 0 && this.#step());
    if (this.#stage === "unreadable" && this.#count > 0) this.#refuse("HTTP");
    this.#held = this.#held.slice(this.#at);
    this.#at = 0;
  }

  /** Ends the direction. */
  end(): void {
    if (this.#count > 0) this.#refuse("the beginning of a frame of a WebSocket");
  }

  /** The number of bytes that are held. */
  get #count(): number {
    return this.#held.length - this.#at;
  }

  #refuse(what: string): void {
    const offset = this.#offset;
    this.#sink.unreadable(this.#take(this.#count), offset, what);
  }

  #head(): void {
    const text = String.fromCharCode(...this.#held.subarray(0, LONGEST_HEAD));
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#held.length >= LONGEST_HEAD) this.#stage = "unreadable";
      return;
    }
    const [first] = text.split("\r\n", 1);
    this.#sink.note(`HTTP: ${printable(this.#secrets ? first : withoutSecrets(first))}`);
    this.#take(end + 4);
    this.#stage = this.#from === "client" || /^HTTP\/1\.1 101 /.test(first) ? "frames" : "unreadable";
    if (/^sec-websocket-extensions:.*permessage-deflate/im.test(text.slice(0, end)) && this.#from === "server") {
      this.#sink.note("its messages may be compressed (permessage-deflate): they cannot be read");
      this.#stage = "unreadable";
    }
  }

  /** Takes the header of a frame, or a part of its content. Returns false if more bytes are needed. */
  #step(): boolean {
    if (this.#left > 0) {
      const bytes = this.#take(Math.min(this.#left, this.#count)).slice();
      this.#left -= bytes.length;
      if (this.#mask !== undefined) {
        for (let i = 0; i < bytes.length; i++) bytes[i] ^= this.#mask[this.#turn++ & 3];
      }
      if (this.#binary && this.#opcode <= 2) this.#sink.bytes(bytes);
      return true;
    }
    const [held, at] = [this.#held, this.#at];
    if (this.#count < 2) return false;
    const short = held[at + 1] & 0x7f;
    const more = short === 126 ? 2 : short === 127 ? 8 : 0;
    const masked = (held[at + 1] & 0x80) !== 0;
    const header = 2 + more + (masked ? 4 : 0);
    if (this.#count < header) return false;
    const view = viewOf(held);
    this.#left = more === 0 ? short : more === 2 ? view.getUint16(at + 2) : Number(view.getBigUint64(at + 2));
    this.#opcode = held[at] & 0x0f;
    // 0 continues the message that 1, a text, or 2 has begun.
    if (this.#opcode === 1 || this.#opcode === 2) this.#binary = this.#opcode === 2;
    this.#mask = masked ? held.slice(at + 2 + more, at + header) : undefined;
    this.#turn = 0;
    this.#take(header);
    if (this.#opcode === 1) this.#sink.note(`a text message of a WebSocket, ${this.#left} bytes`);
    if (this.#opcode === 8) this.#sink.note("the close frame of a WebSocket");
    return true;
  }

  #take(count: number): Uint8Array {
    const bytes = this.#held.subarray(this.#at, this.#at + count);
    this.#at += count;
    this.#offset += count;
    return bytes;
  }
}

/** Returns the first line of a request without what may prove who sends it: the query, and a user in the URL. */
function withoutSecrets(line: string): string {
  return line.replace(/\/\/[^/?]*@/, "//(secret)@").replace(/\?.*?(?= HTTP\/1\.1$|$)/, "?(secret)");
}
