/**
 * Reads and writes one connection; nothing else does. The handshake, `authenticate` and the frames use the stream one
 * after the other. Bytes that one of them reads too many are pushed back, and the next one gets them first.
 *
 * @module
 */

import type { Address } from "../base/address.ts";
import { readTo, writeTo } from "../base/connection_calls.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import type { ChunkReader, ChunkWriter, Connection, ConnectionSecurity, UpgradeRequest } from "../transport.ts";

/** The most bytes that are read and dropped after this side's FIN. */
export const LINGER_BYTES: number = 64 * 1024;
/** The most time to wait for the peer's FIN after this side's, in milliseconds. */
export const LINGER_TIME = 1_000;

/** The bytes of one connection. `read`, `readTo`, `write` and `writeTo` have the rules of {@linkcode Connection}. */
export class Channel {
  #connection: Connection;
  /** The bytes that were pushed back. */
  #back: Uint8Array | undefined = undefined;
  /** The chunk that was peeked at. It is read after the bytes that were pushed back. */
  #ahead: Promise<Uint8Array | null> | undefined = undefined;

  /** @param connection The connection, which nothing else may read or write. */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get local(): Address {
    return this.#connection.local;
  }

  get remote(): Address {
    return this.#connection.remote;
  }

  /** What protects the connection; `undefined` if nothing does. */
  get security(): ConnectionSecurity | undefined {
    return this.#connection.security;
  }

  /** True if the connection has a handshake of its own to do first; see `Connection.secure`. */
  get secures(): boolean {
    return this.#connection.secure !== undefined;
  }

  /** The request that asked for the connection, if it is a WebSocket; `undefined` if not. */
  get request(): UpgradeRequest | undefined {
    return this.#connection.request;
  }

  /** Uses another connection from now on, which `wrap` makes of this one. Called before anything is read or written. */
  async wrap<Made extends { readonly connection: Connection }>(
    wrap: (connection: Connection) => Promise<Made>,
  ): Promise<Made> {
    const made = await wrap(this.#connection);
    this.#connection = made.connection;
    return made;
  }

  /** Returns what the next {@linkcode read} will return. Calling it again returns the same until something is read. */
  peek(): Promise<Uint8Array | null> {
    if (this.#back !== undefined) return Promise.resolve(this.#back);
    return this.#ahead ??= this.#connection.read();
  }

  /** Pushes back the last bytes of the last chunk. They are read next, before a chunk that was peeked at. */
  unread(bytes: Uint8Array): void {
    if (this.#back !== undefined) throw new Error("Cannot push bytes back twice without a read in between");
    if (bytes.length > 0) this.#back = bytes;
  }

  read(): Promise<Uint8Array | null> {
    const back = this.#back;
    if (back !== undefined) {
      this.#back = undefined;
      return Promise.resolve(back);
    }
    const ahead = this.#ahead;
    if (ahead === undefined) return this.#connection.read();
    this.#ahead = undefined;
    return ahead;
  }

  readTo(reader: ChunkReader): void {
    const back = this.#back;
    if (back !== undefined) {
      this.#back = undefined;
      reader.received(back);
      return;
    }
    readTo(this.#ahead === undefined ? this.#connection : { read: () => this.read() }, reader);
  }

  /** Takes no more bytes until the next read than the connection has to; see {@linkcode Connection.stopReading}. */
  stopReading(): void {
    if (this.#ahead === undefined) this.#connection.stopReading?.();
  }

  /** True if the connection should be read without a pause; see {@linkcode Connection.pressing}. */
  get pressing(): boolean {
    return this.#connection.pressing ?? false;
  }

  recycle(chunk: Uint8Array): void {
    this.#connection.recycle?.(chunk);
  }

  /** Writes bytes, without a promise if the connection can. Never throws: see {@linkcode write}. */
  writeTo(bytes: Uint8Array, writer: ChunkWriter): void {
    writeTo(this.#connection, bytes, writer);
  }

  /** Writes bytes. Never throws: others are flushed in the same loop, and a transport may be anybody's. */
  write(bytes: Uint8Array): Promise<void> {
    try {
      return this.#connection.write(bytes);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  closeWrite(): Promise<void> {
    return this.#connection.closeWrite();
  }

  abort(reason?: Error): void {
    this.#connection.abort(reason);
  }

  /** Returns whether bytes have arrived since the last call that are not handed out yet. */
  moved(): boolean {
    return this.#connection.moved?.() ?? false;
  }

  unref(): void {
    this.#connection.unref();
  }

  /**
   * Closes the connection so that what was written last arrives. Sends FIN, then reads and drops further input for a
   * moment. A socket that is closed with unread input would discard what was just written. Never rejects.
   */
  async linger(wheel: TimerWheel): Promise<void> {
    const limit = new Timeout(() => this.abort());
    wheel.add(limit, LINGER_TIME);
    try {
      await this.closeWrite();
      for (let dropped = 0; dropped < LINGER_BYTES;) {
        const chunk = await this.read();
        if (chunk === null) break;
        dropped += chunk.length;
      }
    } catch {
      // The connection is gone already, which is the aim.
    }
    wheel.remove(limit);
    this.abort();
  }
}
