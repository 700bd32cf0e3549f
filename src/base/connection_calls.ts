/**
 * Reads and writes connections without promises. A connection may be anybody's: it may have only the ways with promises,
 * reject with nothing, or throw.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";

/** The part of a `ChunkReader` that is called. */
interface Reader {
  received(chunk: Uint8Array | null, error?: unknown): void;
}

/** The part of a `ChunkWriter` that is called. */
interface Writer {
  taken(error?: unknown): void;
}

/** The part of a `Connection` that is read. */
interface Readable {
  read(): Promise<Uint8Array | null>;
  readTo?(reader: Reader): void;
}

/** The part of a `Connection` that is written. */
interface Writable {
  write(bytes: Uint8Array): Promise<void>;
  writeTo?(bytes: Uint8Array, writer: Writer): void;
}

/** Reads the next chunk. */
export function readTo(connection: Readable, reader: Reader): void {
  if (connection.readTo !== undefined) return connection.readTo(reader);
  const failed = (error: unknown): void => reader.received(null, error ?? unexplained());
  connection.read().then((chunk) => reader.received(chunk), failed);
}

/** Writes bytes. Never throws: others are written in the same loop. */
export function writeTo(connection: Writable, bytes: Uint8Array, writer: Writer): void {
  let written: Promise<void>;
  try {
    if (connection.writeTo !== undefined) return connection.writeTo(bytes, writer);
    written = connection.write(bytes);
  } catch (error) {
    written = Promise.reject(error);
  }
  written.then(() => writer.taken(), (error) => writer.taken(error ?? unexplained()));
}

function unexplained(): ConnectionError {
  return new ConnectionError("closed", "The connection failed, without saying why");
}
