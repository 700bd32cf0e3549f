/**
 * A sender that is faster than its receiver. `send` never blocks: it says when enough waits, and `ready` says when more may
 * be sent. So the sender runs at the receiver's pace, memory stays bounded, and nothing is lost.
 *
 *     deno run -A examples/backpressure/main.ts     bun run examples/backpressure/main.ts     node examples/backpressure/main.ts
 *
 * @module
 */

import { bytes, Client, messageType, Server } from "@veltix/core";

const MESSAGES = 10_000;
const BLOCK = messageType(200, "block", bytes);

await using server = new Server({ hostname: "127.0.0.1", port: 0 });
let received = 0;
const all = Promise.withResolvers<void>();
server.route(BLOCK, async () => {
  if (++received % 1_000 === 0) await new Promise((resolve) => setTimeout(resolve, 50)); // The disk is busy.
  if (received === MESSAGES) all.resolve();
}, { ordered: true });
await server.start();

await using client = new Client({ ...server.addresses[0] });
await client.connect();

let waits = 0;
let most = 0;
const block = new Uint8Array(4_096);
for (let i = 0; i < MESSAGES; i++) {
  const more = client.send(BLOCK, block);
  most = Math.max(most, client.stats().bufferedBytes ?? 0);
  if (more) continue;
  waits++;
  await client.ready();
}
await all.promise;
console.log(`${received} of ${MESSAGES} messages arrived, ${MESSAGES * block.length / 2 ** 20} MiB`);
console.log(`the sender waited ${waits} times; at most ${(most / 2 ** 20).toFixed(1)} MiB were in its memory`);
