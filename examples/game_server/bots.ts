/**
 * Players who need nobody: each goes to one coin after another. The server starts this program, so that their work is
 * not that of its process.
 *
 *     node examples/game_server/bots.ts PORT COUNT
 *
 * @module
 */

import process from "node:process";
import { RATE } from "./contract.ts";
import { GamePlayer } from "./player.ts";
import type { Snapshot } from "./snapshot.ts";

/** How many snapshots a bot sleeps through before it looks where to go. */
const PATIENCE = 8;

const [port, count] = process.argv.slice(2).map(Number);

/** Starts one bot. */
async function start(number: number): Promise<void> {
  const bot: GamePlayer = new GamePlayer({ hostname: "127.0.0.1", port }, `bot ${number}`, (snapshot) => {
    if ((snapshot.tick + number) % PATIENCE === 0) steer(bot, number, snapshot);
  });
  bot.client.on("disconnect", () => void bot.client.close()); // Without the server a bot has nothing to do.
  await bot.client.connect().catch(({ message }: Error) => console.error(`bot ${number}: ${message}`));
}

function steer(bot: GamePlayer, number: number, { tick, players, coins }: Snapshot): void {
  const me = players.find(({ id }) => id === bot.id);
  if (me === undefined) return;
  // Each has another plan, and another one every two seconds: or they would all go the same way.
  const plan = 7 * number + 5 * Math.floor((tick + 37 * number) / (2 * RATE));
  const { x, y } = coins[plan % coins.length];
  bot.steer({ x: x - me.x, y: y - me.y });
}

await Promise.all(Array.from({ length: count }, (_, i) => start(i + 1)));
