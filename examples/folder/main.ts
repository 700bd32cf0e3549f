/**
 * Sends a folder with a progress bar for each file. A transfer that was interrupted goes on where it was. At the end, both
 * sides have the same SHA-256 of each file.
 *
 *     deno run -A examples/folder/main.ts                        a demonstration, in one process
 *     deno run -A examples/folder/main.ts receive FOLDER PORT
 *     deno run -A examples/folder/main.ts send FOLDER PORT [HOST]
 *
 * It runs on Bun and Node, too. The exit code is 0 if everything has arrived.
 *
 * @module
 */

import { Client, formatBytes, Server } from "@veltix/core";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Bars } from "./bars.ts";
import { filesOf, sha256Of } from "./files.ts";
import { receiveFiles } from "./receiver.ts";
import { sendFiles } from "./sender.ts";

const USAGE = "Usage: main.ts [receive FOLDER PORT | send FOLDER PORT [HOST]]";
const MIB = 1024 * 1024;

/** Sends a folder, and shows how far it is. */
async function send(folder: string, port: number, hostname?: string): Promise<void> {
  const entries = await filesOf(folder);
  await using client = new Client({ port, hostname, reconnect: true });
  await client.connect();
  console.log(`${entries.length} files, ${formatBytes(entries.reduce((sum, { size }) => sum + size, 0))}`);
  const bars = new Bars(entries);
  await sendFiles(client, entries, {
    progress: (entry, from, to) => bars.set(entry, from, to),
    done: (entry, sha256) => bars.done(entry, `SHA-256 ${sha256.slice(0, 12)}…`),
    lost: ({ message }) => bars.say(message),
  });
  bars.close();
}

/** Receives folders until the process is stopped. */
async function receive(folder: string, port: number): Promise<void> {
  const server = new Server({ port, hostname: "127.0.0.1" });
  receiveFiles(server, folder);
  await server.start();
  process.once("SIGINT", () => void server.close());
  const [address] = server.addresses;
  console.log(`Receiving at port ${"port" in address ? address.port : 0}; Ctrl-C ends it`);
  await server.closed;
  console.log("Closed");
}

/** Sends a folder to this process, and cuts the connection while its largest file is half there. */
async function demonstrate(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "folder-"));
  const [from, to] = [join(folder, "from"), join(folder, "to")];
  try {
    await mkdir(join(from, "more"), { recursive: true });
    for (const [path, size] of [["film.mp4", 24 * MIB], ["more/song.ogg", 5 * MIB], ["more/note.txt", 0]] as const) {
      await writeFile(join(from, path), new Uint8Array(size).map((_, i) => i * 31 + (i >> 8)));
    }
    await using server = new Server({ port: 0, hostname: "127.0.0.1" });
    let cut = false;
    receiveFiles(server, to, (path, bytes) => {
      if (cut || path !== "film.mp4" || bytes < 12 * MIB) return;
      cut = true;
      void server.clients[0].close("manual", { drain: 0 });
    });
    await server.start();
    const [address] = server.addresses;
    await send(from, "port" in address ? address.port : 0);
    for (const { path, location } of await filesOf(from)) {
      if (await sha256Of(location) !== await sha256Of(join(to, path))) {
        throw new Error(`${path} has other bytes than before`);
      }
    }
    console.log("Both folders are the same");
  } finally {
    await rm(folder, { recursive: true });
  }
}

const [command, folder, port, hostname] = process.argv.slice(2);
try {
  if (command === undefined) await demonstrate();
  else if (command === "receive" && port !== undefined) await receive(folder, Number(port));
  else if (command === "send" && port !== undefined) await send(folder, Number(port), hostname);
  else throw new TypeError(USAGE);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
