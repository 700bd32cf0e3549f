/**
 * A game that tells 64 times a second where its 50 players are. A client on a fast connection gets every position. For
 * a client that is too slow, the newest position of each player takes the place of the one that still waits. It sees fewer
 * positions, but they are never ten seconds old.
 *
 *     deno run -A examples/positions.ts     bun run examples/positions.ts     node examples/positions.ts
 *
 * @module
 */

import { Client, json, messageType, Server } from "@veltix/core";

const PLAYERS = 50;
const RATE = 64;
const TICKS = 2 * RATE;
const POSITION = messageType(200, "position", json<{ player: number; tick: number; x: number; y: number }>());
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

await using server = new Server({ hostname: "127.0.0.1", port: 0 });
await server.start();

await using fast = new Client({ ...server.addresses[0] });
let drawn = 0;
fast.route(POSITION, () => void drawn++);
await fast.connect();

// It draws some 500 positions a second, and lets at most 4 KiB wait for that.
await using slow = new Client({ ...server.addresses[0], maxQueuedBytes: 4_096 });
let seen = 0;
let newest = 0;
slow.route(POSITION, async ({ data }) => {
  newest = data.tick;
  if (++seen % 10 === 0) await sleep(20);
}, { ordered: true });
await slow.connect();
while (server.clients.length < 2) await sleep(1);

const [quickOne, slowOne] = server.clients;
const start = performance.now();
let most = 0;
for (let tick = 1; tick <= TICKS; tick++) {
  for (let player = 0; player < PLAYERS; player++) {
    const angle = tick / RATE + player;
    const position = { player, tick, x: Math.round(1_000 * Math.cos(angle)), y: Math.round(1_000 * Math.sin(angle)) };
    server.broadcast(POSITION, position, { latest: player });
  }
  await sleep(Math.max(0, start + tick * 1_000 / RATE - performance.now()));
  most = Math.max(most, slowOne.stats().bufferedBytes);
}
const behind = TICKS - newest;
// Each position is drawn, or was replaced by a newer one.
while (seen + slowOne.stats().replaced < TICKS * PLAYERS) await sleep(10);
while (drawn + quickOne.stats().replaced < TICKS * PLAYERS) await sleep(10);

console.log(`${TICKS * PLAYERS} positions in ${TICKS / RATE} s`);
console.log(`the fast client got ${drawn}`);
console.log(`the slow client got ${seen}, and ${slowOne.stats().replaced} were replaced by newer ones`);
console.log(`at the end of the game it was ${behind} ticks behind, ${Math.round(behind * 1_000 / RATE)} ms`);
console.log(`at most ${most} bytes waited for it, some ${Math.round(most / PLAYERS)} for each player`);
