/** Starting again on the same addresses, and what happens when calls cross. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, ConnectionError, HandshakeError, messageType, Server, text } from "../mod.ts";
import { itOnPosix } from "./posix.ts";
import { deferred, HOST, Lines, memoryWorld, Raw, Recorder, serve, turn, until, WORLDS } from "./session_support.ts";

const ECHO = messageType(200, "echo", text, text);
const EVENTS = ["listening", "connect", "disconnect", "closing", "close", "rejected", "handshake", "error"];

for (const { name, make } of WORLDS) {
  describe(`restart(), ${name},`, () => {
    it("keeps the port, the routes, the listeners and the count, and cuts nothing that still runs", async () => {
      const made = await make();
      const hold = deferred();
      await using served = await serve(made, {}, (server) => {
        server.route(ECHO, async ({ data }) => {
          if (data === "wait") await hold.promise;
          return data;
        });
      });
      const { server } = served;
      const events = new Recorder(server, EVENTS);
      const client = new Client({ ...served.address, transport: made.transport });
      await client.connect();
      const asked = client.request(ECHO, "wait");
      await client.ping();
      const restarting = server.restart();
      let closed = false;
      server.closed.then(() => closed = true);
      // With a real socket it takes some turns until the listener is closed.
      await until(() => server.clients.length === 0);
      hold.resolve();
      assertEquals(await asked, "wait");
      await restarting;
      assertEquals([server.addresses, closed], [[served.address], false]);
      await client.closed;
      await client.connect();
      assertEquals(await client.request(ECHO, "again"), "again");
      await client.close();
      await events.next("disconnect");
      await events.next("disconnect");
      assertEquals(
        events.all.map(([event, first]) => event === "connect" ? `connect ${(first as { id: number }).id}` : event),
        [
          "handshake",
          "connect 1",
          "closing",
          "disconnect",
          "close",
          "listening",
          "handshake",
          "connect 2",
          "disconnect",
        ],
      );
      await server.close({ drain: 0 });
      assertEquals([closed, made.clock.pending], [true, 0]);
    });

    it("works 20 times in a row while clients connect, and loses no port", async () => {
      const made = await make();
      await using served = await serve(made, {}, (server) => server.route(ECHO, ({ data }) => data));
      const { server, address } = served;
      let answered = 0;
      let stop = false;
      const clients = [1, 2, 3].map(async () => {
        while (!stop) {
          const client = new Client({ ...address, transport: made.transport, logger: new Lines() });
          try {
            await client.connect();
            await client.request(ECHO, "x");
            answered++;
          } catch (error) {
            assert(
              error instanceof ConnectionError || error instanceof HandshakeError ||
                (error as { code?: string }).code === "going-away",
              `${error}`,
            );
          }
          await client.close({ drain: 0 });
          await turn();
        }
      });
      for (let i = 0; i < 20; i++) {
        const before = answered;
        await until(() => answered > before);
        await server.restart({ drain: i % 2 === 0 ? 0 : 5_000 });
        assertEquals(server.addresses, [address]);
      }
      stop = true;
      await Promise.all(clients);
      await server.close({ drain: 0 });
      assertEquals([served.events.of("error"), made.clock.pending], [[], 0]);
    });

    it("of a server that is not running starts it, and one that was closed comes back to its port", async () => {
      const made = await make();
      await using server = new Server({ hostname: HOST, port: 0, transport: made.transport });
      const events = new Recorder(server, EVENTS);
      await server.restart();
      const { addresses } = server;
      assertEquals(addresses.length, 1);
      await server.close({ drain: 0 });
      await server.restart();
      assertEquals(server.addresses, addresses);
      assertEquals(events.all.map(([event]) => event), ["listening", "closing", "close", "listening"]);
    });

    it("shares one promise with calls that cross it, start() among them", async () => {
      const made = await make();
      await using served = await serve(made);
      const { server } = served;
      const events = new Recorder(server, EVENTS);
      const first = server.restart();
      assertStrictEquals(server.restart(), first);
      assertStrictEquals(server.start(), first);
      await Promise.all([first, server.restart({ drain: 0 })]);
      assertEquals(events.all.map(([event]) => event), ["closing", "close", "listening"]);
      const again = server.restart();
      assert(again !== first);
      await again;
    });

    it("is called off by close(), at whatever moment it comes: the server ends closed", async () => {
      const made = await make();
      for (let moment = 0; moment < 25; moment++) {
        const served = await serve(made, { hostname: HOST });
        const { server } = served;
        const raw = await Raw.connect(made, served.address, "native");
        const restarting = server.restart({ drain: 0 }).then(() => "restarted", (error) => error);
        for (let i = 0; i < moment; i++) await (i < 20 ? undefined : turn());
        const { closed } = server;
        await server.close({ drain: 0 });
        await closed;
        const outcome = await restarting;
        if (outcome !== "restarted") {
          assertInstanceOf(outcome, ConnectionError);
          assertEquals([outcome.code, outcome.message], [
            "closed",
            "Cannot restart the server: it was closed meanwhile",
          ]);
        }
        assertEquals([server.addresses, made.clock.pending], [[], 0], `moment ${moment}`);
        await turn();
        assertEquals(server.addresses, []);
        await raw[Symbol.asyncDispose]();
        await server.start();
        assertEquals(server.addresses.length, 1);
        await server.close({ drain: 0 });
      }
    });

    it("during close() starts the server when it is closed, on the same port; the last call counts", async () => {
      const made = await make();
      for (let moment = 0; moment < 25; moment++) {
        const served = await serve(made);
        const { server, address } = served;
        const raw = await Raw.connect(made, address, "native");
        const closing = server.close({ drain: 0 });
        for (let i = 0; i < moment % 5; i++) await undefined;
        const restarting = server.restart();
        const outcomes = [restarting];
        let last: "open" | "closed" = "open";
        if (moment >= 5) {
          void server.close();
          last = "closed";
        }
        if (moment >= 10) {
          outcomes.push(server.restart());
          last = "open";
        }
        await closing;
        await Promise.allSettled(outcomes);
        assertEquals(server.addresses, last === "open" ? [address] : []);
        await raw[Symbol.asyncDispose]();
        await server.close({ drain: 0 });
        assertEquals([server.addresses, made.clock.pending], [[], 0]);
      }
    });

    it("after a close() that called one off starts the server all the same, at whatever moment", async () => {
      const made = await make();
      for (let moment = 0; moment < 25; moment++) {
        await using served = await serve(made);
        const { server, address } = served;
        const first = server.restart().catch(() => {});
        for (let i = 0; i < moment; i++) await (i < 20 ? undefined : turn());
        const closing = server.close();
        await server.restart();
        await Promise.all([first, closing]);
        assertEquals(server.addresses, [address], `moment ${moment}`);
      }
    });

    it("hurries with drain 0 while another waits patiently", async () => {
      const made = await make();
      const hold = deferred();
      await using served = await serve(made, {}, (server) => server.route(ECHO, () => hold.promise.then(() => "")));
      const client = new Client({ ...served.address, transport: made.transport });
      await client.connect();
      const asked = client.request(ECHO, "").catch(() => {});
      await client.ping();
      const patient = served.server.restart();
      await turn();
      await served.server.restart({ drain: 0 });
      await patient;
      await asked;
      assertEquals([made.clock.now(), served.server.addresses], [0, [served.address]]);
      hold.resolve();
      await client.close();
    });
  });
}

describe("restart()", () => {
  it("refuses a wrong drain, and nothing is closed", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    assertThrows(() => served.server.restart({ drain: -1 }), RangeError, "drain must be");
    assertThrows(() => served.server.restart({ drain: "1" as never }), TypeError, "drain must be");
    assertEquals(served.server.addresses.length, 1);
  });

  it("that cannot listen again rejects, settles closed, and may be tried again", async () => {
    const world = memoryWorld();
    let refuse = false;
    const transport: typeof world.transport = {
      ...world.transport,
      listen: (...args) =>
        refuse
          ? Promise.reject(new ConnectionError("address-in-use", "Cannot listen: taken"))
          : world.transport.listen(...args),
    };
    await using server = new Server({ hostname: HOST, port: 0, transport });
    await server.start();
    refuse = true;
    const { closed } = server;
    const error = await assertRejects(() => server.restart(), ConnectionError) as ConnectionError;
    await closed;
    assertEquals([error.code, server.addresses, world.clock.pending], ["address-in-use", [], 0]);
    refuse = false;
    await server.restart();
    assertEquals(server.addresses.length, 1);
  });

  itOnPosix("keeps each of several listeners where it was, a unix socket too", async () => {
    const folder = mkdtempSync(join(tmpdir(), "veltix-"));
    try {
      const path = join(folder, "socket");
      const hostname = HOST;
      await using server = new Server({
        listen: [{ hostname, port: 0 }, { path }, { hostname, port: 0, protocol: "1.6.3" }],
      });
      server.route(ECHO, ({ data }) => data);
      await server.start();
      const before = server.addresses;
      assertNotEquals(before[0], before[2]);
      for (let i = 0; i < 3; i++) {
        await server.restart();
        assertEquals(server.addresses, before);
        for (const address of before) {
          const client = new Client({ ...address });
          await client.connect();
          assertEquals(await client.request(ECHO, "x"), "x");
          await client.close();
        }
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("from inside a handler or a listener ends in a server that listens", async () => {
    const world = memoryWorld();
    const done = deferred<void>();
    await using served = await serve(world, {}, (server) => {
      server.route(ECHO, () => (done.resolve(server.restart()), ""));
    });
    const client = new Client({ ...served.address, transport: world.transport });
    await client.connect();
    await client.request(ECHO, "").catch(() => {});
    await done.promise;
    let times = 0;
    served.server.on("closing", () => void served.server.close());
    served.server.on("close", () => void (times++ === 0 && served.server.start()));
    await served.server.restart().catch(() => {});
    await until(() => served.server.addresses.length === 1);
    await client.close();
  });
});
