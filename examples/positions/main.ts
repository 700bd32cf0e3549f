/**
 * A game that tells 64 times a second where its 50 players are. A client on a fast connection gets every position. For
 * a client that is too slow, the newest position of each player takes the place of the one that still waits. It sees fewer
 * positions, but they are never ten seconds old.
 *
 *     deno run -A examples/positions/main.ts     bun run examples/positions/main.ts     node examples/positions/main.ts
 *
 * @module
 */

import { Client, type ConnectedClient, json, messageType, Server } from "@veltix/core";
import { setTimeout as sleep } from "node:timers/promises";

const PLAYERS = 50;
const RATE = 64;
const TICKS = 2 * RATE;
const POSITION = messageType(200, "position", json<{ player: number; tick: number; x: number; y: number }>());

await using server = new Server({ hostname: "127.0.0.1", port: 0 });
await server.start();

/** Connects a client, and returns it as the server has it. */
async function join(client: Client): Promise<ConnectedClient> {
  const joined = new Promise<ConnectedClient>((resolve) => server.on("connect", resolve, { once: true }));
  await client.connect();
  return await joined;
}

/** Waits for the last position of each player, which nothing replaces and which comes after all others of that player. */
function allPlayers(): { readonly done: Promise<void>; drawn(tick: number): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = PLAYERS;
  return {
    done: promise,
    drawn(tick): void {
      if (tick === TICKS && --left === 0) resolve();
    },
  };
}

await using fast = new Client({ ...server.addresses[0] });
const fastPlayers = allPlayers();
let drawn = 0;
fast.route(POSITION, ({ data }) => {
  drawn++;
  fastPlayers.drawn(data.tick);
});
await join(fast);

// It draws some 500 positions a second, and lets at most 4 KiB wait for that.
await using slow = new Client({ ...server.addresses[0], maxQueuedBytes: 4_096 });
const slowPlayers = allPlayers();
let seen = 0;
let newest = 0;
slow.route(POSITION, async ({ data }) => {
  newest = data.tick;
  if (++seen % 10 === 0) await sleep(20);
  slowPlayers.drawn(data.tick);
}, { ordered: true });
const slowOne = await join(slow);

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
await Promise.all([fastPlayers.done, slowPlayers.done]);

console.log(`${TICKS * PLAYERS} positions in ${TICKS / RATE} s`);
console.log(`the fast client got ${drawn}`);
console.log(`the slow client got ${seen}, and ${slowOne.stats().replaced} were replaced by newer ones`);
console.log(`at the end of the game it was ${behind} ticks behind, ${Math.round(behind * 1_000 / RATE)} ms`);
console.log(`at most ${most} bytes waited for it, some ${Math.round(most / PLAYERS)} for each player`);
