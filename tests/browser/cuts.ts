/**
 * Pages whose connections are cut.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { sleep, until } from "../processes/waiting.ts";
import { Cable } from "./cable.ts";
import type { Scenario } from "./scenario.ts";
import { urlOf, WAYS } from "./stage.ts";
import { TYPES } from "./types.ts";

/** How long a client may take to come back, in milliseconds. */
const LIMIT = 20_000;
const SOON = { delay: 20, maxDelay: 20 };

/** The scenarios. */
export const CUTS: readonly Scenario[] = [
  {
    name: "a session with resume goes on after cuts: nothing is lost, and nothing comes twice",
    ways: WAYS,
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      const seen: number[] = [];
      let ticks = 0;
      await using served = await stage.serve(way, { resume: true }, (server) => {
        server.route(TYPES.number, ({ data }) => {
          seen.push(data);
          return data;
        });
      });
      await using cable = await Cable.listen(served.port);
      await using page = await stage.open();
      await page.call("connect", { url: urlOf(way, cable.port), reconnect: SOON, resume: true });
      const [client] = served.server.clients;
      const asking = page.call("numbers", 400);
      let done = false;
      asking.then(() => done = true, () => done = true);
      while (!done) {
        // Messages go the other way meanwhile.
        for (let i = 0; i < 20; i++) client.send(TYPES.tick, ticks++);
        const before = seen.length;
        await until("The next requests", LIMIT, () => done || seen.length >= before + 40, 2);
        if (!done) cable.cut();
      }
      assertEquals(await asking, []);
      assertEquals(seen, Array.from({ length: 400 }, (_, i) => i));
      client.send(TYPES.news, "done");
      await page.call("news");
      const report = await page.call("report");
      assertEquals([report.ticks, report.inversions], [ticks, 0]);
      const resumed = report.events.filter((event) => event === "resumed").length;
      assert(resumed >= 5, `${resumed} times`);
      assertEquals(report.events.filter((event) => event.startsWith("disconnect") || event === "connect"), ["connect"]);
    },
  },
  {
    name: "a client with reconnect comes back after a cut, and after its server was away",
    ways: WAYS,
    quick: ["ws"],
    async run(stage, way): Promise<void> {
      await using served = await stage.serve(way, {}, (server) => {
        server.route(TYPES.add, ({ data }) => data.a + data.b);
      });
      await using cable = await Cable.listen(served.port);
      await using page = await stage.open();
      await page.call("connect", { url: urlOf(way, cable.port), reconnect: SOON });
      const back = (times: number): Promise<void> =>
        until("The client's return", LIMIT, async () => {
          const { events } = await page.call("report");
          return events.filter((event) => event === "connect").length === times;
        });
      cable.cut();
      await back(2);
      assertEquals(await page.call("add", 1, 2), 3);
      cable.dead = true;
      cable.cut();
      await sleep(200);
      cable.dead = false;
      await back(3);
      assertEquals(await page.call("add", 2, 2), 4);
      const { events } = await page.call("report");
      assertEquals(events.filter((event) => event.startsWith("error")), []);
      assertEquals(new Set(events), new Set(["connect", "disconnect: network-error"]));
    },
  },
];
