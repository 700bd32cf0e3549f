/**
 * One of Bun's sockets as a {@linkcode Channel}.
 *
 * Bun's `write` takes what the kernel takes and returns how much that was. Its `end` drops the rest, so half-close uses
 * `shutdown`.
 *
 * @module
 */

import type { Address, Endpoint } from "../base/address.ts";
import type { ChunkReader, ChunkWriter } from "../transport.ts";
import type { Channel } from "./duplex.ts";
import { plainIp } from "./endpoint.ts";
import { ChunkQueue, type Tap } from "./chunk_queue.ts";
import { systemError } from "./system_errors.ts";

/** The part of Bun's socket that is used. */
export interface BunSocket {
  data: BunChannel;
  readonly localAddress?: string;
  readonly localPort?: number;
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  write(bytes: Uint8Array): number;
  shutdown(): void;
  end(): void;
  pause(): void;
  resume(): void;
  unref(): void;
  setNoDelay(on: boolean): boolean;
}

/** A socket of Bun. Bun's handlers call `open`, `receive`, `drain`, `end` and `close`. */
export class BunChannel implements Channel, Tap {
  remote: Address;
  /** The address of this end, or of the listener that accepted it. */
  #local: Address;
  readonly #chunks: ChunkQueue;
  #socket: BunSocket | undefined;
  #released = false;
  #finished = false;
  #failure: Error | undefined;
  #unsent: (PromiseWithResolvers<void> & { bytes: Uint8Array }) | undefined;

  /**
   * @param local The address of the listener that accepted it; an empty path on the side that connected.
   * @param remote The address that was connected to; an empty path on the side that accepted.
   */
  constructor(bufferSize: number, local: Address, remote: Endpoint) {
    this.#local = local;
    this.remote = remote;
    this.#chunks = new ChunkQueue(bufferSize, this);
  }

  get finishes(): true {
    return true;
  }

  open(socket: BunSocket): void {
    if (this.#released) return socket.end();
    this.#socket = socket;
    const connected = "path" in this.#local;
    if (connected && "path" in this.remote) return;
    socket.setNoDelay(true);
    if (connected) this.#local = localOf(socket) ?? { hostname: "", port: 0 };
    this.remote = { hostname: plainIp(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
  }

  get local(): Address {
    return "path" in this.#local || this.#socket === undefined ? this.#local : localOf(this.#socket) ?? this.#local;
  }

  receive(chunk: Uint8Array): void {
    // Make a plain view: the `slice` of a `Buffer` shares memory, that of a `Uint8Array` copies.
    this.#chunks.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }

  end(): void {
    this.#chunks.end();
  }

  close(error?: Error): void {
    // Create no error once nobody waits: capturing its stack is expensive.
    if (this.#released) return;
    // When both sides have sent FIN, Bun calls `close` at once, without `end`.
    const clean = error === undefined && this.#finished && this.#unsent === undefined;
    if (!clean) this.#failure ??= error ?? systemError("ECONNRESET");
    this.#chunks.end(error ?? (this.#finished ? undefined : this.#failure));
    this.#unsent?.reject(this.#failure);
    this.#unsent = undefined;
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  read(reader: ChunkReader): void {
    this.#chunks.read(reader);
  }

  stopReading(): void {
    this.#chunks.stop();
  }

  write(bytes: Uint8Array, writer: ChunkWriter): Promise<void> | undefined {
    if (this.#failure) return Promise.reject(this.#failure);
    const taken = this.#socket!.write(bytes);
    if (taken === bytes.length) return void writer.taken();
    if (taken < 0) return Promise.reject(this.#failure ?? systemError("EPIPE"));
    this.#unsent = { bytes: bytes.subarray(taken), ...Promise.withResolvers() };
    return this.#unsent.promise;
  }

  drain(): void {
    const unsent = this.#unsent;
    if (!unsent) return;
    const taken = this.#socket!.write(unsent.bytes);
    if (taken >= 0 && taken < unsent.bytes.length) {
      unsent.bytes = unsent.bytes.subarray(taken);
      return;
    }
    this.#unsent = undefined;
    if (taken < 0) unsent.reject(this.#failure ?? systemError("EPIPE"));
    else unsent.resolve();
  }

  finish(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#finished = true;
    this.#socket!.shutdown();
    return Promise.resolve();
  }

  release(): void {
    this.#released = true;
    this.#socket?.end();
    this.#chunks.clear();
  }

  unref(): void {
    this.#socket?.unref();
  }
}

/** Returns the address of this end; `undefined` once the socket is closed. */
function localOf({ localAddress, localPort }: BunSocket): Address | undefined {
  return localAddress === undefined ? undefined : { hostname: plainIp(localAddress), port: localPort ?? 0 };
}
