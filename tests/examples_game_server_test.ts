/**
 * The game, as a user starts it on this runtime, and its parts. Its page in a browser is looked at by `deno task screenshot`.
 *
 * @module
 */

import { Client } from "@veltix/core";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { it } from "@std/testing/bdd";
import { contract, RATE, WORLD } from "../examples/game_server/contract.ts";
import { Interpolation } from "../examples/game_server/interpolation.ts";
import { type Snapshot, snapshotCodec } from "../examples/game_server/snapshot.ts";
import { World } from "../examples/game_server/world.ts";
import { INTERRUPTED, Program } from "./examples_support.ts";
import { describeOnPosix } from "./posix.ts";

const BOTS = 5;
const TICK = 1_000 / RATE;

function snapshotAt(tick: number, x: number): Snapshot {
  return { tick, players: [{ id: 7, x, y: 4, score: 3 }], coins: [] };
}

/** Enters the game, goes to the left, and resolves with the first snapshot that shows it. */
async function play(client: Client, name: string): Promise<Snapshot> {
  const moved = Promise.withResolvers<Snapshot>();
  let first: number | undefined;
  let id = 0;
  client.route(contract.world, ({ data }) => {
    const me = data.players.find((player) => player.id === id);
    if (me === undefined) return;
    first ??= me.x;
    if (me.x < first || me.x === 1) moved.resolve(data);
  });
  const named = new Promise<void>((resolve) => {
    client.route(contract.names, ({ data }) => data.some(([, one]) => one === name) && resolve());
  });
  await client.connect();
  id = await client.request(contract.enter, name);
  client.send(contract.steer, { x: -5, y: 0 });
  await named;
  return await moved.promise;
}

describeOnPosix("examples/game_server", () => {
  it("moves players of TCP and of the page in one world, and ends at Ctrl+C with its bots", async () => {
    await using server = new Program("game_server/server.ts", "0", "--bots", `${BOTS}`);
    const [, port, url] = await server.find(/at port (\d+), and its page at (http:\S+);/);

    const page = await fetch(`${url}?name=x`).then((response) => response.text());
    const [, script] = /src="([^"]+)"/.exec(page)!;
    const loaded = await fetch(new URL(script, url));
    assertEquals([loaded.status, (await loaded.text()).length > 10_000], [200, true]);
    const missing = await fetch(new URL("/nothing", url));
    assertEquals([missing.status, await missing.text()], [404, "Nothing is here\n"]);
    // Bun asks for "/" then, the others for "//", which is no URL.
    assert((await fetch(`${url}/`).then(async (one) => (await one.text(), one.status))) < 500);

    await using near = new Client({ hostname: "127.0.0.1", port: Number(port) });
    await using far = new Client({ url: `${url.replace("http", "ws")}veltix` });
    for (const [client, name] of [[near, "Ann"], [far, "Bob"]] as const) {
      assertEquals((await play(client, name)).coins.length, 12);
    }
    // The bots collect coins.
    const collected = Promise.withResolvers<void>();
    near.unroute(contract.world);
    near.route(contract.world, ({ data }) => {
      if (data.players.length === BOTS + 2 && data.players.some(({ score }) => score > 0)) collected.resolve();
    });
    await collected.promise;

    await using terminal = new Program("game_server/terminal.ts", "Cid", port);
    await terminal.find(/Cid: \d+ coins, place \d of 8; \d+ snapshots\/s, ping [\d.]+ ms/);
    terminal.interrupt();
    assertEquals(await terminal.end(), INTERRUPTED, terminal.text);

    server.interrupt();
    assertEquals([await server.end(), server.text.endsWith("The game is over\n")], [INTERRUPTED, true], server.text);
  });

  it("sends a snapshot in 8 bytes a player, and takes no other length", () => {
    const snapshot = { ...snapshotAt(2 ** 32 - 1, 159), coins: [{ x: 1.5, y: 83 }, { x: 0, y: 0 }] };
    const bytes = snapshotCodec.encode(snapshot) as Uint8Array;
    assertEquals(bytes.length, 8 + 8 + 2 * 4);
    assertEquals(snapshotCodec.decode(bytes), snapshot);
    // A payload is a view of a larger chunk.
    const chunk = new Uint8Array(bytes.length + 6);
    chunk.set(bytes, 3);
    assertEquals(snapshotCodec.decode(chunk.subarray(3, -3)), snapshot);
    for (const wrong of [bytes.subarray(0, -1), bytes.subarray(0, 7), new Uint8Array(0), chunk]) {
      assertThrows(() => snapshotCodec.decode(wrong), RangeError);
    }
  });

  it("draws between two snapshots, a little in the past", () => {
    const world = new Interpolation();
    const xAt = (now: number): number | undefined => world.at(now)?.players[0].x;
    assertEquals(xAt(0), undefined);
    for (let tick = 100; tick <= 108; tick++) world.push(snapshotAt(tick, tick), tick * TICK);
    // 60 ms before tick 108, in units of a tick.
    const past = 108 - 60 / TICK;
    assert(Math.abs(xAt(108 * TICK)! - past) < 0.2);
    assert(Math.abs(xAt(108.5 * TICK)! - past - 0.5) < 0.2);
    assertEquals([xAt(0), xAt(1_000 * TICK)], [100, 108]); // Nothing is made up before or after.
    // One that comes 50 ms late moves nothing.
    const before = xAt(109 * TICK);
    world.push(snapshotAt(109, 109), 109 * TICK + 50);
    assert(Math.abs(xAt(109 * TICK)! - before!) < 0.2);
    // A server that was started anew begins at 0.
    world.push(snapshotAt(1, 55), 200 * TICK);
    assertEquals(xAt(200 * TICK), 55);
  });

  it("lets nobody be faster, leave the world, or break it", () => {
    const world = new World();
    for (let id = 1; id <= 64; id++) world.add(id);
    world.steer(1, { x: 1e9, y: 0 });
    for (const wrong of [{ x: NaN, y: 0 }, { x: "1", y: null }, {}]) world.steer(2, wrong as never);
    world.steer(99, { x: 1, y: 1 });
    const [start, second] = world.snapshot().players;
    world.step();
    const [moved] = world.snapshot().players;
    assert(moved.x - start.x <= 24 / RATE + 1e-9);
    for (let i = 0; i < 10 * RATE; i++) world.step();
    const [there, still] = world.snapshot().players;
    assertEquals([there.x, still.x, still.y], [WORLD.width - 1, second.x, second.y]);
    world.remove(1);
    assertEquals(world.snapshot().players.length, 63);
  });
});
