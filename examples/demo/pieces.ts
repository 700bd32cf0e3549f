/**
 * A file as lines of bytes. Each keeps its end-of-line bytes and nothing is decoded, so the lines put together are the
 * file: without a final newline, with CRLF, with bytes that are no UTF-8. Lines longer than a message become pieces.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { MAX_PIECE } from "./contract.ts";

const NEWLINE = 0x0a;

/**
 * Reads a file line by line.
 *
 * @param path Where it is.
 * @param size How many bytes of it to read: a file that grows meanwhile is the same for everyone.
 * @returns Lines and pieces, many at a time.
 */
export async function* piecesOf(path: string, size: number): AsyncGenerator<Uint8Array[]> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of chunksOf(path, size)) {
    const data = rest.length === 0 ? chunk : joined(rest, chunk);
    const pieces: Uint8Array[] = [];
    let start = 0;
    let newline = data.indexOf(NEWLINE, rest.length);
    while (true) {
      const end = newline < 0 ? data.length : newline + 1;
      for (; end - start > MAX_PIECE; start += MAX_PIECE) pieces.push(data.subarray(start, start + MAX_PIECE));
      if (newline < 0) break;
      pieces.push(data.subarray(start, end));
      start = end;
      newline = data.indexOf(NEWLINE, start);
    }
    rest = data.subarray(start);
    yield pieces;
  }
  if (rest.length > 0) yield [rest];
}

/** The SHA-256 of a file in hexadecimal, and how many lines and pieces it has. */
export async function describeFile(path: string, size: number): Promise<{ sha256: string; lines: number }> {
  const hash = createHash("sha256");
  let lines = 0;
  for await (const chunk of chunksOf(path, size)) hash.update(chunk);
  for await (const pieces of piecesOf(path, size)) lines += pieces.length;
  return { sha256: hash.digest("hex"), lines };
}

async function* chunksOf(path: string, size: number): AsyncGenerator<Uint8Array> {
  if (size > 0) yield* createReadStream(path, { end: size - 1, highWaterMark: MAX_PIECE });
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
