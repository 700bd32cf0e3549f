/**
 * A socket of `node:net` as a {@linkcode Channel}.
 *
 * @module
 */

import type { Socket } from "node:net";
import type * as Process from "node:process";
import type { Address, Endpoint } from "../base/address.ts";
import { builtinModule } from "../base/builtin_module.ts";
import type { ChunkReader, ChunkWriter } from "../transport.ts";
import { ChunkQueue, type Tap } from "./chunk_queue.ts";
import type { Channel } from "./duplex.ts";
import { plainIp } from "./endpoint.ts";
import { systemError } from "./system_errors.ts";

/**
 * The property by which a socket's events find its queue. Listeners of its own would cost each idle connection memory.
 */
const CHUNKS = Symbol("chunks");
/** The property of a socket that has a function which returns the error of its end; `undefined` for a proper end. */
export const ENDING: unique symbol = Symbol("ending");

/** Chunks of this size, in bytes, and larger ones are freed when they are given back. */
const LARGE = 16_384;
/** Other runtimes have a `node:net` of their own, which may use its buffers again. */
const FREES = isNode() && "transfer" in ArrayBuffer.prototype;

interface ReadSocket extends Socket {
  [CHUNKS]: ChunkQueue;
  [ENDING]?: () => Error | undefined;
}

function onData(this: ReadSocket, chunk: Uint8Array): void {
  // Make a plain view: the `slice` of a `Buffer` shares memory, that of a `Uint8Array` copies.
  this[CHUNKS].push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
}

function onEnd(this: ReadSocket): void {
  this[CHUNKS].end(this[ENDING]?.());
}

function onClose(this: ReadSocket): void {
  const chunks = this[CHUNKS];
  // Usually the queue has ended before. Then create no error: capturing its stack is expensive.
  if (!chunks.ended) chunks.end(this.errored ?? systemError("ECONNRESET"));
}

function ignore(): void {}

/** The part of the handle of a socket of Node that adapters use. */
interface Handle {
  reading?: boolean;
  /** Returns 0 if the socket has begun to read, and a negative number if it was reading already. */
  readStart?(): number;
  readStop?(): number;
}

/** A socket whose handle may be used. */
export type WithHandle<Kind> = Kind & { readonly _handle?: Handle | null };

/** Stops a socket at once. After `pause` alone, Node goes on until its own buffer has one more chunk. */
class HandleTap implements Tap {
  readonly #socket: WithHandle<Socket>;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  pause(): void {
    this.#socket.pause();
    const handle = this.#socket._handle;
    if (handle?.reading !== true || handle.readStop === undefined) return;
    handle.reading = false;
    handle.readStop();
  }

  resume(): void {
    const handle = this.#socket._handle;
    if (handle?.reading === false && handle.readStart !== undefined) {
      handle.reading = true;
      handle.readStart();
    }
    this.#socket.resume();
  }
}

/** A connected socket. */
export class NodeChannel implements Channel {
  readonly remote: Address;
  /** The address of this end, or of the listener that accepted it. */
  readonly #local: Address;
  readonly #socket: Socket;
  readonly #chunks: ChunkQueue;

  /**
   * @param local The address of the listener that accepted it; an empty path on the side that connected.
   * @param remote The address that was connected to; an empty path on the side that accepted.
   * @param carrier The socket that has the addresses.
   * @param tap What is paused while chunks wait.
   */
  constructor(
    socket: Socket,
    bufferSize: number,
    local: Address,
    remote: Endpoint,
    carrier: Socket = socket,
    tap: Socket = socket,
  ) {
    this.#socket = socket;
    if ("path" in local && "path" in remote) {
      this.#local = local;
      this.remote = remote;
    } else {
      carrier.setNoDelay(true);
      this.#local = "path" in local ? localOf(carrier) ?? { hostname: "", port: 0 } : local;
      // If the peer is gone already, the socket has no addresses any more.
      this.remote = { hostname: plainIp(carrier.remoteAddress ?? ""), port: carrier.remotePort ?? 0 };
    }
    this.#chunks = (socket as ReadSocket)[CHUNKS] = new ChunkQueue(bufferSize, tap);
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("error", ignore); // `close` follows and reports it.
    socket.on("close", onClose);
  }

  get finishes(): boolean {
    return true;
  }

  // Asked for when it is needed: that takes a system call, and few programs look at it.
  get local(): Address {
    return "path" in this.#local ? this.#local : localOf(this.#socket) ?? this.#local;
  }

  read(reader: ChunkReader): void {
    this.#chunks.read(reader);
  }

  // Node makes a buffer for every read. Freed at once, it is used again; left to the garbage collector, such buffers make
  // it run all the time. A chunk that fills its buffer is nobody else's.
  recycle({ buffer, length }: Uint8Array): void {
    if (FREES && length >= LARGE && length === buffer.byteLength) (buffer as ArrayBuffer).transfer(0);
  }

  stopReading(): void {
    this.#chunks.stop((tap) => tap instanceof HandleTap ? tap : new HandleTap(tap as Socket));
  }

  // Node calls back in the next tick if the system has taken all of it.
  write(bytes: Uint8Array, writer: ChunkWriter): undefined {
    this.#socket.write(bytes, (error) => error ? writer.taken(this.#reasonOf(error)) : writer.taken());
  }

  finish(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.end((error?: Error | null) => error ? reject(this.#reasonOf(error)) : resolve());
    });
  }

  release(): void {
    this.#socket.destroy();
    this.#chunks.clear();
    // Nobody reads any more. End the queue, so that `close` creates no error.
    this.#chunks.end();
  }

  unref(): void {
    this.#socket.unref();
  }

  // When the socket has broken, the error of a write says only that the write was given up.
  #reasonOf(error: Error): Error {
    return this.#socket.errored ?? error;
  }
}

function isNode(): boolean {
  const process = builtinModule("node:process") as typeof Process | undefined;
  return process !== undefined && process.versions.deno === undefined && process.versions.bun === undefined;
}

/** Returns the address of this end; `undefined` once the socket is closed. */
function localOf({ localAddress, localPort }: Socket): Address | undefined {
  return localAddress === undefined ? undefined : { hostname: plainIp(localAddress), port: localPort ?? 0 };
}
