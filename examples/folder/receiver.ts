/**
 * Receives folders. What arrived of a file waits in a file of its own until it is complete, so that an interrupted
 * transfer can go on, and nobody finds half a file under its name.
 *
 * @module
 */

import type { Server } from "@veltix/core";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { file } from "./contract.ts";
import { locationOf, sha256Of } from "./files.ts";

/**
 * Lets a server receive files.
 *
 * @param folder Where they go.
 * @param onProgress Called with the path of a file and the number of its bytes that are written.
 */
export function receiveFiles(server: Server, folder: string, onProgress?: (path: string, bytes: number) => void): void {
  /** The files that are being written. After a cut, the sender may be back before the old handler has closed the file. */
  const writing = new Map<string, Promise<void>>();

  server.stream(file, async function* ({ head: { path, sha256 }, readable }): AsyncGenerator<number, string> {
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new TypeError("Cannot take the file: its SHA-256 is none");
    const location = locationOf(folder, path);
    const part = `${location}.${sha256.slice(0, 16)}.part`;
    const before = writing.get(part);
    const { promise: written, resolve } = Promise.withResolvers<void>();
    writing.set(part, written);
    try {
      await before;
      await mkdir(dirname(location), { recursive: true });
      {
        await using target = await open(part, "a");
        let { size } = await target.stat();
        yield size;
        for await (const chunk of readable) {
          await target.appendFile(chunk);
          onProgress?.(path, size += chunk.length);
        }
      }
      const received = await sha256Of(part);
      if (received === sha256) await rename(part, location);
      else await rm(part);
      return received;
    } finally {
      resolve();
      if (writing.get(part) === written) writing.delete(part);
    }
  });
}
