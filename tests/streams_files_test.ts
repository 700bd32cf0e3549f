/** Files through streams, by each way of this runtime that the guide shows. */

import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { RemoteError, streamType, text } from "../mod.ts";
import { collect, streamPeers } from "./streams_support.ts";

const UPLOAD = streamType(300, "upload", { head: text, down: false, result: text });
const DOWNLOAD = streamType(301, "download", { head: text, up: false });
const SIZE = 3_000_001;

/** A way to read and to write files. */
interface Way {
  /** Sends a file, and closes it. */
  read(path: string, to: WritableStream<Uint8Array>): Promise<void>;
  /** Returns the bytes of a file, for a handler; `undefined` where the way has no such stream. */
  stream?(path: string): ReadableStream<Uint8Array> | Promise<ReadableStream<Uint8Array>>;
  /** Writes a file, and closes it. */
  write(path: string, from: ReadableStream<Uint8Array>): Promise<unknown>;
}

const WAYS: Record<string, Way> = {
  "node:fs": {
    read: (path, to) => Readable.toWeb(createReadStream(path)).pipeTo(to),
    stream: (path) => Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>,
    write: (path, from) => from.pipeTo(Writable.toWeb(createWriteStream(path))),
  },
  "file handles": {
    async read(path, to): Promise<void> {
      await using file = await open(path);
      await file.readableWebStream().pipeTo(to);
    },
    async write(path, from): Promise<void> {
      await using file = await open(path, "w");
      for await (const chunk of from) await file.appendFile(chunk);
    },
  },
};

/** What Bun has of it; its types are not loaded. */
interface BunFiles {
  file(path: string): { stream(): ReadableStream<Uint8Array> };
  write(path: string, content: Response): Promise<number>;
}

const bun = (globalThis as { Bun?: BunFiles }).Bun;
if (bun !== undefined) {
  WAYS["Bun.file() and Bun.write()"] = {
    read: (path, to) => bun.file(path).stream().pipeTo(to),
    stream: (path) => bun.file(path).stream(),
    write: (path, from) => bun.write(path, new Response(from as ReadableStream<Uint8Array<ArrayBuffer>>)),
  };
}
if ("Deno" in globalThis) {
  WAYS["Deno.open()"] = {
    read: async (path, to) => await (await Deno.open(path)).readable.pipeTo(to),
    stream: async (path) => (await Deno.open(path)).readable,
    write: async (path, from) =>
      await from.pipeTo((await Deno.open(path, { write: true, create: true, truncate: true })).writable),
  };
}

/** Files in a folder of their own. */
function files(): { readonly source: string; readonly target: string; readonly missing: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "streams-"));
  const source = join(folder, "source");
  writeFileSync(source, new Uint8Array(SIZE).map((_, i) => i * 13 + (i >> 8)));
  return {
    source,
    target: join(folder, "target"),
    missing: join(folder, "missing"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

for (const [name, { read, stream, write }] of Object.entries(WAYS)) {
  describe(`files by ${name}`, () => {
    it("go up and come down", async () => {
      using paths = files();
      await using peers = await streamPeers();
      peers.server.stream(UPLOAD, async ({ readable }) => {
        await write(paths.target, readable);
        return "written";
      });
      peers.server.stream(DOWNLOAD, async ({ head, writable }) => {
        return stream === undefined ? await read(head, writable) : await stream(head);
      });
      const upload = peers.client.open(UPLOAD, "");
      await read(paths.source, upload.writable);
      assertEquals(await upload.result, "written");
      assertEquals(readFileSync(paths.target).equals(readFileSync(paths.source)), true);

      const copy = `${paths.target}2`;
      const download = peers.client.open(DOWNLOAD, paths.source);
      await write(copy, download.readable);
      await download.result;
      assertEquals(readFileSync(copy).equals(readFileSync(paths.source)), true);
      assertEquals(peers.errors, []);
    });

    it("that end in the middle fail on both sides, and are closed", async () => {
      using paths = files();
      await using peers = await streamPeers();
      const { promise: failed, resolve } = Promise.withResolvers<unknown>();
      peers.server.stream(UPLOAD, ({ readable }) => {
        const written = write(paths.target, readable);
        written.then(resolve, resolve);
        return written.then(() => "written");
      });
      const upload = peers.client.open(UPLOAD, "");
      const writer = upload.writable.getWriter();
      await writer.write(new Uint8Array(100_000));
      const reason = new Error("pulled the cable");
      await writer.abort(reason);
      assertEquals(await upload.result.catch((error) => error), reason);
      assertEquals((await failed as Error).message, "pulled the cable");
      // The handler may be written to again: the runtime checks that nothing was left open.
      await write(paths.target, new Blob(["again"]).stream());
      assertEquals(readFileSync(paths.target, "utf8"), "again");
      assertEquals(peers.errors, []);
    });

    it("that are not there fail where they are asked for", async () => {
      using paths = files();
      await using peers = await streamPeers();
      peers.server.stream(DOWNLOAD, async ({ head, writable }) => {
        return stream === undefined ? await read(head, writable) : await stream(head);
      });
      const download = peers.client.open(DOWNLOAD, paths.missing);
      await assertRejects(() => download.result, RemoteError);
      // Not into a file: nobody would wait until that is open.
      await assertRejects(() => collect(download.readable), RemoteError);
    });
  });
}
