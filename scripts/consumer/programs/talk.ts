/**
 * A server and a client over encryption, with streams in both directions, compression, and a session that outlives its
 * connection. All of it needs nothing but the network.
 *
 * @module
 */
import { bytes, Client, json, messageType, Server, streamType, type TcpEndpoint, text } from "@veltix/core";
import { Identity } from "@veltix/core/encryption";

const ADD = messageType(200, "add", json<{ a: number; b: number }>(), json<number>());
const BACK = messageType(201, "back", bytes, bytes);
const UPLOAD = streamType(202, "upload", { head: text, down: false, result: json<number>() });
const COUNT = streamType(203, "count", { head: json<number>(), up: false, down: json<number>(), result: text });

function check(good: boolean, what: string): void {
  if (!good) throw new Error(what);
}

const identity = await Identity.generate();
const features = { compression: true, resume: true };
const server = new Server({ port: 0, hostname: "127.0.0.1", encryption: { identity }, ...features });
server.route(ADD, ({ data }) => data.a + data.b);
server.route(BACK, ({ data }) => data);
server.stream(UPLOAD, async ({ readable }) => {
  let size = 0;
  const reader = readable.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) size += piece.value.length;
  return size;
});
server.stream(COUNT, async function* ({ head }): AsyncGenerator<number, string> {
  for (let i = 0; i < head; i++) yield i;
  return "counted";
});
await server.start();

const client = new Client({
  ...server.addresses[0] as TcpEndpoint,
  encryption: { trust: identity.publicKey },
  reconnect: true,
  ...features,
});
await client.connect();
check(client.security === "noise", `the connection is ${client.security}`);
check(await client.request(ADD, { a: 1, b: 2 }) === 3, "a sum is wrong");
const large = new Uint8Array(200_000).fill(7);
check((await client.request(BACK, large)).length === large.length, "a compressed message came back changed");

const upload = client.open(UPLOAD, "zeros");
const writer = upload.writable.getWriter();
for (let i = 0; i < 20; i++) await writer.write(new Uint8Array(100_000));
await writer.close();
check(await upload.result === 2_000_000, "an upload has another size");

const count = client.open(COUNT, 100);
const numbers: number[] = [];
const reader = count.readable.getReader();
for (let item = await reader.read(); !item.done; item = await reader.read()) numbers.push(item.value);
check(numbers.length === 100 && numbers.every((number, i) => number === i), "a stream of numbers is not in order");
check(await count.result === "counted", "a stream has another result");

await client.close();
await server.close();
console.log("done");
