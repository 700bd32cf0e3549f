/**
 * A program of a user without one annotation, as in section 3 of the design: what its types are is inferred. It is
 * compiled against the packed package, with the oldest TypeScript and the smallest `lib` that are promised.
 *
 * @module
 */

import { Client, json, messageType, Server, text } from "@veltix/core";

const CHAT = messageType(200, "chat", text);
const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());

const server = new Server({ port: 8080 });
server.route(CHAT, (message, client) => {
  server.broadcast(CHAT, `${client.id}: ${message.data}`, { except: [client] });
});
server.route(ADD, ({ data, meta, setReplyMeta }) => {
  setReplyMeta({ ...meta, a: "b" });
  return data.a + data.b;
});
server.on("disconnect", (client, { reason }) => client.id.toFixed() + reason.length);
await server.start();

const client = new Client({ port: 8080 });
client.route(CHAT, (message) => message.data.toUpperCase());
await client.connect();
client.send(CHAT, "hello");
const sum = await client.request(ADD, { a: 1, b: 2 });
sum.toFixed();
client.send(CHAT, "hello", { meta: { traceparent: "00" } });
const { data, meta, latency } = await client.exchange(ADD, { a: 1, b: 2 }, { meta: { a: "b" }, timeout: 1_000 });
data.toFixed(latency);
`${meta.a}`.trim();
await client.close();
await server.close();
