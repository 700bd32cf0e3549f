/**
 * A connection that can be watched while nobody is ready to read it. A pending read cannot be
 * cancelled, so it is kept for the next reader.
 *
 * @module
 */

import { readTo } from "../link/frame_source.ts";
import type { Address } from "../base/address.ts";
import type { ChunkReader, Connection } from "../transport.ts";

/** A {@linkcode Connection} with {@linkcode Peekable.peek}. */
export class Peekable implements Connection {
  readonly #connection: Connection;
  #ahead: Promise<Uint8Array | null> | undefined = undefined;

  /** @param connection The connection, which nobody else reads. */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** What the next `read` will return, and the same until then. */
  peek(): Promise<Uint8Array | null> {
    return this.#ahead ??= this.#connection.read();
  }

  read(): Promise<Uint8Array | null> {
    const ahead = this.#ahead;
    if (ahead === undefined) return this.#connection.read();
    this.#ahead = undefined;
    return ahead;
  }

  readTo(reader: ChunkReader): void {
    readTo(this.#ahead === undefined ? this.#connection : { read: () => this.read() }, reader);
  }

  recycle(chunk: Uint8Array): void {
    this.#connection.recycle?.(chunk);
  }

  get local(): Address {
    return this.#connection.local;
  }

  get remote(): Address {
    return this.#connection.remote;
  }

  get closed(): Promise<Error | undefined> {
    return this.#connection.closed;
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#connection.readable;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#connection.writable;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#connection.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#connection.closeWrite();
  }

  abort(reason?: Error): void {
    this.#connection.abort(reason);
  }

  unref(): void {
    this.#connection.unref();
  }
}
