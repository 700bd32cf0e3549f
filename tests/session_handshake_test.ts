/** Promise 5, as far as it goes without authenticate: handshakes happen beside everything else. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, messageType, text } from "../mod.ts";
import { HandshakeError } from "../src/errors.ts";
import { advanceUntil, Lines, memoryWorld, message, pass, Raw, serve, turn, until, WORLDS } from "./session_support.ts";
import { join } from "./wire_support.ts";

const NEWS = messageType(200, "news", text);
const ECHO = messageType(201, "echo", text, text);

for (const { name, make } of WORLDS) {
  describe(`handshakes, ${name},`, () => {
    it("of 200 silent peers keep no other waiting, and end by their own deadline", async () => {
      const made = await make();
      await using served = await serve(made, {}, (server) => server.route(ECHO, ({ data }) => data));
      const silent = await Promise.all(Array.from({ length: 200 }, () => made.transport.connect(served.address)));
      await until(() => served.server.stats().pendingHandshakes === 200);
      for (let i = 0; i < 3; i++) {
        const client = new Client({ ...served.address, transport: made.transport });
        await client.connect();
        assertEquals(await client.request(ECHO, "hi"), "hi");
        await client.close();
      }
      assertEquals([made.clock.now(), served.server.stats().pendingHandshakes], [0, 200]);
      let over = 0;
      const ended = Promise.all(silent.map(async (connection) => {
        try {
          while (await connection.read() !== null);
        } catch { /* It was cut. */ }
        over++;
        connection.abort();
      }));
      await made.clock.advance(4_990);
      await turn();
      assertEquals([over, served.server.stats().rejected, served.server.stats().pendingHandshakes], [0, 0, 200]);
      await pass(made.clock, 30, ended);
      await until(() => served.server.stats().rejected === 200);
      assert(served.events.of("rejected").every(([{ reason }]) => reason === "handshake-timeout"));
    });

    it("above maxPendingHandshakes close the oldest whose answer is not whole, however much of it came", async () => {
      const made = await make();
      const answer = message({ v: "2.0.0", meta: {} });
      for (const sent of [0, 1, answer.length - 1]) {
        await using served = await serve(made, { maxPendingHandshakes: 3 });
        const open = async (): Promise<Raw> => {
          const raw = new Raw(await made.transport.connect(served.address), "native");
          await raw.message();
          return raw;
        };
        const dripping = await open();
        await dripping.connection.write(answer.subarray(0, sent));
        const silent = [await open(), await open()];
        await turn();
        const fourth = await open();
        await dripping.end();
        const [{ reason, error }] = await served.events.next("rejected");
        assertEquals([reason, error instanceof HandshakeError], ["handshake-timeout", true]);
        assertEquals(served.server.stats().pendingHandshakes, 3);
        // The others go on.
        for (const raw of [...silent, fourth]) {
          await raw.connection.write(answer);
          await raw.message();
        }
        await until(() => served.server.clients.length === 3);
        for (const raw of [dripping, ...silent, fourth]) await raw[Symbol.asyncDispose]();
      }
    });

    it("see nothing but the handshake until they are done: no broadcast, no place among clients", async () => {
      const made = await make();
      await using served = await serve(made, {}, (server) => {
        server.on("connect", (client) => void client.send(NEWS, "welcome"));
      });
      await using raw = new Raw(await made.transport.connect(served.address), "native");
      await raw.message();
      assertEquals(served.server.broadcast(NEWS, "too early"), { sent: 0, dropped: 0, closed: 0 });
      assertEquals([served.server.clients, served.server.stats().connections], [[], 0]);
      const native = { versions: [1], features: {}, maxMessageSize: 100_000 };
      await raw.connection.write(message({ v: "2.0.0", meta: { native } }));
      assertEquals(await raw.message(), { result: "ok", native: { version: 1, features: {} } });
      assertEquals(new TextDecoder().decode((await raw.frame())!.content), "welcome");
      assertEquals(served.server.broadcast(NEWS, "now").sent, 1);
      assertEquals(new TextDecoder().decode((await raw.frame())!.content), "now");
    });

    it("tell why they fail, even to a peer that has said more than was read", async () => {
      const made = await make();
      await using served = await serve(made, { bufferSize: 1_024 });
      await using raw = new Raw(await made.transport.connect(served.address), "native");
      await raw.message();
      const nonsense = new Uint8Array(40_000);
      nonsense.set([0x40, 1, 0x7b]);
      await raw.connection.write(nonsense);
      assertEquals((await raw.message() as { result: string }).result, "error");
      assertEquals(await raw.end(), "fin");
      await served.events.next("rejected");
    });

    it("take frames that come in the same segment as message 2 of a Python client, after the connect event", async () => {
      const made = await make();
      const order: string[] = [];
      await using served = await serve(made, {}, (server) => {
        server.on("connect", () => order.push("connect"));
        server.route(NEWS, ({ data }) => void order.push(data));
      });
      await using raw = new Raw(await made.transport.connect(served.address), "2.0.0");
      await raw.message();
      await raw.connection.write(join(
        message({ v: "2.0.0", meta: {} }),
        raw.encode({ code: 200, content: "one" }, { code: 200, content: "two" }),
        raw.encode({ code: 200, content: "three" }).subarray(0, 9),
      ));
      await raw.connection.write(raw.encode({ code: 200, content: "three" }).subarray(9));
      await until(() => order.length === 4);
      assertEquals(order, ["connect", "one", "two", "three"]);
    });
  });
}

describe("a handshake", () => {
  it("that a native client does not wait for the end of is a protocol-error", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    await using raw = new Raw(await world.transport.connect(served.address), "native");
    await raw.message();
    const native = { versions: [1], features: {}, maxMessageSize: 100_000 };
    await raw.connection.write(join(message({ v: "2.0.0", meta: { native } }), raw.encode({ code: 200 })));
    await raw.end();
    const [{ reason }] = await served.events.next("rejected");
    assertEquals(reason, "protocol-error");
  });

  it("that fails is logged where nobody listens to rejected, and a port scan is not", async () => {
    const world = memoryWorld();
    const log = new Lines();
    const { Server } = await import("../mod.ts");
    const server = new Server({ hostname: "127.0.0.1", port: 0, transport: world.transport, logger: log });
    await server.start();
    const scan = await world.transport.connect(server.addresses[0]);
    scan.abort();
    const other = await world.transport.connect(server.addresses[0]);
    await other.write(new Uint8Array(10));
    await other.closeWrite();
    await until(() => server.stats().rejected === 2);
    assertEquals(log.lines.length, 1);
    await server.close();
    other.abort();
  });

  it("may be cut anywhere on its way, in both directions", async () => {
    for (const protocol of ["2.0", "1.6.3"]) {
      for (let cut = 1; cut < 160; cut += 7) {
        for (const side of ["client", "server"] as const) {
          const world = memoryWorld({
            faults: (info) => info.side === side ? { split: cut === 1 ? 1 : [cut] } : undefined,
          });
          await using served = await serve(world, { protocol }, (server) => server.route(ECHO, ({ data }) => data));
          const client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
          await client.connect();
          assertEquals(await client.request(ECHO, "x"), "x");
          await client.close();
        }
      }
    }
  });

  it("that breaks at any byte leaves neither side hanging", async () => {
    for (const kind of ["resetAfter", "closeAfter"] as const) {
      for (let at = 0; at < 260; at += 9) {
        for (const side of ["client", "server"] as const) {
          const world = memoryWorld({ faults: (info) => info.side === side ? { [kind]: at } : undefined });
          await using served = await serve(world);
          const client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
          const outcome = client.connect().then(() => client.ping({ timeout: 100 })).then(() => "well", () => "badly");
          await advanceUntil(world.clock, outcome, 1_000);
          await advanceUntil(world.clock, Promise.all([client.close(), served.server.close()]), 1_000);
          assertEquals([client.state, world.clock.pending], ["disconnected", 0], `${kind} ${at} ${side}`);
        }
      }
    }
  });
});
