/** Streams, metadata and latest values over plain sockets, TLS and encryption: they are the same over each of them. */

import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Client,
  type ConnectedClient,
  messageType,
  RemoteError,
  streamType,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { clientOf, PROTECTIONS, serverOf } from "./pairs/protection.ts";
import { HOST, Lines } from "./session_support.ts";
import { collect } from "./streams_support.ts";
import { Random } from "./wire_support.ts";

const ECHO = streamType(300, "echo", { head: text, result: text });
const FEED = streamType(301, "feed", { up: false, down: text });
const REFUSED = streamType(302, "refused");
const NOTE = messageType(310, "note", text);

/** More than four windows of bytes that do not shrink. */
const random = new Random(1);
const DATA = Uint8Array.from({ length: 300_000 }, () => random.below(256));

describe("over sockets", () => {
  for (const protection of PROTECTIONS) {
    it(`that are ${protection}: bytes both ways, items, results, errors, metadata, latest values and the end`, async () => {
      const log = new Lines();
      await using server = serverOf(protection, { hostname: HOST, port: 0 }, { logger: log });
      const joined = new Promise<ConnectedClient<unknown>>((resolve) => server.on("connect", resolve));
      await server.start();
      await using client = clientOf(protection, server.addresses[0] as TcpEndpoint, { logger: log });
      const { promise: held, resolve: holds } = Promise.withResolvers<void>();
      const { promise: gone, resolve: end } = Promise.withResolvers<unknown>();
      for (const side of [server, client] as const) {
        (side as Client).stream(ECHO, async ({ head, meta, readable, writable }) => {
          await readable.pipeTo(writable);
          return `${head} ${meta.trace}`;
        });
        (side as Client).stream(FEED, async function* (): AsyncGenerator<string> {
          for (let i = 0; i < 100; i++) yield `${i}`;
        });
        (side as Client).stream(REFUSED, () => Promise.reject(Object.assign(new Error("no"), { code: "unwanted" })));
      }
      await client.connect();
      const sides: readonly (Client | ConnectedClient<unknown>)[] = [client, await joined];
      for (const side of sides) {
        const echo = (side as Client).open(ECHO, "head", { meta: { trace: "t" } });
        const writer = echo.writable.getWriter();
        const written = writer.write(DATA).then(() => writer.close());
        assertEquals(await collect(echo.readable), DATA);
        assertEquals([await echo.result, await written], ["head t", undefined]);
        const items = await Array.fromAsync((side as Client).open(FEED).readable);
        assertEquals(items, Array.from({ length: 100 }, (_, i) => `${i}`));
        const refused = await assertRejects(() => (side as Client).open(REFUSED).result, RemoteError, "no");
        assertEquals(refused.code, "unwanted");
      }

      const notes: string[] = [];
      const { promise: last, resolve: over } = Promise.withResolvers<void>();
      server.route(NOTE, ({ data, meta }) => {
        notes.push(`${data} ${meta.trace}`);
        if (data === "3") over();
      });
      for (const note of ["1", "2", "3"]) client.send(NOTE, note, { latest: "key", meta: { trace: "t" } });
      await last;
      assertEquals(notes.at(-1), "3 t");
      assertEquals(notes.length + client.stats().replaced!, 3);

      server.unroute(ECHO);
      server.stream(ECHO, async ({ signal }) => {
        signal.addEventListener("abort", () => end(signal.reason));
        holds();
        await gone;
        return "";
      });
      const open = client.open(ECHO, "");
      const cut = assertRejects(() => open.result, Error);
      await held;
      await client.close({ drain: 0 });
      await cut;
      assertEquals((await gone as Error).name, "ConnectionError");
      // Nobody listens to errors, so those of the two handlers are logged, and there are no others.
      assertEquals(log.lines.map((line) => line.slice(0, 2)), [["error", "no"], ["error", "no"]]);
    });
  }
});
