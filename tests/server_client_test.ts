/** Servers and clients as programs use them, on the sockets that "auto" stands for. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, json, messageType, Server, type TcpEndpoint, text } from "../mod.ts";
import { ConnectionError, MessageTypeError } from "../src/errors.ts";
import { itOnPosix } from "./posix.ts";
import { until } from "./session_support.ts";

const CHAT = messageType(200, "chat", text);
const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());

/** A server on a free port of this machine. */
async function started(config = {}): Promise<{ server: Server; address: TcpEndpoint }> {
  const server = new Server({ hostname: "127.0.0.1", port: 0, ...config });
  await server.start();
  return { server, address: server.addresses[0] as TcpEndpoint };
}

describe("a server and its clients", () => {
  for (const protocol of ["native", "2.0", "1.9", "1.7", "1.6.10", "1.6.3", "1.6.0", "1.3"]) {
    it(`talk in both directions when the server is set to ${protocol}`, async () => {
      const { server, address } = await started({ protocol });
      server.route(ADD, ({ data }) => data.a + data.b);
      const heard: string[] = [];
      server.route(CHAT, ({ data }, client) => {
        heard.push(data);
        client.send(CHAT, `${client.id} said ${data}`);
      });
      const client = new Client({ ...address, protocol: protocol === "1.3" ? "1.3" : "auto" });
      client.route(CHAT, ({ data }) => void heard.push(data));
      client.route(ADD, ({ data }) => Promise.resolve(data.a * data.b));
      await client.connect();
      assertEquals(await client.request(ADD, { a: 2, b: 5 }), 7);
      client.send(CHAT, "hello");
      await until(() => heard.length === 2);
      assertEquals(heard, ["hello", "1 said hello"]);
      const [info] = server.clients;
      assertEquals(await info.request(ADD, { a: 2, b: 5 }), 10);
      assert(await client.ping() >= 0 && await info.ping() >= 0);
      assertEquals([info.ip, info.id, info.connected], ["127.0.0.1", 1, true]);
      const spoken = protocol === "2.0" ? "native" : client.stats().protocol!;
      assertEquals([info.protocol.startsWith(spoken.slice(0, 3)), client.state], [true, "connected"]);
      await Promise.all([client.close(), server.close()]);
      assertEquals([client.state, server.clients, server.addresses], ["disconnected", [], []]);
    });
  }

  itOnPosix("meet at a unix socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "veltix-"));
    try {
      const path = join(folder, "socket");
      await using server = new Server({ listen: [{ path }] });
      server.route(ADD, ({ data }) => data.a + data.b);
      await server.start();
      await using client = new Client({ path });
      await client.connect();
      assertEquals(await client.request(ADD, { a: 1, b: 1 }), 2);
      assertEquals([server.clients[0].ip, server.clients[0].port], ["", 0]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("hold a code for one type each, and give it back with unroute()", async () => {
    const { server } = await started();
    const client = new Client();
    for (const side of [server, client]) {
      side.route(CHAT, () => {});
      const error = assertThrows(() => side.route(messageType(200, "other"), () => {}), MessageTypeError);
      assertEquals((error as MessageTypeError).code, "code-taken");
      assertEquals([side.unroute(CHAT), side.unroute(CHAT)], [true, false]);
      side.route(messageType(200, "other"), () => {});
      assertThrows(() => side.route(ADD, undefined as never), TypeError);
      assertThrows(() => (side as Server).on("nothing" as never, () => {}), TypeError);
    }
    await server.close();
  });

  it("say why they can't connect or listen", async () => {
    const { server, address } = await started();
    const busy = new Server({ ...address });
    assertEquals((await assertRejects(() => busy.start(), ConnectionError) as ConnectionError).code, "address-in-use");
    await server.close();
    const client = new Client({ ...address });
    assertEquals((await assertRejects(() => client.connect(), ConnectionError) as ConnectionError).code, "refused");
    assertEquals(client.state, "disconnected");
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    assertEquals(await client.connect({ signal }).catch((error) => error), reason);
  });

  it("number clients from 1 and go on numbering", async () => {
    const { server, address } = await started();
    const ids: number[] = [];
    server.on("connect", ({ id }) => ids.push(id));
    for (let i = 0; i < 3; i++) {
      await using client = new Client({ ...address });
      await client.connect();
    }
    await until(() => ids.length === 3);
    assertEquals(ids, [1, 2, 3]);
    await server.close();
  });
});

describe("a client that floods a server with slow handlers", () => {
  it("leaves another's ping to be answered in the midst of them", async () => {
    const SLOW = messageType(230, "slow");
    let handled = 0;
    await using server = new Server({ port: 0, hostname: "127.0.0.1" });
    server.route(SLOW, () => {
      handled++;
      for (const until = performance.now() + 0.1; performance.now() < until;);
    });
    await server.start();
    const [address] = server.addresses;
    await using flooding = new Client({ ...address });
    await using other = new Client({ ...address });
    await flooding.connect();
    await other.connect();
    const count = 5_000;
    for (let i = 0; i < count; i++) flooding.send(SLOW, new Uint8Array(0));
    const meanwhile: number[] = [];
    while (handled < count) {
      const before = handled;
      await other.ping();
      meanwhile.push(handled - before);
    }
    // On an idle machine some 300 each on Deno, which looks at sockets every 20 ms, and fewer on others.
    assert(meanwhile.length > 1, `handed out meanwhile: ${meanwhile}`);
  });
});
