/**
 * Folders and files.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";

/** A file of a folder. */
export interface FileEntry {
  /** Its path below the folder, with slashes. */
  readonly path: string;
  /** Where it is on this machine. */
  readonly location: string;
  /** Its size, in bytes. */
  readonly size: number;
}

/** Returns all files of a folder and of the folders in it. */
export async function filesOf(folder: string): Promise<FileEntry[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const locations = entries.filter((entry) => entry.isFile()).map(({ name, parentPath }) => join(parentPath, name));
  return await Promise.all(
    locations.sort().map(async (location) => ({
      path: relative(folder, location).replaceAll(sep, "/"),
      location,
      size: (await stat(location)).size,
    })),
  );
}

/** Returns the SHA-256 of a file, in hexadecimal. */
export async function sha256Of(location: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(location)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/**
 * Returns where a path of a peer lies below a folder. Symbolic links in the folder are followed.
 *
 * @throws {TypeError} It would lie outside.
 */
export function locationOf(folder: string, path: unknown): string {
  const root = resolve(folder) + sep;
  const location = resolve(root, String(path));
  if (typeof path !== "string" || path.includes("\0") || !location.startsWith(root)) {
    throw new TypeError(`Cannot take ${JSON.stringify(path)}: it is no path below a folder`);
  }
  return location;
}
