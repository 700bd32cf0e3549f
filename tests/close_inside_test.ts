/** `close()` that is awaited by the very handlers it waits for. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type ConnectedClient, messageType, Server, text } from "../mod.ts";
import { ConnectionError } from "../src/errors.ts";
import { deferred, memoryWorld, Raw, serve, soon, turn, until } from "./session_support.ts";

const STOP = messageType(200, "stop", text, text);
const WAIT = messageType(201, "wait", text, text);
/** Longer than any test may take: what is waited for in vain shows. */
const DRAIN = { drain: 120_000 } as const;

/** A server, and clients of it. */
async function meet(
  protocol: string,
  count: number,
): Promise<{ readonly server: Server; readonly clients: readonly Client[] }> {
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  await server.start();
  const clients = Array.from({ length: count }, () => new Client({ ...server.addresses[0], protocol }));
  for (const client of clients) await client.connect();
  return { server, clients };
}

for (const protocol of ["native", "2.0"] as const) {
  describe(`close() that a handler awaits, ${protocol},`, () => {
    it("ends the server when that handler has answered", async () => {
      const { server, clients: [client] } = await meet(protocol, 1);
      server.route(STOP, async () => {
        await server.close(DRAIN);
        return "bye";
      });
      assertEquals(await client.request(STOP, ""), "bye");
      await server.closed;
      await client.close();
    });

    it("ends a client, also where it is called twice", async () => {
      const { server, clients: [client] } = await meet(protocol, 1);
      client.route(STOP, async () => {
        await Promise.all([client.close(DRAIN), client.close(DRAIN)]);
        return "bye";
      });
      assertEquals(await server.clients[0].request(STOP, ""), "bye");
      await client.closed;
      await server.close();
    });

    it("ends the connection of the sender", async () => {
      const { server, clients: [client] } = await meet(protocol, 1);
      server.route(STOP, async (_, sender) => {
        await sender.close("manual", DRAIN);
        return "bye";
      });
      assertEquals(await client.request(STOP, ""), "bye");
      await client.closed;
      await server.close();
    });

    it("waits for the handlers of others, and not for those that wait, too", async () => {
      const { server, clients } = await meet(protocol, 3);
      const gate = deferred();
      const order: string[] = [];
      server.route(WAIT, async () => {
        await gate.promise;
        order.push("waited");
        return "";
      });
      server.route(STOP, async () => {
        await server.close(DRAIN);
        order.push("closed");
        return "bye";
      });
      const waiting = clients[0].request(WAIT, "");
      await clients[0].ping();
      const stopping = [clients[1], clients[2], clients[2]].map((client) => client.request(STOP, ""));
      await Promise.all(clients.map((client) => client.ping().catch(() => {})));
      assertEquals(order, []);
      gate.resolve();
      assertEquals(await waiting, "");
      assertEquals(await Promise.all(stopping), ["bye", "bye", "bye"]);
      assertEquals(order, ["waited", "closed", "closed", "closed"]);
      await server.closed;
      for (const client of clients) await client.close();
    });

    it("waits for another connection to be over whose handler calls it", async () => {
      const { server, clients } = await meet(protocol, 2);
      const [, other] = server.clients;
      server.route(STOP, async () => {
        await (other as ConnectedClient).close("manual", DRAIN);
        return String(server.clients.length);
      });
      assertEquals(await clients[0].request(STOP, ""), "1");
      await clients[1].closed;
      for (const client of clients) await client.close();
      await server.close();
    });

    it("is over at once where a handler that does not wait calls it", async () => {
      const { server, clients: [client] } = await meet(protocol, 1);
      let closed: Promise<void> | undefined;
      server.route(STOP, () => {
        closed = server.close(DRAIN);
        return "bye";
      });
      assertEquals(await client.request(STOP, ""), "bye");
      await closed;
      assertEquals(server.clients.length, 0);
      await client.close();
    });

    it("waits for the handlers that come after one that calls it and does not wait", async () => {
      const { server, clients: [client] } = await meet(protocol, 1);
      const gate = deferred();
      const order: string[] = [];
      server.route(WAIT, async () => {
        await gate.promise;
        order.push("waited");
        return "";
      });
      server.route(STOP, (_, sender) => {
        if (order.push("called") === 1) {
          void sender.close("manual", DRAIN);
          return "bye";
        }
        return sender.close("manual", DRAIN).then(() => (order.push("closed"), "bye"));
      });
      // All three are there before the first is handled.
      const replies = [client.request(STOP, ""), client.request(WAIT, ""), client.request(STOP, "")];
      const settled = Promise.allSettled(replies);
      let lost = false;
      replies[2].catch(() => lost = true);
      await replies[0];
      // The last one is called behind the one that waits.
      await until(() => order.length === 2 || lost);
      gate.resolve();
      const codes = (await settled).map((result) => result.status === "fulfilled" ? result.value : result.reason.code);
      assertEquals([codes, order], [["bye", "", "bye"], ["called", "called", "waited", "closed"]]);
      await client.closed;
      await server.close();
    });

    it("waits for a handler that calls it later, for no longer than drain", async () => {
      const { server, clients: [client] } = await meet(protocol, 1);
      const after = deferred();
      server.route(STOP, async () => {
        await Promise.resolve();
        await server.close({ drain: 50 });
        after.resolve();
        return "too late";
      });
      await assertRejects(() => client.request(STOP, ""), ConnectionError);
      await after.promise;
      await client.close();
    });
  });
}

describe("close() whose drain is over while a handler runs", () => {
  for (const release of ["native", "2.0.0"] as const) {
    it(`cuts a ${release} peer that does not leave 0.1 s later`, async () => {
      const made = memoryWorld();
      const gate = deferred<string>();
      let called = false;
      await using served = await serve(made, release === "native" ? {} : { protocol: "2.0" }, (server) => {
        server.route(WAIT, () => {
          called = true;
          return gate.promise;
        });
      });
      const raw = await Raw.connect(made, served.address, release);
      await raw.send({ code: WAIT.code, requestId: 1, flags: release === "native" ? 1 : 0 });
      await until(() => called);
      let closed = false;
      void served.server.close({ drain: 1_000 }).then(() => closed = true);
      await made.clock.advance(990);
      await turn();
      assertEquals(closed, false);
      await made.clock.advance(200);
      assert(await soon(() => closed));
      gate.resolve("");
      await raw[Symbol.asyncDispose]();
    });
  }
});
