/**
 * Watches what this process holds for its WebSockets: its memory, the bytes that a WebSocket has not sent, and those that
 * have arrived and that nobody has read.
 *
 * @module
 */

import process from "node:process";
import { ChunkQueue } from "../../../src/adapters/chunk_queue.ts";
import { BUN_HANDLERS, type BunWebSocket } from "../../../src/adapters/web_socket/bun_socket.ts";
import { loadWs } from "../../../src/adapters/web_socket/ws_socket.ts";

/** The most of everything since the watch began. All in bytes. */
export interface Held {
  /** By how much the memory of the process grew. */
  readonly grown: number;
  /** What `stats()` counts as waiting to be sent. */
  readonly buffered: number;
  /** What one WebSocket had not sent, by its own count. */
  readonly amount: number;
  /** What one connection had received without anybody reading it. */
  readonly unread: number;
}

/** How often it looks, in milliseconds. */
const LOOK = 5;

/** Watches this process. There is one in a process, made before its first WebSocket. */
export class Watch {
  readonly #buffered: () => number;
  /** Each returns what a WebSocket has not sent. */
  readonly #amounts: (() => number)[] = [];
  #before = 0;
  #most = { grown: 0, buffered: 0, amount: 0, unread: 0 };
  #timer: ReturnType<typeof setInterval> | undefined = undefined;

  private constructor(buffered: () => number) {
    this.#buffered = buffered;
  }

  /** Makes one. `buffered` returns what `stats()` counts as waiting to be sent. */
  static async make(buffered: () => number): Promise<Watch> {
    const watch = new Watch(buffered);
    watch.#watchQueues();
    watch.#watchStandard();
    if ("Bun" in globalThis) watch.#watchBun();
    else await watch.#watchPackage();
    return watch;
  }

  /** Begins anew. */
  begin(): void {
    this.stop();
    (globalThis as { gc?: () => void }).gc?.();
    (globalThis as { Bun?: { gc(force: boolean): void } }).Bun?.gc(true);
    this.#before = process.memoryUsage.rss();
    this.#most = { grown: 0, buffered: 0, amount: 0, unread: 0 };
    this.#timer = setInterval(() => this.#look(), LOOK);
  }

  /** Returns the most of everything so far. */
  most(): Held {
    this.#look();
    return { ...this.#most };
  }

  /** Ends. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const most = this.#most;
    most.grown = Math.max(most.grown, process.memoryUsage.rss() - this.#before);
    most.buffered = Math.max(most.buffered, this.#buffered());
    for (const amount of this.#amounts) most.amount = Math.max(most.amount, amount());
  }

  #watchQueues(): void {
    const push = ChunkQueue.prototype.push;
    const seen = (size: number): void => void (this.#most.unread = Math.max(this.#most.unread, size));
    ChunkQueue.prototype.push = function (chunk): void {
      push.call(this, chunk);
      seen(this.size);
    };
  }

  #watchStandard(): void {
    if (!("WebSocket" in globalThis)) return;
    const seen = (socket: WebSocket): void => void this.#amounts.push(() => socket.bufferedAmount);
    globalThis.WebSocket = class extends WebSocket {
      constructor(...all: ConstructorParameters<typeof WebSocket>) {
        super(...all);
        seen(this);
      }
    };
  }

  #watchBun(): void {
    type Measured = BunWebSocket & { getBufferedAmount(): number };
    const handlers = BUN_HANDLERS as { open: (socket: BunWebSocket) => void };
    const open = handlers.open;
    handlers.open = (socket) => {
      this.#amounts.push(() => (socket as Measured).getBufferedAmount());
      open(socket);
    };
  }

  async #watchPackage(): Promise<void> {
    type Measured = { readonly bufferedAmount: number };
    const prototype = (await loadWs()).WebSocket.prototype as unknown as { setSocket(...all: unknown[]): void };
    const setSocket = prototype.setSocket;
    const amounts = this.#amounts;
    prototype.setSocket = function (this: Measured, ...all: unknown[]): void {
      amounts.push(() => this.bufferedAmount);
      setSocket.apply(this, all);
    };
  }
}
