/** One server, and a transport of its own for each of its listeners. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, ConnectionError, json, messageType, Server, text } from "../mod.ts";
import { FakeClock, memoryTransport } from "../src/adapters/memory.ts";
import type { TcpEndpoint } from "../src/base/address.ts";
import type { Listener, Transport } from "../src/transport.ts";
import { HOST, Lines, realTransport } from "./session_support.ts";

const ADD = messageType(200, "add", json<[number, number]>(), json<number>());
const NEWS = messageType(201, "news", text);

/** A transport, and what was asked of it. */
function noted(transport: Transport, name: string, log: string[]): Transport {
  return {
    ...transport,
    listen(at, options): Promise<Listener> {
      log.push(`${name} ${(at as TcpEndpoint).port}`);
      return transport.listen(at, options);
    },
  };
}

describe("a Server with two transports", () => {
  it("serves clients through both: routes, clients and broadcasts are shared", async () => {
    const memory = memoryTransport();
    const real = await realTransport();
    await using server = new Server({
      listen: [
        { hostname: HOST, port: 0 },
        { hostname: "inside", port: 7, transport: memory },
        { hostname: HOST, port: 0, transport: real },
      ],
    });
    server.route(ADD, ({ data: [a, b] }) => a + b);
    await server.start();
    const [first, inside, last] = server.addresses as TcpEndpoint[];
    assertEquals(inside, { hostname: "inside", port: 7 });
    assert(first.port > 0 && last.port > 0 && first.port !== last.port);
    const clients = [
      new Client({ ...first }),
      new Client({ ...inside, transport: memory }),
      new Client({ ...last, transport: real }),
    ];
    const heard = clients.map((client) => new Promise((resolve) => client.route(NEWS, ({ data }) => resolve(data))));
    for (const [i, client] of clients.entries()) {
      await client.connect();
      assertEquals(await client.request(ADD, [i, 1]), i + 1);
    }
    assertEquals(server.broadcast(NEWS, "all").sent, 3);
    assertEquals(await Promise.all(heard), ["all", "all", "all"]);
    // Each end is reached by its own sockets only.
    await assertRejects(() => new Client({ ...inside, port: 8, transport: memory }).connect(), ConnectionError);
    await Promise.all(clients.map((client) => client.close()));
  });

  it("asks each transport for its own listeners, and comes back to them after restart()", async () => {
    const log: string[] = [];
    const [a, b] = [memoryTransport(), memoryTransport()];
    await using server = new Server({
      transport: noted(a, "a", log),
      listen: [{ port: 1 }, { port: 1, transport: noted(b, "b", log) }, { port: 0 }],
    });
    await server.start();
    assertEquals(log.splice(0), ["a 1", "b 1", "a 0"]);
    const { port } = server.addresses[2] as TcpEndpoint;
    await server.restart();
    assertEquals(log, ["a 1", "b 1", `a ${port}`]);
    for (const [transport, at] of [[a, 1], [b, 1], [a, port]] as const) {
      await using client = new Client({ transport, port: at });
      await client.connect();
    }
  });

  it("listens nowhere when one of them cannot", async () => {
    const [a, b] = [memoryTransport(), memoryTransport()];
    await using taken = await b.listen({ hostname: "0.0.0.0", port: 2 });
    const server = new Server({ transport: a, listen: [{ port: 1 }, { port: 2, transport: b }] });
    await assertRejects(() => server.start(), ConnectionError);
    assertEquals(server.addresses, []);
    await using free = await a.listen({ hostname: "0.0.0.0", port: 1 });
    assert(taken.address !== free.address);
  });

  it("lives by the time of the server's transport, at every listener", async () => {
    const [own, other] = [new FakeClock(), new FakeClock()];
    const inside = memoryTransport({ clock: other });
    for (const given of [true, false]) {
      const mine = memoryTransport({ clock: own });
      const listen = given
        ? [{ port: 1, transport: inside }, { port: 2 }]
        : [{ port: 2, transport: mine }, { port: 1, transport: inside }];
      const server = new Server({ listen, handshakeTimeout: 1_000, ...given && { transport: mine } });
      const rejected: unknown[] = [];
      server.on("rejected", ({ reason }) => rejected.push(reason));
      await server.start();
      const silent = await inside.connect({ hostname: "0.0.0.0", port: 1 });
      await own.settle();
      await other.advance(60_000);
      assertEquals([rejected, server.stats().pendingHandshakes], [[], 1], `given: ${given}`);
      await own.advance(1_100);
      assertEquals(rejected, ["handshake-timeout"], `given: ${given}`);
      silent.abort();
      await own.advance(10_000);
      await server.close({ drain: 0 });
      assertEquals([own.pending, other.pending], [0, 0]);
    }
  });

  it("says how few sockets there may be, by the transport that knows of fewest", async () => {
    const log = new Lines();
    const knowing = (most: number | undefined): Transport => ({
      ...memoryTransport(),
      descriptors: () => Promise.resolve(most),
    });
    await using server = new Server({
      transport: knowing(undefined),
      listen: [{ port: 1 }, { port: 2, transport: knowing(500) }, { port: 3, transport: knowing(100) }],
      maxConnections: 90,
      maxPendingHandshakes: 20,
      logger: log,
    });
    await server.start();
    assertEquals(log.lines.length, 1);
    assert(String(log.lines[0][1]).includes("allow 110 connections, but this process may have 100 files"));
  });
});
