/**
 * A connection whose bytes travel in encrypted records over another connection.
 *
 * @module
 */

import type { Address } from "../base/address.ts";
import { readTo, writeTo } from "../base/connection_calls.ts";
import { realTime } from "../base/real_time.ts";
import { ConnectionError } from "../errors.ts";
import type { ChunkReader, ChunkWriter, Connection, ConnectionSecurity, UpgradeRequest } from "../transport.ts";
import type { NoiseOutcome } from "./handshake/terms.ts";
import { RecordReader } from "./record_reader.ts";
import { RecordWriter, sealedSize } from "./record_writer.ts";
import { SpareBuffer } from "./spare_buffer.ts";

/** Records of this size, in bytes, are written into a buffer that is used again. */
const REUSED_FROM = 16 * 1024;
/** How long a record may take before its pace counts, in milliseconds. */
const SLOW_START = 10_000;
/** The least pace of a record after that, in bytes per millisecond. */
const LEAST_PACE = 1.024;

/** The plaintext side of an encrypted connection. Each write becomes one record, or several if it is large. */
export class EncryptedConnection implements Connection, ChunkReader, ChunkWriter {
  readonly security: ConnectionSecurity;
  readonly #connection: Connection;
  readonly #sending: RecordWriter;
  readonly #receiving: RecordReader;
  /** The reader that waits for plaintext. */
  #reader: ChunkReader | undefined = undefined;
  /** The chunk that records are being read from. */
  #chunk: Uint8Array | undefined = undefined;
  /** The way in which the peer's bytes ended; `undefined` until they have. */
  #end: { readonly error: unknown } | undefined = undefined;
  /** The error that {@linkcode abort} left. */
  #aborted: Error | undefined = undefined;
  /** True if bytes have arrived since {@linkcode moved} was called last. */
  #moved = false;
  /** The time at which the record began that is not complete, in milliseconds. */
  #begunAt = 0;
  /** Set while the next chunk is being requested. `"again"` if it was there already and another one is needed. */
  #pulling: "once" | "again" | undefined = undefined;
  /** Who waits for the write in flight. */
  #writer: ChunkWriter | undefined = undefined;
  /** The buffer of its records, if it will be reused. */
  #lent: Uint8Array | undefined = undefined;
  /** Called after that write. Set when closing waits for it. */
  #written: (() => void) | undefined = undefined;
  /** Created with the first large write. */
  #spare: SpareBuffer | undefined = undefined;
  #finishing: Promise<void> | undefined = undefined;
  #finished = false;

  /**
   * @param connection The connection that carries the records. Nothing else reads or writes it.
   * @param outcome The outcome of the handshake.
   * @param security The value of {@linkcode EncryptedConnection.security}.
   */
  constructor(connection: Connection, outcome: NoiseOutcome, security: ConnectionSecurity) {
    this.security = security;
    this.#connection = connection;
    this.#sending = new RecordWriter(outcome.sending);
    this.#receiving = new RecordReader(outcome.receiving);
    if (outcome.rest.length > 0) this.#receiving.push(outcome.rest);
  }

  get local(): Address {
    return this.#connection.local;
  }

  get remote(): Address {
    return this.#connection.remote;
  }

  get request(): UpgradeRequest | undefined {
    return this.#connection.request;
  }

  get pressing(): boolean {
    return this.#connection.pressing ?? false;
  }

  get closed(): Promise<Error | undefined> {
    return this.#connection.closed.then((error) => this.#aborted === undefined && this.#clean ? undefined : error);
  }

  read(): Promise<Uint8Array | null> {
    return new Promise((resolve, reject) => {
      this.readTo({ received: (chunk, error) => error === undefined ? resolve(chunk) : reject(error) });
    });
  }

  readTo(reader: ChunkReader): void {
    if (this.#reader !== undefined) {
      fail(reader, new TypeError("Cannot read from an encrypted connection: one read at a time"));
    } else if (this.#end === undefined) {
      this.#reader = reader;
      const text = this.#next();
      if (text !== undefined) this.#tell(text);
    } else if (this.#end.error === undefined) reader.received(null);
    else fail(reader, this.#end.error);
  }

  /** Called by the connection below with the chunk that it has read. */
  received(chunk: Uint8Array | null, error?: unknown): void {
    if (chunk !== null) {
      this.#moved = true;
      if (this.#receiving.begun === 0) this.#begunAt = realTime.now();
      this.#chunk = chunk;
      // Bytes that come after a failure are thrown away.
      this.#receiving.push(chunk);
      const text = this.#next();
      if (text !== undefined) this.#tell(text);
      return;
    }
    this.#over(error ?? this.#receiving.finish());
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#write(bytes, { taken: (error) => error === undefined ? resolve() : reject(error) });
    });
  }

  writeTo(bytes: Uint8Array, writer: ChunkWriter): void {
    this.#write(bytes, writer);
  }

  #write(bytes: Uint8Array, writer: ChunkWriter): void {
    const fault = this.#unwritable;
    if (fault !== undefined) giveUp(writer, fault);
    else if (bytes.length === 0) writer.taken();
    else {
      const size = sealedSize(bytes.length);
      const buffer = size < REUSED_FROM ? undefined : (this.#spare ??= new SpareBuffer()).take(size);
      let sealed: Uint8Array;
      try {
        sealed = this.#sending.seal(bytes, buffer);
      } catch (error) {
        return giveUp(writer, error);
      }
      this.#writer = writer;
      this.#lent = buffer;
      writeTo(this.#connection, sealed, this);
    }
  }

  /**
   * The error of a write that would begin now; `undefined` if it may. A second write at a time must not be sealed, because
   * its record would never be sent and those after it could not be read.
   */
  get #unwritable(): Error | undefined {
    if (this.#aborted !== undefined) return this.#aborted;
    if (this.#writer !== undefined) {
      return new TypeError("Cannot write to an encrypted connection: one write at a time");
    }
    if (this.#finishing === undefined) return undefined;
    return new ConnectionError("closed", "Cannot write to an encrypted connection: this direction is closed");
  }

  /** Called by the connection below when it has taken the records, or with an error. */
  taken(error?: unknown): void {
    const writer = this.#writer;
    const buffer = this.#lent;
    this.#writer = this.#lent = undefined;
    if (buffer !== undefined && (error === undefined || error === null)) this.#spare?.give(buffer);
    this.#written?.();
    writer?.taken(error);
  }

  closeWrite(): Promise<void> {
    return this.#finishing ??= this.#finish();
  }

  abort(reason?: Error): void {
    if (this.#aborted !== undefined) return;
    // After a clean end only the socket is left. The FIN that would close it may never come.
    if (this.#clean) return this.#connection.abort(reason);
    const error = reason ?? new ConnectionError("closed", "The encrypted connection was aborted");
    this.#aborted = error;
    this.#sending.destroy();
    this.#receiving.destroy();
    this.#connection.abort(error);
    this.#end = undefined;
    this.#over(error);
  }

  /**
   * Returns whether bytes have arrived since the last call. A peer that trickles a record does not count as alive.
   *
   * @param now The time, in milliseconds.
   */
  moved(now: number = realTime.now()): boolean {
    const moved = this.#moved;
    this.#moved = false;
    const age = now - this.#begunAt;
    const { begun } = this.#receiving;
    return moved && (begun === 0 || age <= SLOW_START || begun >= age * LEAST_PACE);
  }

  unref(): void {
    this.#connection.unref();
  }

  /** True once both directions have ended as they should. */
  get #clean(): boolean {
    return this.#finished && this.#end !== undefined && this.#end.error === undefined;
  }

  /** Returns the next plaintext. If there is none yet, starts to read more and returns `undefined`. */
  #next(): Uint8Array | undefined {
    try {
      const text = this.#receiving.next();
      if (text !== undefined) {
        this.#begunAt = realTime.now();
        return text;
      }
      // Only the end of the connection below may come after the end of the records.
      if (this.#receiving.ended) this.#over(undefined);
    } catch (error) {
      // A record after the end.
      if (this.#end?.error === undefined && this.#end !== undefined) this.abort(error as Error);
      this.#over(error);
    }
    if (this.#chunk !== undefined) this.#connection.recycle?.(this.#chunk);
    this.#chunk = undefined;
    this.#pull();
    return undefined;
  }

  /** Reads on. Chunks that are there already come in a loop: thousands of small ones would be too deep for the stack. */
  #pull(): void {
    if (this.#pulling !== undefined) {
      this.#pulling = "again";
      return;
    }
    do {
      this.#pulling = "once";
      readTo(this.#connection, this);
    } while ((this.#pulling as string) === "again");
    this.#pulling = undefined;
  }

  #over(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) return;
    if (error === undefined) reader.received(null);
    else fail(reader, error);
  }

  #tell(text: Uint8Array): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.received(text);
  }

  async #finish(): Promise<void> {
    // If that write fails, its caller is told.
    if (this.#writer !== undefined) await new Promise<void>((resolve) => this.#written = resolve);
    if (this.#aborted !== undefined) throw this.#aborted;
    await this.#connection.write(this.#sending.end());
    await this.#connection.closeWrite();
    this.#finished = true;
  }
}

/**
 * Passes an error to a reader in a microtask. A call within `readTo` would reach the reader before `readTo` returns.
 */
function fail(reader: ChunkReader, error: unknown): void {
  queueMicrotask(() => reader.received(null, error));
}

/** Does the same for a writer. */
function giveUp(writer: ChunkWriter, error: unknown): void {
  queueMicrotask(() => writer.taken(error));
}
