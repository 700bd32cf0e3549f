/**
 * Payloads may be kept: no later read changes one, however the bytes were cut, in whatever buffers they came. One that waits
 * keeps little more than itself.
 */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, messageType } from "../mod.ts";
import { deferred, memoryWorld, Raw, serve, until, WORLDS } from "./session_support.ts";
import { Random } from "./wire_support.ts";

const DATA = messageType(200, "data", bytes);
const BUSY = messageType(201, "busy", bytes);
const WAITING = messageType(202, "waiting", bytes);
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
      const client = new Client({ ...served.address, transport: made.transport });
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

describe("a payload that waits for a handler", () => {
  const CHUNK = 65_536;
  const credit = { credit: { window: CHUNK } };
  const peers = [
    { name: "a native peer", release: "native", features: credit, from: CHUNK * 15 / 16 },
    { name: "a native peer without credit", release: "native", features: {}, from: CHUNK / 4 },
    { name: "a Python 2.0.0 peer", release: "2.0.0", features: {}, from: CHUNK / 4 },
    { name: "a Python 1.6.3 peer", release: "1.6.3", features: {}, from: CHUNK / 4 },
  ] as const;

  for (const { name, release, features, from } of peers) {
    it(`is copied out of its chunk, unless it is most of it; of ${name} from ${from} of ${CHUNK} bytes on`, async () => {
      for (const size of [1, 100, from - 1, from]) {
        const gate = deferred();
        const buffers: Uint8Array[] = [];
        const made = memoryWorld();
        const protocol = release === "native" ? "2.0" : release;
        await using served = await serve(made, { protocol, maxConcurrentHandlers: 1 }, (server) => {
          server.route(DATA, ({ content }) => void buffers.push(content));
          server.route(BUSY, () => gate.promise);
          server.route(WAITING, ({ content }) => void buffers.push(content));
        });
        await using raw = await Raw.connect(made, served.address, release, { features });
        const frame = (code: number, size: number): { code: number; content: Uint8Array } => {
          return { code, content: new Uint8Array(size).fill(code) };
        };
        const frames = [frame(200, 1), frame(201, 1), frame(202, size)];
        const rest = CHUNK - raw.encode(...frames, frame(777, 0)).length;
        await raw.send(...frames, frame(777, rest));
        await until(() => served.server.clients[0]?.stats().queuedMessages === 2);
        gate.resolve();
        await until(() => buffers.length === 2);
        const [chunk, waited] = buffers;
        assertEquals([chunk.buffer.byteLength, waited.length], [CHUNK, size]);
        assertEquals(waited.buffer === chunk.buffer, size >= from, `${size} bytes`);
        if (size < from) assertEquals(waited.buffer.byteLength, size);
        assertEquals(waited, new Uint8Array(size).fill(202));
      }
    });
  }
});
