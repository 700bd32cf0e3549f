/**
 * A message port as a {@linkcode Connection}: a `MessagePort` of a `MessageChannel`, of a worker or of another window, or
 * a `Worker` itself. Both ends of a channel are connections.
 *
 * A port has no flow control, so the two ends do it with messages of their own:
 *
 * | message           | meaning                                                        |
 * | ----------------- | -------------------------------------------------------------- |
 * | an `ArrayBuffer`  | the next bytes, which are transferred                          |
 * | a number          | so much of what was sent has been read and may be sent again   |
 * | `"fin"`           | the sender has finished                                        |
 * | `"reset"`         | the sender has aborted the connection                          |
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Address } from "../base/address.ts";
import { realTime } from "../base/real_time.ts";
import type { ChunkReader, Connection } from "../transport.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { type Channel, Duplex } from "./duplex.ts";
import type { StreamsInfo } from "./streams.ts";
import { systemError } from "./system_errors.ts";

/** How much may be under way and unread in one direction, in bytes. */
const WINDOW = 256 * 1024;
/** What each message counts in addition to its bytes, so that the number of small ones is bounded, too. */
const OVERHEAD = 256;
/** How much is read before the other end is told. */
const TOLD_FROM = WINDOW / 4;
/** The most bytes of one message. */
const MOST_BYTES = TOLD_FROM - OVERHEAD;

const FIN = "fin";
const RESET = "reset";

/**
 * The part of a port that its type shows. It must have `addEventListener` or `on`, too.
 *
 * @category Transport
 */
export interface MessagePortLike {
  /** Sends a message, and gives up the buffers in `transfer`. */
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
}

/** The members that ports have, each on some runtimes. */
interface Port extends MessagePortLike {
  addEventListener?(type: string, listener: (event: { readonly data?: unknown }) => void): void;
  removeEventListener?(type: string, listener: (event: { readonly data?: unknown }) => void): void;
  on?(type: string, listener: (data: unknown) => void): void;
  off?(type: string, listener: (data: unknown) => void): void;
  start?(): void;
  close?(): void;
  unref?(): void;
}

/**
 * Creates a connection from a message port. The other end must do the same with its port. Nothing else may post to the
 * port: a message that is none of a connection ends it.
 *
 * The bytes of each write are copied once and then transferred. At most 256 KiB are under way in one direction. When the
 * connection is over, a `MessagePort` is closed; a `Worker` goes on. That the other end has vanished is known where ports
 * have the event `close`: on Deno, Bun and Node, and in some browsers.
 *
 * @param port A `MessagePort`, `parentPort`, a `Worker` or the global object of a web worker.
 * @param info The addresses to show. @default { path: "message port" } for both
 * @returns The connection.
 * @throws {TypeError} `port` lacks a member that ports have. The message names it.
 *
 * @example Both ends of a channel
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { fromMessagePort } from "@veltix/core";
 *
 * const { port1, port2 } = new MessageChannel();
 * const [here, there] = [fromMessagePort(port1), fromMessagePort(port2)];
 * await here.write(new Uint8Array([1, 2, 3]));
 * assertEquals(await there.read(), new Uint8Array([1, 2, 3]));
 * await Promise.all([here.closeWrite(), there.closeWrite()]);
 * assertEquals([await here.read(), await there.read()], [null, null]);
 * ```
 *
 * @category Transport
 */
export function fromMessagePort(port: MessagePortLike, info?: StreamsInfo): Connection {
  return new Duplex(new PortChannel(port, info));
}

/** One end of a channel of messages. */
class PortChannel implements Channel, ChunkReader {
  readonly local: Address;
  readonly remote: Address;
  readonly #port: Port;
  readonly #chunks = new ChunkQueue(Infinity, { pause: () => {}, resume: () => {} });
  #reader: ChunkReader | undefined = undefined;
  /** How much has come that the other end was not told of. */
  #untold = 0;
  /** How much of that was read. */
  #read = 0;
  /** True once the other end has finished. */
  #finished = false;
  /** How much was sent that the other end has not told of. */
  #underWay = 0;
  #writing: (PromiseWithResolvers<void> & { readonly bytes: Uint8Array; sent: number }) | undefined = undefined;
  #broken: Error | undefined = undefined;
  #over = false;
  /** Stops listening to the port. */
  readonly #leave: () => void;

  constructor(given: MessagePortLike, info: StreamsInfo | undefined) {
    const port = given as Port;
    if (typeof port?.postMessage !== "function") throw new TypeError('Cannot use "port": it has no postMessage()');
    if (typeof port.addEventListener !== "function" && typeof port.on !== "function") {
      throw new TypeError('Cannot use "port": it has neither addEventListener() nor on()');
    }
    this.#port = port;
    this.local = info?.local ?? { path: "message port" };
    this.remote = info?.remote ?? { path: "message port" };
    const gone = (): void => this.#break(systemError("ECONNRESET"));
    this.#leave = listen(port, {
      message: (data) => this.#receive(data),
      messageerror: () => this.#foreign("a message that cannot be read"),
      close: gone,
      // The event of a thread that has ended.
      exit: gone,
    });
    port.start?.();
  }

  read(reader: ChunkReader): void {
    this.#reader = reader;
    this.#chunks.read(this);
  }

  /** Called with the chunk or the end that was read from the queue. */
  received(chunk: Uint8Array | null, error?: unknown): void {
    const reader = this.#reader!;
    this.#reader = undefined;
    if (chunk !== null) {
      this.#read += chunk.length + OVERHEAD;
      if (this.#read >= TOLD_FROM && !this.#finished) {
        this.#untold -= this.#read;
        this.#post(this.#read);
        this.#read = 0;
      }
    }
    reader.received(chunk, error);
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const writing = this.#writing = { bytes, sent: 0, ...Promise.withResolvers<void>() };
    this.#pump();
    return writing.promise;
  }

  finish(): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    this.#post(FIN);
    return Promise.resolve();
  }

  release(reason: Error | undefined): void {
    this.#over = true;
    this.#writing = undefined;
    this.#chunks.clear();
    if (reason !== undefined && this.#broken === undefined) this.#post(RESET);
    this.#leave();
    // `close` of other objects would end the worker.
    if (typeof this.#port.start === "function") this.#port.close?.();
  }

  unref(): void {
    this.#port.unref?.();
  }

  #receive(data: unknown): void {
    if (this.#over || this.#broken !== undefined) return;
    if (isBuffer(data) && data.byteLength > 0 && !this.#finished) {
      this.#untold += data.byteLength + OVERHEAD;
      if (this.#untold > WINDOW) return this.#foreign("more than the other end may send");
      this.#chunks.push(new Uint8Array(data));
    } else if (data === FIN && !this.#finished) {
      this.#finished = true;
      this.#chunks.end();
    } else if (data === RESET) this.#break(systemError("ECONNRESET"));
    else if (Number.isInteger(data) && data as number > 0 && data as number <= this.#underWay) {
      this.#underWay -= data as number;
      this.#pump();
    } else this.#foreign(isBuffer(data) ? "bytes where there may be none" : `a message of type ${typeof data}`);
  }

  /** Ends the connection because of a message that is none of a connection. */
  #foreign(what: string): void {
    const advice = "both ends must use fromMessagePort(), and nothing else the port";
    // The other end may be a connection, and has to hear of it.
    this.#post(RESET);
    this.#break(new ConnectionError("network-error", `Cannot read from the message port: ${what} came; ${advice}`));
  }

  #break(error: Error): void {
    if (this.#broken !== undefined || this.#over) return;
    this.#broken = error;
    this.#writing?.reject(error);
    this.#writing = undefined;
    this.#chunks.end(error);
  }

  /** Sends as much as may be under way. */
  #pump(): void {
    const writing = this.#writing;
    if (writing === undefined) return;
    const { bytes } = writing;
    for (let room = this.#room; room > 0 && writing.sent < bytes.length; room = this.#room) {
      const end = Math.min(bytes.length, writing.sent + room);
      // A copy, because a transferred buffer is lost to this side.
      const { buffer } = new Uint8Array(bytes.subarray(writing.sent, end));
      this.#underWay += end - writing.sent + OVERHEAD;
      writing.sent = end;
      this.#port.postMessage(buffer, [buffer]);
    }
    if (writing.sent < bytes.length) return;
    this.#writing = undefined;
    writing.resolve();
  }

  /** How many bytes the next message may have. */
  get #room(): number {
    return Math.min(MOST_BYTES, WINDOW - this.#underWay - OVERHEAD);
  }

  #post(message: number | string): void {
    this.#port.postMessage(message, []);
  }
}

/** Listens to events of a port. Returns a function that stops it. */
function listen(port: Port, handlers: Readonly<Record<string, (data: unknown) => void>>): () => void {
  const stops: (() => void)[] = [];
  // On Deno, several messages come before anything that was deferred.
  const soon = realTime.nextTick ?? ((fn: () => void): void => fn());
  for (const [type, handler] of Object.entries(handlers)) {
    const handle = (data: unknown): void => soon(() => handler(data));
    if (port.addEventListener !== undefined) {
      const listener = (event: { readonly data?: unknown }): void => handle(event.data);
      port.addEventListener(type, listener);
      stops.push(() => port.removeEventListener?.(type, listener));
    } else {
      port.on!(type, handle);
      stops.push(() => port.off?.(type, handle));
    }
  }
  return () => stops.forEach((stop) => stop());
}

/** Returns whether a value is an `ArrayBuffer`, of this window or another. */
function isBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === "[object ArrayBuffer]";
}
