/**
 * Pages that are left, kept, shown again and closed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { TcpEndpoint } from "@veltix/core";
import { WebSocketChannel } from "../../src/adapters/web_socket/channel.ts";
import { limited, until } from "../processes/waiting.ts";
import type { Scenario } from "./scenario.ts";
import { type Page, type Served, type Stage, type Way, WAYS } from "./stage.ts";
import { TYPES } from "./types.ts";

/** How long the server may take to see that a page is left, in milliseconds. Its heartbeat would take longer. */
const AT_ONCE = 10_000;
const LIMIT = 20_000;
const SOON = { delay: 20, maxDelay: 20 };

/** Serves a page that has connected, and does something to it. Returns what the server has seen of the end. */
async function endOf(stage: Stage, way: Way, leave: (page: Page) => Promise<void>): Promise<[string, number[]]> {
  const codes: number[] = [];
  await using served = await stage.serve(way, {}, set);
  const { closed } = WebSocketChannel.prototype;
  WebSocketChannel.prototype.closed = function (code, ...more): void {
    // Those of other scenarios may end late.
    if ((this.local as TcpEndpoint).port === served.port) codes.push(code);
    closed.call(this, code, ...more);
  };
  try {
    await using page = await stage.open();
    await page.call("connect", { url: served.url });
    const ended = new Promise<string>((resolve) => {
      served.server.on("disconnect", (_, { reason }) => resolve(reason));
    });
    await leave(page);
    return [await limited("The end", AT_ONCE, ended), codes];
  } finally {
    WebSocketChannel.prototype.closed = closed;
  }
}

function set(server: Served["server"]): void {
  server.route(TYPES.add, ({ data }) => data.a + data.b);
}

/** The scenarios. */
export const LIVES: readonly Scenario[] = [
  {
    name: "the server sees at once that a page is left, closed or loaded again, whether the browser keeps it or not",
    ways: WAYS,
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      const again = `${stage.pages.origin}/?throttle=0`;
      const ends: Record<string, (page: Page) => Promise<void>> = {
        left: (page) => page.leave(),
        loaded: (page) => page.tab.load(again),
        closed: (page) => page.tab.close(),
      };
      for (const [name, leave] of Object.entries(ends)) {
        const [reason, codes] = await endOf(stage, way, leave);
        // The code of the library where the browser may keep the page, otherwise that of the browser.
        assert(codes.length === 1 && [1000, 1001].includes(codes[0]), `${name}: ${codes}`);
        assertEquals(reason, "peer-closed", name);
      }
    },
  },
  {
    name: "a page that is left and shown again works, whether the browser has kept it or not",
    ways: WAYS,
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      await using served = await stage.serve(way, { resume: { keep: 60_000 } }, set);
      await using page = await stage.open();
      const config = { url: served.url, reconnect: SOON, resume: true };
      await page.call("connect", config);
      await page.leave();
      await page.back();
      const { shows } = await page.call("report");
      const kept = shows.at(-1) === true;
      if (kept) {
        await until("The client's return", LIMIT, async () => (await page.call("report")).state === "connected");
      } else await page.call("connect", config);
      assertEquals(await page.call("add", 1, 2), 3);
      const { events } = await page.call("report");
      // What the browser has kept goes on with its session.
      assertEquals(events, kept ? ["connect", "suspended: network-error", "resumed"] : ["connect"]);
    },
  },
];
