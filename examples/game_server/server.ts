/**
 * A game for 64 players. 64 times a second the world moves, and all players are told where everybody is.
 *
 *     node examples/game_server/server.ts [PORT] [--page PORT] [--bots N]     or bun …, or deno run -A …
 *
 * The page is at the next port, unless another one is named. There are 62 bots, which leaves room for two people.
 *
 * @module
 */

import { Server } from "@veltix/core";
import { webSocketHandler } from "@veltix/core/websocket";
import { spawn } from "node:child_process";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { contract, RATE } from "./contract.ts";
import { servePage } from "./page/serve.ts";
import { World } from "./world.ts";

const { positionals: [port = "8080"], values } = parseArgs({
  allowPositionals: true,
  options: { page: { type: "string" }, bots: { type: "string", default: "62" } },
});

// Small writes are sent at once, and who is silent is found early: right for a game.
const server = new Server({ hostname: "127.0.0.1", port: Number(port), performanceMode: "high", maxConnections: 64 });
const world = new World();

server.route(contract.enter, ({ data: name }, client) => {
  client.setTag("name", name.slice(0, 20));
  world.add(client.id);
  tellNames();
  return client.id;
});
server.route(contract.steer, ({ data }, client) => world.steer(client.id, data));
server.on("disconnect", (client) => {
  world.remove(client.id);
  tellNames();
});

/** Tells all players who is there. A newer list takes the place of one that still waits. */
function tellNames(): void {
  const names = server.clientsByTag("name").map((client) => [client.id, String(client.getTag("name"))] as const);
  server.broadcast(contract.names, names, { latest: "names" });
}

/**
 * Moves the world until `signal` is aborted. A tick that comes late is made up for, so that the world keeps its time.
 * For a player whose connection is too slow, `latest` puts the newest world in the place of the one that still waits.
 */
async function play(signal: AbortSignal): Promise<void> {
  const began = performance.now();
  for (let tick = 1; !signal.aborted; tick++) {
    world.step();
    server.broadcast(contract.world, world.snapshot(), { to: { tag: "name" }, latest: "world" });
    await sleep(Math.max(0, began + tick * 1_000 / RATE - performance.now()));
  }
}

await server.start();
const [address] = server.addresses;
const actual = "port" in address ? address.port : 0;
const site = await servePage(Number(values.page ?? (port === "0" ? 0 : actual + 1)), webSocketHandler(server));
console.log(`The game is at port ${actual}, and its page at http://127.0.0.1:${site.port}/; Ctrl+C ends it`);

const script = fileURLToPath(new URL("./bots.ts", import.meta.url));
const run = "Deno" in globalThis ? ["run", "-A"] : [];
const bots = spawn(process.execPath, [...run, script, `${actual}`, values.bots], {
  stdio: ["ignore", "inherit", "inherit"],
  detached: true, // Ctrl+C ends this program, and the bots go when it has gone.
});

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());
await play(stop.signal);
await server.close(); // The bots hear that the server goes away, and leave.
await site.close();
if (bots.exitCode === null) await new Promise((resolve) => bots.once("exit", resolve));
console.log("The game is over");
