/**
 * Pages that do not read: what waits for them at the server stays within its limits.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sleep, until } from "../processes/waiting.ts";
import type { Scenario } from "./scenario.ts";
import { WAYS } from "./stage.ts";
import { DOWNLOAD, PIECE, type Sum, TYPES } from "./types.ts";

const MIB = 1024 * 1024;
const SIZE = 64 * MIB;
/** What a stream may be granted at the beginning, and at most, in bytes. */
const WINDOW = MIB;
/** The most bytes of pieces that wait to be written, see `docs/architecture.md`. */
const AHEAD = 256 * 1024 + 64 * 1024;
const HIGH_WATER = MIB;
const LIMIT = 30_000;

/** The scenarios. */
export const PRESSURE: readonly Scenario[] = [
  {
    name: "of 64 MiB in a stream that a page does not read, the server takes no more than the window and its buffer",
    ways: WAYS,
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      let written = 0;
      await using served = await stage.serve(way, {}, (server) => {
        server.stream(DOWNLOAD, async ({ head, writable }): Promise<Sum> => {
          const writer = writable.getWriter();
          for (const piece = new Uint8Array(PIECE); written < head; written += PIECE) await writer.write(piece);
          return { bytes: written, sha256: "" };
        });
      });
      await using page = await stage.open();
      const windows = { streamWindow: WINDOW, maxStreamWindow: WINDOW };
      await page.call("connect", { url: served.url, ...windows });
      const [client] = served.server.clients;
      await page.call("unread", SIZE);
      await until("The first window", LIMIT, () => written >= WINDOW);
      // What could be sent in the time of these is much more.
      for (let i = 0; i < 50; i++) await client.ping();
      assert(written <= WINDOW + AHEAD, `${written} bytes were taken`);
      const { bufferedBytes } = client.stats();
      assert(bufferedBytes <= AHEAD, `${bufferedBytes} bytes wait`);
    },
  },
  {
    name: "of 64 MiB in messages whose handlers do not end, the server keeps no more than its high-water mark",
    ways: ["ws"],
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      await using served = await stage.serve(way, { highWaterMark: HIGH_WATER });
      await using page = await stage.open();
      await page.call("connect", { url: served.url, maxConcurrentHandlers: 4, maxQueuedBytes: MIB });
      await page.call("hold");
      const [client] = served.server.clients;
      const message = new Uint8Array(PIECE);
      let sent = 0;
      const sending = (async (): Promise<void> => {
        for (; sent < SIZE; sent += PIECE) if (!client.send(TYPES.slow, message)) await client.ready();
        client.send(TYPES.news, "done");
      })();
      // It is looked at below, if the test gets there.
      sending.catch(() => {});
      await until("The first messages", LIMIT, async () => (await page.call("report")).slow === 4);
      // What could be sent in the time of these is much more.
      for (let i = 0; i < 50; i++) await client.ping();
      // Four are handled, so many wait in the page, and the rest waits here.
      assert(sent <= 4 * PIECE + MIB + HIGH_WATER + 2 * PIECE, `${sent} bytes were taken`);
      assert(client.stats().bufferedBytes <= HIGH_WATER + 2 * PIECE, `${client.stats().bufferedBytes} bytes wait`);
      await page.call("release");
      await sending;
      assertEquals(await page.call("news"), "done");
      assertEquals((await page.call("report")).slow, SIZE / PIECE);
    },
  },
  {
    name: "a page that stands still for seconds gets 64 MiB afterwards, which waited within the server's limits",
    ways: WAYS,
    async run(stage, way): Promise<void> {
      await using served = await stage.serve(way, { highWaterMark: HIGH_WATER });
      await using page = await stage.open();
      await page.call("connect", { url: served.url });
      const [client] = served.server.clients;
      const message = new Uint8Array(PIECE);
      const standing = page.call("block", 4_000);
      let [most, waited] = [0, 0];
      for (let sent = 0; sent < SIZE; sent += PIECE) {
        if (!client.send(TYPES.slow, message)) {
          most = Math.max(most, client.stats().bufferedBytes);
          waited++;
          await client.ready();
        }
      }
      client.send(TYPES.news, "done");
      await standing;
      assertEquals(await page.call("news"), "done");
      await sleep(0);
      assertEquals((await page.call("report")).slow, SIZE / PIECE);
      assert(waited > 0 && most <= HIGH_WATER + 2 * PIECE, `${most} bytes waited, ${waited} times`);
      assertEquals((await page.call("report")).state, "connected");
    },
  },
];
