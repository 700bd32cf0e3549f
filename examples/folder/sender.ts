/**
 * Sends a folder, several files at once. It goes on where it was after the connection is lost.
 *
 * @module
 */

import { type Client, ConnectionError } from "@veltix/core";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { file } from "./contract.ts";
import { type FileEntry, sha256Of } from "./files.ts";

/** How many files are sent at once. */
const AT_ONCE = 4;

/** What a sender tells of its work. */
export interface SenderEvents {
  /** Bytes `from` to `to` of a file are on their way. */
  progress(entry: FileEntry, from: number, to: number): void;
  /** A file is there, and both sides have the same SHA-256. */
  done(entry: FileEntry, sha256: string): void;
  /** The connection was lost. It is sent on as soon as there is another. */
  lost(error: ConnectionError): void;
}

/**
 * Sends files.
 *
 * @param client A client that reconnects.
 * @throws {RemoteError} The receiver does not take a file.
 */
export async function sendFiles(client: Client, entries: readonly FileEntry[], events: SenderEvents): Promise<void> {
  // All senders take from one iterator.
  const queue = entries.values();
  const senders = Array.from({ length: AT_ONCE }, async () => {
    for (const entry of queue) await sendUntilThere(client, entry, events);
  });
  await Promise.all(senders);
}

async function sendUntilThere(client: Client, entry: FileEntry, events: SenderEvents): Promise<void> {
  for (;;) {
    try {
      await client.connect(); // Resolves at once while the client is connected.
      return await sendOnce(client, entry, events);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      events.lost(error);
    }
  }
}

async function sendOnce(client: Client, entry: FileEntry, events: SenderEvents): Promise<void> {
  const { location, path } = entry;
  const sha256 = await sha256Of(location);
  const stream = client.open(file, { path, sha256 });
  const { value: start = 0 } = await stream.readable.getReader().read();
  let at = start;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller): void {
      controller.enqueue(chunk);
      events.progress(entry, start, at += chunk.length);
    },
  });
  const pipe = Readable.toWeb(createReadStream(location, { start })).pipeThrough(counter).pipeTo(stream.writable);
  pipe.catch(() => {}); // Whatever ends it early, the result tells it, too.
  const received = await stream.result;
  if (received !== sha256) throw new Error(`Cannot send ${path}: it has changed, or was damaged on the way`);
  events.done(entry, sha256);
}
