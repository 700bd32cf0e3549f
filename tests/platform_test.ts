/** Which class finds sockets and threads: that of the entry does, that of the core takes what it is given. */

import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, ConfigError, messageType, Server, text } from "../mod.ts";
import { Client as CoreClient } from "../src/client/client.ts";
import { Server as CoreServer } from "../src/server/server.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import type { TcpEndpoint } from "../src/base/address.ts";

const UPPER = messageType(200, "upper", text, text);

/** The text of an error that names `names` in this order. */
function unsupported(fn: () => unknown, ...names: string[]): void {
  const { code, message } = assertThrows(fn, ConfigError);
  assertEquals([code, names.filter((name) => !message.includes(name))], ["unsupported", []], message);
}

describe("the classes of the entry", () => {
  it("have the names and the types of those of the core", () => {
    const [server, client] = [new Server(), new Client()];
    assertEquals([Server.name, server.constructor.name, Client.name, client.constructor.name], [
      "Server",
      "Server",
      "Client",
      "Client",
    ]);
    for (const Peer of [Server, CoreServer]) assertInstanceOf(server, Peer);
    for (const Peer of [Client, CoreClient]) assertInstanceOf(client, Peer);
    // The same in the eyes of the compiler.
    const ours: Server = new CoreServer({ transport: memoryTransport() });
    const theirs: CoreClient = client;
    assert(ours !== undefined && theirs === client);
  });

  it("find the sockets of the runtime, as a class made of one of them does", async () => {
    class Named extends Server {
      readonly label = "mine";
    }
    await using server = new Named({ hostname: "127.0.0.1", port: 0 });
    server.route(UPPER, ({ data }) => data.toUpperCase());
    await server.start();
    const { hostname, port } = server.addresses[0] as TcpEndpoint;
    await using client = new Client({ hostname, port, transport: "auto" });
    await client.connect();
    assertEquals([await client.request(UPPER, "a"), server.label], ["A", "mine"]);
  });

  it("hand themselves to handlers", async () => {
    const transport = memoryTransport();
    await using server = new Server({ transport });
    await server.start();
    await using client = new Client({ transport });
    const peer = new Promise((resolve) => client.route(UPPER, (_, peer) => (resolve(peer), "")));
    server.on("connect", (peer) => peer.send(UPPER, ""));
    await client.connect();
    assertStrictEquals(await peer, client);
  });
});

describe("the classes of the core", () => {
  it("do their work over a Transport that they are given", async () => {
    const transport = memoryTransport();
    await using server = new CoreServer({ transport });
    server.route(UPPER, ({ data }) => data.toUpperCase());
    await server.start();
    await using client = new CoreClient({ transport });
    await client.connect();
    assertEquals(await client.request(UPPER, "hello"), "HELLO");
  });

  it("refuse a transport by name, and none at all, and say what to do", () => {
    for (const Peer of [CoreClient, CoreServer]) {
      unsupported(() => new Peer(), 'transport "auto" cannot be loaded', "give a Transport", "@veltix/core");
      for (const transport of ["auto", "bun", "deno", "node"] as const) {
        unsupported(() => new Peer({ transport }), `transport "${transport}" cannot be loaded`, "give a Transport");
      }
    }
  });

  it("refuse it in a listener, too, and need none for the server where each listener has its own", async () => {
    const transport = memoryTransport();
    unsupported(() => new CoreServer({ transport, listen: [{}, { transport: "auto" }] }), 'listen[1].transport "auto"');
    unsupported(() => new CoreServer({ listen: [{ transport }, {}] }), 'transport "auto" cannot be loaded');
    await using server = new CoreServer({ listen: [{ transport, port: 1 }, { transport, port: 2 }] });
    await server.start();
    for (const port of [1, 2]) {
      await using client = new CoreClient({ transport, port });
      await client.connect();
    }
  });

  it("refuse worker routes, and their code stays free", () => {
    for (const Peer of [CoreClient, CoreServer]) {
      const peer = new Peer({ transport: memoryTransport() });
      unsupported(() => peer.workerRoute(UPPER, "file:///w.ts"), "workerRoute() cannot start threads", "@veltix/core");
      peer.route(UPPER, () => "");
    }
  });
});
