/**
 * A connection that a proxy has passed on. Its peer is the one that the proxy has named.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Address } from "../base/address.ts";
import type { ChunkReader, Connection, ConnectionSecurity } from "../transport.ts";

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
    const connection = this.#connection;
    const rest = this.#take();
    if (rest !== undefined) reader.received(rest);
    else if (connection.readTo !== undefined) connection.readTo(reader);
    else {
      const lost = new ConnectionError("closed", "The connection failed, without saying why");
      connection.read().then((chunk) => reader.received(chunk), (error) => reader.received(null, error ?? lost));
    }
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
