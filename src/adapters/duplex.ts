/**
 * The part of a {@linkcode Connection} that is the same on every runtime: one read and one write at a time, half-close,
 * abort, and `closed`. A {@linkcode Channel} supplies the part that differs.
 *
 * When a write fails, reading goes on: what the peer sent before can still be read, and the error follows it. Only
 * reading notices FIN and a reset, so `closed` does not settle by itself while nobody reads.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { realTime } from "../base/real_time.ts";
import type { Address } from "../base/address.ts";
import type { ChunkReader, ChunkWriter, Connection } from "../transport.ts";
import { addressText } from "../base/address.ts";
import { brokenError } from "./system_errors.ts";

/** The part that an adapter supplies. Each direction gets one call at a time, and none after `release`. */
export interface Channel {
  readonly local: Address;
  readonly remote: Address;
  /**
   * Passes on what comes next, at once or later: a chunk that is not empty, `null` for FIN, or the runtime's own error.
   */
  read(reader: ChunkReader): void;
  /** Stops taking bytes from the socket until the next `read`; not needed where it takes none without one. */
  stopReading?(): void;
  /** Called when the last chunk may be overwritten, for an adapter that owns the buffer that is read into. */
  recycle?(chunk: Uint8Array): void;
  /**
   * Writes all of `bytes`, which are not empty. Either returns a promise, which rejects with the runtime's own error, or
   * returns `undefined` and tells `writer`: at once or later, but an error never at once.
   */
  write(bytes: Uint8Array, writer: ChunkWriter): Promise<void> | undefined;
  /** Sends FIN after what was written. */
  finish(): Promise<void>;
  /** True if `release` sends FIN, too, when the peer's FIN was read. `finish` is not called then. */
  readonly finishes?: boolean;
  /** Releases the socket at once. A `read` or `write` may stay pending. Called once. */
  release(reason: Error | undefined): void;
  /** Lets the process exit even while the socket is open. */
  unref(): void;
}

/** A {@linkcode Connection} over a {@linkcode Channel}. */
export class Duplex implements Connection, ChunkReader, ChunkWriter {
  readonly #channel: Channel;
  #closed: PromiseWithResolvers<Error | undefined> | undefined;
  #state: "open" | "over" = "open";
  #error: Error | undefined;
  #sendError: Error | undefined;
  #reader: ChunkReader | undefined;
  #writer: ChunkWriter | undefined;
  /** Settles with the write in flight. Created when closing waits for it. */
  #writing: PromiseWithResolvers<void> | undefined;
  #received = false;
  #finishing: Promise<void> | undefined;
  #finished = false;
  #abortFinish: ((reason: Error) => void) | undefined;

  /** @param channel The runtime's socket. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  get local(): Address {
    return this.#channel.local;
  }

  get remote(): Address {
    return this.#channel.remote;
  }

  get closed(): Promise<Error | undefined> {
    if (!this.#closed) {
      this.#closed = Promise.withResolvers();
      if (this.#state === "over") this.#closed.resolve(this.#error);
    }
    return this.#closed.promise;
  }

  read(): Promise<Uint8Array | null> {
    return new Promise((resolve, reject) => {
      this.readTo({ received: (chunk, error) => error === undefined ? resolve(chunk) : reject(error) });
    });
  }

  readTo(reader: ChunkReader): void {
    if (this.#reader) fail(reader, new TypeError(`${this.#cannot("read from")}: one read at a time`));
    else if (this.#error) fail(reader, this.#error);
    else if (this.#received) reader.received(null);
    else {
      this.#reader = reader;
      this.#channel.read(this);
    }
  }

  stopReading(): void {
    if (this.#state === "open") this.#channel.stopReading?.();
  }

  recycle(chunk: Uint8Array): void {
    this.#channel.recycle?.(chunk);
  }

  /** Called by the channel with what it read. */
  received(chunk: Uint8Array | null, error?: unknown): void {
    const reader = this.#reader;
    if (!reader) return;
    // The system reports a broken connection only once: after a failed write, reading ends as if cleanly.
    if (chunk === null && this.#sendError) return this.#end(this.#sendError);
    if (error !== undefined) return this.#end(brokenError(this.#cannot("read from"), error));
    this.#reader = undefined;
    if (chunk === null) {
      this.#received = true;
      if (this.#finished) this.#end(undefined);
    }
    reader.received(chunk);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#write(bytes, { taken: (error) => error === undefined ? resolve() : reject(error) });
    });
  }

  writeTo(bytes: Uint8Array, writer: ChunkWriter): void {
    this.#write(bytes, writer);
  }

  // A program that looks at what is written may put its own `write` and `writeTo` in the place of those above, so neither
  // may call the other.
  #write(bytes: Uint8Array, writer: ChunkWriter): void {
    const fault = this.#unwritable;
    if (fault !== undefined) giveUp(writer, fault);
    else if (bytes.length === 0) writer.taken();
    else {
      this.#writer = writer;
      this.#pass(bytes);
    }
  }

  #pass(bytes: Uint8Array): void {
    let written: Promise<void> | undefined;
    try {
      written = this.#channel.write(bytes, this);
    } catch (error) {
      this.#writer = undefined;
      throw error;
    }
    const failed = (error: unknown): void => this.taken(error ?? new Error("writing failed, without saying why"));
    if (written !== undefined) written.then(() => this.taken(), failed);
  }

  /** Called by the channel when the bytes are written, or with its error. */
  taken(error?: unknown): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = undefined;
    const done = error === undefined || error === null;
    const fault = done ? undefined : this.#sendError = brokenError(this.#cannot("write to"), error);
    this.#settle(fault);
    writer.taken(fault);
  }

  /** The error of a write that would begin now; `undefined` if it may. */
  get #unwritable(): Error | undefined {
    if (this.#writer !== undefined) return new TypeError(`${this.#cannot("write to")}: one write at a time`);
    const error = this.#error ?? this.#sendError;
    if (error !== undefined || this.#finishing === undefined) return error;
    return new ConnectionError("closed", `${this.#cannot("write to")}: this direction is closed`);
  }

  /** Lets closing go on, which waits for the write in flight. */
  #settle(error: Error | undefined): void {
    const writing = this.#writing;
    this.#writing = undefined;
    if (error === undefined) writing?.resolve();
    else writing?.reject(error);
  }

  closeWrite(): Promise<void> {
    return this.#finishing ??= this.#finish();
  }

  async #finish(): Promise<void> {
    const error = this.#error ?? this.#sendError;
    if (error) throw error;
    if (this.#writer) await (this.#writing = Promise.withResolvers()).promise;
    if (this.#received && this.#channel.finishes) {
      this.#finished = true;
      this.#end(undefined);
      return;
    }
    const aborted = Promise.withResolvers<never>();
    this.#abortFinish = aborted.reject;
    try {
      await Promise.race([this.#channel.finish(), aborted.promise]);
    } catch (error) {
      throw this.#error ?? (this.#sendError = brokenError(this.#cannot("close the direction to"), error));
    }
    this.#finished = true;
    if (this.#received) this.#end(undefined);
  }

  abort(reason?: Error): void {
    if (this.#state === "over") return;
    this.#end(reason ?? new ConnectionError("closed", `The connection to "${addressText(this.remote)}" was aborted`));
  }

  unref(): void {
    if (this.#state === "open") this.#channel.unref();
  }

  #end(error: Error | undefined): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#error = error;
    const reader = this.#reader;
    const writer = this.#writer;
    this.#reader = this.#writer = undefined;
    if (error) {
      if (reader) fail(reader, error);
      if (writer) giveUp(writer, error);
      this.#settle(error);
      this.#abortFinish?.(error);
    }
    this.#channel.release(error);
    this.#closed?.resolve(error);
  }

  #cannot(verb: string): string {
    return `Cannot ${verb} "${addressText(this.remote)}"`;
  }
}

/**
 * Passes an error to `reader` in a microtask. A call within `readTo` would run the reader's reaction in the middle of
 * its own code.
 */
function fail(reader: ChunkReader, error: Error): void {
  realTime.queueMicrotask(() => reader.received(null, error));
}

/** Does the same for `writer`. */
function giveUp(writer: ChunkWriter, error: Error): void {
  realTime.queueMicrotask(() => writer.taken(error));
}
