/**
 * A connection that a proxy has passed on. Its peer is the one that the proxy has named.
 *
 * @module
 */

import type { Address } from "../base/address.ts";
import { readTo, writeTo } from "../base/connection_calls.ts";
import type { ChunkReader, ChunkWriter, Connection, ConnectionSecurity } from "../transport.ts";

/** The connection after the header of the proxy. */
export class ProxiedConnection implements Connection {
  readonly remote: Address;
  readonly secure: Connection["secure"];
  readonly #connection: Connection;
  /** The bytes after the header that were read with it; `undefined` once they are passed on. */
  #rest: Uint8Array | undefined;
  /** The same bytes, from when they are passed on until they are given back. */
  #taken: Uint8Array | undefined = undefined;

  /**
   * @param connection The connection, from which the header was read. Nothing else reads or writes it.
   * @param remote The peer that the proxy has named.
   * @param rest The bytes that were read after the header; they may be empty.
   */
  constructor(connection: Connection, remote: Address, rest?: Uint8Array) {
    this.#connection = connection;
    this.remote = remote;
    this.#rest = rest?.length === 0 ? undefined : rest;
    this.secure = connection.secure === undefined ? undefined : () => this.#secure();
  }

  get local(): Address {
    return this.#connection.local;
  }

  get security(): ConnectionSecurity | undefined {
    return this.#connection.security;
  }

  get closed(): Promise<Error | undefined> {
    return this.#connection.closed;
  }

  read(): Promise<Uint8Array | null> {
    const rest = this.#take();
    return rest === undefined ? this.#connection.read() : Promise.resolve(rest);
  }

  readTo(reader: ChunkReader): void {
    const rest = this.#take();
    if (rest !== undefined) reader.received(rest);
    else readTo(this.#connection, reader);
  }

  stopReading(): void {
    this.#connection.stopReading?.();
  }

  recycle(chunk: Uint8Array): void {
    // The bytes after the header were copied. They are in no buffer of the connection.
    if (chunk === this.#taken) this.#taken = undefined;
    else this.#connection.recycle?.(chunk);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#connection.write(bytes);
  }

  writeTo(bytes: Uint8Array, writer: ChunkWriter): void {
    writeTo(this.#connection, bytes, writer);
  }

  closeWrite(): Promise<void> {
    return this.#connection.closeWrite();
  }

  abort(reason?: Error): void {
    this.#connection.abort(reason);
  }

  moved(): boolean {
    return this.#connection.moved?.() ?? false;
  }

  unref(): void {
    this.#connection.unref();
  }

  async #secure(): Promise<Connection> {
    const { remote } = this;
    const rest = this.#take() ?? new Uint8Array(0);
    return new ProxiedConnection(await this.#connection.secure!({ remote, rest }), remote);
  }

  #take(): Uint8Array | undefined {
    const rest = this.#rest;
    this.#rest = undefined;
    this.#taken = rest;
    return rest;
  }
}
