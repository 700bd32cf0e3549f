/**
 * What another program does while it is found out whether a socket file is stale: scripted, on real files.
 *
 * @module
 */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { mkdtempSync, readdirSync, renameSync, rmSync, utimesSync } from "node:fs";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { listenAnew } from "../src/adapters/stale_socket.ts";
import { connectError, listenError, systemError } from "../src/adapters/system_errors.ts";
import type { Endpoint } from "../src/base/address.ts";
import type { Connection, Listener } from "../src/transport.ts";

const unix = process.platform === "win32" ? describe.skip : describe;

/** When a file was made, in seconds: long ago, or not a second ago however long the test takes. */
const OLD = 0;
const YOUNG = Date.UTC(2100) / 1000;

/** A folder with a socket file at which nobody listens, made at that time. */
async function withStale(made: number, body: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "veltix-stale-"));
  try {
    const path = join(folder, "a.sock");
    const server = await serve(join(folder, "old"));
    renameSync(join(folder, "old"), path);
    server.close();
    await once(server, "close");
    utimesSync(path, made, made);
    await body(path, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function serve(path: string): Promise<Server> {
  const server = createServer().listen(path);
  await once(server, "listening");
  return server;
}

/** Listens at `path`, where it is taken until the file is gone; `ask` says what comes of each question who is there. */
async function listenAt(path: string, folder: string, ask: () => Promise<Connection>): Promise<string> {
  const at: Endpoint = { path };
  const error = listenError(at, systemError("EADDRINUSE"));
  const listener = {} as Listener;
  const listen = (): Promise<Listener> =>
    readdirSync(folder).includes("a.sock") ? Promise.reject(error) : Promise.resolve(listener);
  const result = await listenAnew(at, listen, ask).catch((error) => error);
  if (result === listener) return "listens";
  assertStrictEquals(result, error);
  return "address-in-use";
}

unix("a stale socket file", () => {
  const refused = (path: string) => connectError({ path }, systemError("ECONNREFUSED"));

  it("is removed, old or young; a young one's server is asked twice", async () => {
    for (const [made, questions] of [[OLD, 1], [YOUNG, 2]]) {
      await withStale(made, async (path, folder) => {
        let asked = 0;
        const ask = () => Promise.reject((asked++, refused(path)));
        assertEquals([await listenAt(path, folder, ask), asked, readdirSync(folder)], ["listens", questions, []]);
      });
    }
  });

  it("stays where somebody answers, at once or the second time", async () => {
    for (const answers of [1, 2]) {
      await withStale(YOUNG, async (path, folder) => {
        let asked = 0;
        let ended = 0;
        const connection = { abort: () => void ended++ } as unknown as Connection;
        const ask = () => ++asked === answers ? Promise.resolve(connection) : Promise.reject(refused(path));
        assertEquals([await listenAt(path, folder, ask), ended, readdirSync(folder)], ["address-in-use", 1, [
          "a.sock",
        ]]);
      });
    }
  });

  it("stays where it is not known whether somebody is there", async () => {
    for (const code of ["EAGAIN", "EACCES", "ENOENT", "EMFILE"]) {
      await withStale(OLD, async (path, folder) => {
        const ask = () => Promise.reject(connectError({ path }, systemError(code)));
        assertEquals([await listenAt(path, folder, ask), readdirSync(folder)], ["address-in-use", ["a.sock"]]);
      });
    }
  });

  it("that another server has replaced meanwhile is not removed", async () => {
    await withStale(OLD, async (path, folder) => {
      let other: Server | undefined;
      const ask = async (): Promise<Connection> => {
        rmSync(path);
        other = await serve(path);
        throw refused(path);
      };
      assertEquals([await listenAt(path, folder, ask), readdirSync(folder)], ["address-in-use", ["a.sock"]]);
      other!.close();
      await once(other!, "close");
    });
  });
});
