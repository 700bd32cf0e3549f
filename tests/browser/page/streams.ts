/**
 * Streams of a page, and requests that outlive their connections.
 *
 * @module
 */

import { DOWNLOAD, noise, PIECE, type Sum, TYPES, UPLOAD } from "../types.ts";
import { theClient } from "./client.ts";

/** Sends bytes. Returns what was sent, and what the server says that it has got. */
export async function upload(size: number): Promise<{ readonly sent: Sum; readonly got: Sum }> {
  const bytes = noise(size, 1);
  const stream = theClient().open(UPLOAD);
  const writer = stream.writable.getWriter();
  for (let from = 0; from < size; from += PIECE) await writer.write(bytes.subarray(from, from + PIECE));
  await writer.close();
  return { sent: await sumOf(bytes), got: await stream.result };
}

/** Reads bytes. Returns what has come, and what the server says that it has sent. */
export async function download(size: number): Promise<{ readonly sent: Sum; readonly got: Sum }> {
  const stream = theClient().open(DOWNLOAD, size);
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const piece of stream.readable) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { got: await sumOf(bytes.subarray(0, at)), sent: await stream.result };
}

/** Opens a stream of so many bytes, and never reads it. */
export function unread(size: number): void {
  const { readable, result } = theClient().open(DOWNLOAD, size);
  readable.getReader();
  result.catch(() => {});
}

/** Makes requests one after the other, which count from 0. Returns the answers that were not what was asked for. */
export async function numbers(count: number): Promise<string[]> {
  const wrong: string[] = [];
  for (let i = 0; i < count; i++) {
    const answer = await theClient().request(TYPES.number, i, { timeout: 20_000 });
    if (answer !== i) wrong.push(`${i} got ${answer}`);
  }
  return wrong;
}

async function sumOf(bytes: Uint8Array<ArrayBuffer>): Promise<Sum> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return {
    bytes: bytes.length,
    sha256: Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}
