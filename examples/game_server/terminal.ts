/**
 * Plays the game in a terminal, by the arrow keys or W, A, S and D. The space bar stops, Q leaves.
 *
 *     node examples/game_server/terminal.ts [NAME] [PORT]     or bun …, or deno run -A …
 *
 * Without a terminal it prints a line each second.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Direction } from "./contract.ts";
import { GamePlayer } from "./player.ts";
import { draw, takeTerminal } from "./screen.ts";

/** How often it is drawn, in times a second. */
const FRAMES = 30;

const KEYS: Readonly<Record<string, Direction>> = Object.fromEntries([
  ...["\x1b[A", "\x1bOA", "w"].map((key) => [key, { x: 0, y: -1 }]),
  ...["\x1b[B", "\x1bOB", "s"].map((key) => [key, { x: 0, y: 1 }]),
  ...["\x1b[C", "\x1bOC", "d"].map((key) => [key, { x: 1, y: 0 }]),
  ...["\x1b[D", "\x1bOD", "a"].map((key) => [key, { x: -1, y: 0 }]),
  [" ", { x: 0, y: 0 }],
]);

const [name = `guest ${process.pid}`, port = "8080"] = process.argv.slice(2);
const me = new GamePlayer({ hostname: "127.0.0.1", port: Number(port) }, name);
const stop = new AbortController();
const { signal } = stop;
process.once("SIGINT", () => stop.abort());

/** Draws until `signal` is aborted. */
async function play(): Promise<void> {
  const giveBack = takeTerminal();
  process.stdin.on("data", (keys: Uint8Array) => {
    const key = new TextDecoder().decode(keys);
    if (key in KEYS) me.steer(KEYS[key]);
    if (key === "q" || key === "\x03") stop.abort(); // \x03 is Ctrl+C.
  });
  try {
    while (!signal.aborted) {
      const world = me.world.at(performance.now());
      if (world !== undefined) draw(world, me.id, status);
      await sleep(1_000 / FRAMES, undefined, { signal }).catch(() => {});
    }
  } finally {
    giveBack();
  }
}

let status = "";

/** Counts once a second. */
async function count(): Promise<void> {
  for (let last = { at: performance.now(), snapshots: 0 }; !signal.aborted;) {
    await sleep(1_000, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    const now = { at: performance.now(), snapshots: me.snapshots };
    const rate = Math.round(1_000 * (now.snapshots - last.snapshots) / (now.at - last.at)); // A timer may come late.
    last = now;
    const ping = await me.client.ping().catch(() => undefined);
    const players = me.world.at(performance.now())?.players.toSorted((a, b) => b.score - a.score) ?? [];
    const place = players.findIndex(({ id }) => id === me.id);
    status = place < 0 || ping === undefined
      ? `${name}: ${me.client.state}`
      : `${name}: ${players[place].score} coins, place ${place + 1} of ${players.length}; ` +
        `${rate} snapshots/s, ping ${ping.toFixed(1)} ms; q leaves`;
    if (!process.stdout.isTTY) console.log(status);
  }
}

try {
  await me.client.connect({ signal });
  await Promise.all([count(), process.stdout.isTTY && process.stdin.isTTY ? play() : undefined]);
} catch (error) {
  if (!signal.aborted) throw error;
}
await me.client.close();
process.exit(); // Standard input may still be read.
