/**
 * The two directions of a connection that come from different objects, such as the standard streams of a process.
 *
 * @module
 */

import type { Address } from "../base/address.ts";
import type { ChunkReader } from "../transport.ts";
import type { Channel } from "./duplex.ts";

/** The direction that is read. Its members have the rules of {@linkcode Channel}. */
export interface ByteSource {
  read(reader: ChunkReader): void;
  /** Called when the connection is over. `reason` is `undefined` if both directions have ended. */
  release(reason: Error | undefined): void;
  unref(): void;
}

/** The direction that is written. Its members have the rules of {@linkcode Channel}. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  /** Called when the connection is over. `reason` is `undefined` if both directions have ended. */
  release(reason: Error | undefined): void;
  unref(): void;
}

/** The addresses of a connection that has none of its own. */
export interface EndsInfo {
  readonly local: Address;
  readonly remote: Address;
}

/** A {@linkcode Channel} of two directions. */
export class EndsChannel implements Channel {
  readonly local: Address;
  readonly remote: Address;
  readonly #source: ByteSource;
  readonly #sink: ByteSink;
  readonly #unref: (() => void) | undefined;

  /** @param unref Called, too, when the connection may no longer hold the process. */
  constructor(source: ByteSource, sink: ByteSink, { local, remote }: EndsInfo, unref?: () => void) {
    this.#source = source;
    this.#sink = sink;
    this.#unref = unref;
    this.local = local;
    this.remote = remote;
  }

  read(reader: ChunkReader): void {
    this.#source.read(reader);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#sink.write(bytes);
  }

  finish(): Promise<void> {
    return this.#sink.finish();
  }

  release(reason: Error | undefined): void {
    this.#source.release(reason);
    this.#sink.release(reason);
  }

  unref(): void {
    this.#source.unref();
    this.#sink.unref();
    this.#unref?.();
  }
}
