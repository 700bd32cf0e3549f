import { Client, json, messageType, Server, streamType, text } from "@veltix/core";
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { AuthenticateContext } from "../src/server/authenticate.ts";
import { CA, pair } from "./tls_support.ts";

const ADD = messageType(200, "add", json<{ a: number; b: number }>(), json<number>());
const NEWS = messageType(201, "news", text);
const COUNT = streamType(202, "count", { head: json<number>(), down: json<number>() });

/** Starts a server that takes WebSockets, and bare sockets beside them. */
async function start(seen: AuthenticateContext[] = []): Promise<{ server: Server<true>; url: string; port: number }> {
  const server = new Server<true>({
    listen: [{ port: 0, hostname: "127.0.0.1", webSocket: { path: "/veltix" } }, { port: 0, hostname: "127.0.0.1" }],
    authenticate: (context) => {
      seen.push(context);
      return true;
    },
  });
  server.route(ADD, ({ data }) => data.a + data.b);
  server.stream(COUNT, async function* ({ head }): AsyncGenerator<number> {
    for (let i = 0; i < head; i++) yield i;
  });
  await server.start();
  const [webSocket, plain] = server.addresses as readonly { port: number }[];
  return { server, url: `ws://127.0.0.1:${webSocket.port}/veltix`, port: plain.port };
}

describe("a server with webSocket", () => {
  it("serves WebSockets and bare sockets with the same routes, streams and broadcasts", async () => {
    const seen: AuthenticateContext[] = [];
    const { server, url, port } = await start(seen);
    await using _ = server;
    await using client = new Client({ url: `${url}?room=7` });
    await using plain = new Client({ port });
    await Promise.all([client.connect(), plain.connect()]);
    const heard = Promise.all(
      [client, plain].map((one) => new Promise((resolve) => one.route(NEWS, ({ data }) => resolve(data)))),
    );
    assertEquals(await client.request(ADD, { a: 1, b: 2 }), 3);
    const counted: number[] = [];
    for await (const item of client.open(COUNT, 3).readable) counted.push(item);
    assertEquals(counted, [0, 1, 2]);
    assertEquals(server.broadcast(NEWS, "hello").sent, 2);
    assertEquals(await heard, ["hello", "hello"]);
    const requests = seen.map(({ request }) => request);
    assertEquals(requests.filter((request) => request !== undefined).length, 1);
    const request = requests.find((request) => request !== undefined)!;
    assertEquals(request.url.pathname + request.url.search, "/veltix?room=7");
    assert(request.headers.get("host")?.startsWith("127.0.0.1"));
    assertEquals([client.security, plain.security], ["none", "none"]);
  });

  it("serves them over TLS", async () => {
    await using server = new Server({
      listen: [{ port: 0, hostname: "127.0.0.1", webSocket: true, tls: { ...pair("server"), minVersion: "TLSv1.2" } }],
    });
    server.route(ADD, ({ data }) => data.a + data.b);
    await server.start();
    const { port } = server.addresses[0] as { port: number };
    await using client = new Client({ url: `wss://127.0.0.1:${port}/`, tls: { ca: CA } });
    await client.connect();
    assertEquals(await client.request(ADD, { a: 1, b: 2 }), 3);
    assertEquals([client.security, server.clients.map(({ security }) => security)], ["tls", ["tls"]]);
  });
});
