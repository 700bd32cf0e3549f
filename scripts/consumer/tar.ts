/**
 * Reads and writes archives as registries use them: tar files of plain files, compressed by gzip.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { gunzipSync, gzipSync } from "node:zlib";

/** The files of a package by their paths, such as `src/errors.ts`. */
export type Files = Map<string, Uint8Array>;

const BLOCK = 512;
const [NAME, MODE, SIZE, TIME, SUM, TYPE, MAGIC, PREFIX] = [0, 100, 124, 136, 148, 156, 257, 345];

/**
 * Returns the files of an archive, in its order.
 *
 * @throws {Error} An entry is neither a plain file nor a folder.
 */
export function readTar(archive: Uint8Array): Files {
  const bytes = gunzipSync(archive);
  const files: Files = new Map();
  for (let at = 0; at + BLOCK <= bytes.length && bytes[at] !== 0;) {
    const text = (from: number, length: number): string =>
      bytes.toString("utf8", at + from, at + from + length).replace(/\0.*$/s, "");
    const prefix = text(PREFIX, 155);
    const path = (prefix === "" ? "" : `${prefix}/`) + text(NAME, 100);
    const size = parseInt(text(SIZE, 12), 8);
    const type = text(TYPE, 1);
    at += BLOCK;
    if (type === "" || type === "0") files.set(path.replace(/^\.\//, ""), bytes.subarray(at, at + size));
    else if (type !== "5") throw new Error(`Cannot read the archive: "${path}" is of the type "${type}"`);
    at += Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

/**
 * Makes an archive. The same files make the same bytes.
 *
 * @throws {RangeError} A path is longer than 100 bytes.
 */
export function writeTar(files: Files): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const path of [...files.keys()].sort()) {
    const content = files.get(path)!;
    const header = Buffer.alloc(BLOCK);
    if (Buffer.byteLength(path) > 100) throw new RangeError(`Cannot archive "${path}": the path is too long`);
    const field = (at: number, text: string): void => void header.write(text, at, "latin1");
    header.write(path, NAME, "utf8");
    field(MODE, "0000644\0");
    field(SIZE, `${content.length.toString(8).padStart(11, "0")}\0`);
    // npm's own archives have this time: the 26th of October 1985.
    field(TIME, `${(499_162_500).toString(8).padStart(11, "0")}\0`);
    field(TYPE, "0");
    field(MAGIC, "ustar\x0000");
    // The sum is made as if its own field were blank.
    field(SUM, "        ");
    const sum = header.reduce((total, byte) => total + byte, 0);
    field(SUM, `${sum.toString(8).padStart(6, "0")}\0 `);
    blocks.push(header, content, Buffer.alloc((BLOCK - content.length % BLOCK) % BLOCK));
  }
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]), { level: 9 });
}

/** Makes an archive as npm takes it: all files in a folder named `package`. */
export function writeArchive(files: Files): Uint8Array {
  return writeTar(new Map([...files].map(([path, content]) => [`package/${path}`, content])));
}
