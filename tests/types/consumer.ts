/**
 * A program of a user without one annotation, as in section 3 of the design: what its types are is inferred. It is
 * compiled against the packed package, with the oldest TypeScript and the smallest `lib` that are promised.
 *
 * @module
 */

import {
  caller,
  Client,
  errorOf,
  implement,
  isErrorOf,
  json,
  messageType,
  messageTypes,
  Server,
  streamType,
  text,
} from "@veltix/core";

const CHAT = messageType(200, "chat", text);
const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
const UPLOAD = streamType(202, "upload", { head: text, down: false, result: json<number>() });
const COUNT = streamType(203, "count", { head: json<number>(), up: false, down: json<number>(), result: text });

const server = new Server({ port: 8080 });
server.route(CHAT, (message, client) => {
  server.broadcast(CHAT, `${client.id}: ${message.data}`, { except: [client] });
});
server.route(ADD, ({ data, meta, setReplyMeta }) => {
  setReplyMeta({ ...meta, a: "b" });
  return data.a + data.b;
});
server.on("disconnect", (client, { reason }) => client.id.toFixed() + reason.length);
server.stream(UPLOAD, async ({ head, readable }) => {
  const { value } = await readable.getReader().read();
  return head.length + (value?.length ?? 0);
});
// deno-lint-ignore explicit-function-return-type
server.stream(COUNT, async function* ({ head, signal }) {
  for (let i = 0; i < head && !signal.aborted; i++) yield i;
  return "done";
});
const contract = messageTypes({
  divide: { payload: json<{ a: number; b: number }>(), reply: json<number>(), errors: ["by-zero"] },
  shout: text,
  numbers: { stream: { head: json<number>(), up: false, down: json<number>() } },
}, { from: 300 });
const routes = implement(server, contract, {
  divide: ({ data }) => {
    if (data.b === 0) throw errorOf(contract.divide, "by-zero", `${data.a} cannot be divided by 0`);
    return data.a / data.b;
  },
  shout: ({ data }, client) => void client.send(CHAT, data.toUpperCase()),
  // deno-lint-ignore explicit-function-return-type
  numbers: async function* ({ head }) {
    for (let i = 0; i < head; i++) yield i;
  },
}, { routes: { divide: { ordered: true } } });
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
const upload = client.open(UPLOAD, "a.txt");
await upload.writable.getWriter().write(new Uint8Array(1));
(await upload.result).toFixed();
const count = client.open(COUNT, 3);
const first = await count.readable.getReader().read();
first.value?.toFixed();
(await count.result).toUpperCase();
const api = caller(client, contract, { timeout: 1_000 });
api.shout("hello");
try {
  (await api.divide({ a: 1, b: 0 })).toFixed();
} catch (error) {
  if (isErrorOf(error, contract.divide)) error.code satisfies "by-zero";
}
for await (const number of api.numbers(3)) number.toFixed();
routes.remove();
await client.close();
await server.close();
