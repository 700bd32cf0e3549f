/**
 * The two ways in which the floor sends: every frame its own write, or the frames of one event-loop turn in one write.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import { HEADER_SIZE, writeFrame } from "./frame.ts";
import type { Socket } from "./sockets.ts";

/** Bytes waiting from which on `full` is true; the library's own default. */
const HIGH_WATER = 1024 * 1024;

/** The outgoing half of a connection. */
export interface Outbox {
  /** Sends one frame. */
  frame(code: number, id: number, content: Uint8Array): void;
  /** Sends a frame that is encoded already; the bytes are not changed any more. */
  encoded(frame: Uint8Array): void;
  /** So much waits that the sender ought to. */
  readonly full: boolean;
  /** Resolves when it is no longer full. */
  ready(): Promise<void>;
}

/** Every frame is one write. */
export class RawOutbox implements Outbox {
  readonly #socket: Socket;
  readonly #done = () => this.#next();
  readonly #waiters = new Waiters();
  #queue: Uint8Array[] = [];
  #head = 0;
  #waiting = 0;
  #writing = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get full(): boolean {
    return this.#waiting >= HIGH_WATER;
  }

  frame(code: number, id: number, content: Uint8Array): void {
    // From the pool: on Deno a new Uint8Array of this size costs several times as much.
    const bytes = Buffer.allocUnsafe(HEADER_SIZE + content.length);
    writeFrame(bytes, 0, code, id, content);
    this.encoded(bytes);
  }

  encoded(frame: Uint8Array): void {
    if (this.#writing) {
      this.#queue.push(frame);
      this.#waiting += frame.length;
    } else this.#writing = !this.#socket.write(frame, this.#done);
  }

  ready(): Promise<void> {
    return this.full ? this.#waiters.wait() : Promise.resolve();
  }

  #next(): void {
    this.#writing = false;
    while (this.#head < this.#queue.length && !this.#writing) {
      const frame = this.#queue[this.#head++];
      this.#waiting -= frame.length;
      this.#writing = !this.#socket.write(frame, this.#done);
    }
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    }
    if (this.#waiting < HIGH_WATER / 2) this.#waiters.wake();
  }
}

/** The frames of one turn are one write; what comes while a write is under way goes with the next. */
export class BatchOutbox implements Outbox {
  readonly #socket: Socket;
  readonly #flush = () => this.#write();
  readonly #done = () => this.#written();
  readonly #waiters = new Waiters();
  #buffer = new Uint8Array(0);
  #spare = new Uint8Array(0);
  #length = 0;
  #state: "idle" | "scheduled" | "writing" = "idle";

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get full(): boolean {
    return this.#length >= HIGH_WATER;
  }

  frame(code: number, id: number, content: Uint8Array): void {
    const at = this.#reserve(HEADER_SIZE + content.length);
    writeFrame(this.#buffer, at, code, id, content);
  }

  encoded(frame: Uint8Array): void {
    const at = this.#reserve(frame.length);
    this.#buffer.set(frame, at);
  }

  ready(): Promise<void> {
    return this.full ? this.#waiters.wait() : Promise.resolve();
  }

  #reserve(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#buffer.length, 1024));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    if (this.#state === "idle") {
      this.#state = "scheduled";
      process.nextTick(this.#flush);
    }
    return at;
  }

  #write(): void {
    const bytes = this.#buffer.subarray(0, this.#length);
    [this.#buffer, this.#spare] = [this.#spare, this.#buffer];
    this.#length = 0;
    this.#state = "writing";
    // The next frames are gathered while these are on their way.
    this.#waiters.wake();
    if (this.#socket.write(bytes, this.#done)) this.#written();
  }

  #written(): void {
    this.#state = "idle";
    if (this.#length > 0) this.#write();
  }
}

/** Those who wait until a full outbox has room. */
class Waiters {
  #resolvers: (() => void)[] = [];

  wait(): Promise<void> {
    return new Promise((resolve) => this.#resolvers.push(resolve));
  }

  wake(): void {
    if (this.#resolvers.length === 0) return;
    const resolvers = this.#resolvers;
    this.#resolvers = [];
    for (const resolve of resolvers) resolve();
  }
}
