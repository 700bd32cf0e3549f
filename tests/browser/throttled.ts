/**
 * Pages in the background, whose timers come once in a while.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sleep, until } from "../processes/waiting.ts";
import { Cable } from "./cable.ts";
import type { Scenario } from "./scenario.ts";
import { urlOf } from "./stage.ts";
import { TYPES } from "./types.ts";

/** How rarely timers come, in milliseconds, where browsers have a minute; and a heartbeat that is as much faster. */
const THROTTLE = 2_000;
const HEARTBEAT = { idle: 500, timeout: 500 };
const LIMIT = 20_000;
/** How long a page is in the background, in milliseconds. In Chromium, its timers come once a minute by then. */
const BEHIND = 75_000;
/** A heartbeat that would kill a page several times by then. */
const QUICK = { idle: 5_000, timeout: 5_000 };

/** The scenarios. */
export const THROTTLED: readonly Scenario[] = [
  {
    name: "a page whose timers come rarely stays connected, is told apart from a dead one, and keeps its time limits",
    ways: ["ws"],
    async run(stage, way): Promise<void> {
      const ends: string[] = [];
      await using served = await stage.serve(way, { heartbeat: HEARTBEAT }, (server) => {
        server.route(TYPES.add, ({ data }) => data.a + data.b);
        server.on("disconnect", (_, { reason }) => ends.push(reason));
      });
      await using cable = await Cable.listen(served.port);
      await using page = await stage.open(THROTTLE);
      await page.call("connect", { url: urlOf(way, cable.port), heartbeat: HEARTBEAT });
      await sleep(4 * THROTTLE);
      assertEquals([await page.call("add", 1, 2), ends], [3, []]);
      assertEquals((await page.call("report")).events, ["connect"]);
      // From here on nothing comes any more, so the server is as good as dead.
      cable.lose();
      const began = performance.now();
      const error = await page.call("add", 1, 2, 100).then(() => undefined, (error) => error);
      assert(String(error).includes("TimeoutError"), `${error}`);
      const took = performance.now() - began;
      assert(took < 2 * THROTTLE, `after ${took} ms`);
      await until("The page's end", LIMIT, async () => (await page.call("report")).state === "disconnected");
      assertEquals((await page.call("report")).events, ["connect", "disconnect: heartbeat"]);
    },
  },
  {
    name: "a page in the background for more than a minute stays connected, and comes back after a cut",
    ways: ["ws"],
    long: true,
    async run(stage, way): Promise<void> {
      const ends: string[] = [];
      await using served = await stage.serve(way, { heartbeat: QUICK, resume: true }, (server) => {
        server.route(TYPES.add, ({ data }) => data.a + data.b);
        server.on("disconnect", (_, { reason }) => ends.push(reason));
      });
      await using cable = await Cable.listen(served.port);
      await using page = await stage.open();
      const url = urlOf(way, cable.port);
      await page.call("connect", { url, heartbeat: QUICK, reconnect: true, resume: true });
      await using _front = await stage.open();
      const rare = page.call("rarest", BEHIND);
      assertEquals(await page.tab.evaluate("document.visibilityState"), "hidden");
      const between = await rare;
      assert(between > 900, `its timers come every ${between} ms`);
      assertEquals([ends, (await page.call("report")).events], [[], ["connect"]]);
      cable.cut();
      await until(
        "The session's return",
        LIMIT,
        async () => (await page.call("report")).events.includes("resumed"),
      );
      assertEquals([await page.call("add", 1, 2), ends], [3, []]);
    },
  },
];
