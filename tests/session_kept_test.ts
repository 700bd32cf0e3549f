/** Payloads may be kept: no later read changes one, however the bytes were cut, in whatever buffers they came. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, messageType } from "../mod.ts";
import { serve, until, WORLDS } from "./session_support.ts";
import { Random } from "./wire_support.ts";

const DATA = messageType(200, "data", bytes);
const COUNT = 400;

describe("a payload that a handler keeps", () => {
  for (const world of WORLDS) {
    it(`stays as it was, ${world.name}`, async () => {
      const random = new Random(77);
      const made = await world.make();
      const kept: Uint8Array[] = [];
      await using served = await serve(made, {}, (server) => {
        server.route(DATA, ({ content }) => void kept.push(content));
      });
      const client = new Client({ ...served.address, socketCore: made.transport });
      await client.connect();
      const sizes = Array.from({ length: COUNT }, () => random.pick([0, 30, 700, 4_080, 65_520, 65_536, 150_000]));
      for (const [n, size] of sizes.entries()) {
        client.send(DATA, new Uint8Array(size).fill(n));
        await client.ready();
      }
      await until(() => kept.length === COUNT);
      assertEquals(kept.map(({ length }) => length), sizes);
      const changed = kept.flatMap((content, n) => content.every((byte) => byte === (n & 255)) ? [] : [n]);
      assertEquals(changed, []);
      await client.close();
    });
  }
});
