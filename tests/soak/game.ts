/**
 * A game of 64 Hz tells its clients where 50 players are, and one client is frozen (SIGSTOP) for a while. What waits for it
 * stays below one position of each player beside what the socket has been given, the others notice nothing, and when it
 * goes on it is soon where the game is.
 *
 * @module
 */

import { bytes, Client, messageType, Server, type TcpEndpoint } from "@veltix/core";
import { type Commands, play } from "../processes/role.ts";
import { sleep, until } from "../processes/waiting.ts";
import { count } from "./figures.ts";
import type { Context, Scenario } from "./scenario.ts";

const POSITION = messageType(200, "position", bytes);
const PLAYERS = 50;
const TICK_MS = 1_000 / 64;
/** A payload of four numbers, and its header. */
const SIZE = 16;
const UPDATE = PLAYERS * (16 + SIZE);

interface Figures {
  readonly ticks: number;
  /** The most that waited for the frozen client when a tick began, in bytes. */
  readonly most: number;
  readonly replaced: number;
  readonly sent: number;
}

/** See the module. */
export const game: Scenario = {
  name: "game",
  async run({ short, start, verdict }: Context): Promise<string> {
    const [others, span] = short ? [9, 3_000] : [49, 12_000];
    const server = await start(import.meta.url, "server");
    const watchers = await start(import.meta.url, "player", { port: server.told, clients: others });
    const victim = await start(import.meta.url, "player", { port: server.told, clients: 1, maxQueuedMessages: 64 });
    await server.call("begin");
    await sleep(1_000);
    victim.stop();
    await sleep(span);
    const before = await server.call<Figures>("figures");
    victim.go();
    const resumed = performance.now();
    await until("The client that was frozen has the newest", 30_000, async () => {
      return await server.call<number>("tick") - await victim.call<number>("oldest") < 64;
    }, 20);
    const caught = performance.now() - resumed;
    await server.call("finish");
    const { ticks, sent } = await server.call<Figures>("figures");
    const last = async (player: typeof victim): Promise<boolean> => await player.call<number>("oldest") === ticks;
    await until(
      "All have the last position of each player",
      10_000,
      async () => await last(victim) && await last(watchers),
      20,
    );
    const came = await watchers.call<{ came: number; wrong: number }>("came");
    const { wrong } = await victim.call<{ wrong: number }>("came");
    await watchers.end();
    await victim.end();
    await server.end();

    verdict.check(before.most <= 2 * UPDATE, `at most ${2 * UPDATE} bytes wait for the frozen client: ${before.most}`);
    verdict.check(before.replaced > 0, "positions of the frozen client are replaced");
    verdict.check(came.wrong + wrong === 0, `no position comes after a newer one of its player: ${came.wrong + wrong}`);
    return `${count(ticks)} ticks of ${PLAYERS} players to ${others + 1} clients, ${count(came.came)} of ` +
      `${count(sent * others)} at the others; frozen for ${span / 1_000} s: at most ${
        count(before.most)
      } bytes waited ` +
      `(one position of each: ${count(UPDATE)}), ${count(before.replaced)} replaced, up to date after ` +
      `${Math.round(caught)} ms`;
  },
};

async function serve(): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  await server.start();
  let [tick, most, sent] = [0, 0, 0];
  let timer: ReturnType<typeof setInterval> | undefined;
  const frozen = () => server.clients.at(-1)!;
  const step = (): void => {
    most = Math.max(most, frozen().stats().bufferedBytes);
    tick++;
    for (let player = 0; player < PLAYERS; player++) {
      const payload = new Uint8Array(SIZE);
      const view = new DataView(payload.buffer);
      view.setUint32(0, player);
      view.setUint32(4, tick);
      server.broadcast(POSITION, payload, { latest: player });
      sent++;
    }
  };
  return {
    ready: (server.addresses[0] as TcpEndpoint).port,
    begin(): void {
      const start = performance.now();
      timer = setInterval(() => {
        if (tick * TICK_MS < performance.now() - start) step();
      }, TICK_MS / 2);
    },
    finish: () => clearInterval(timer),
    tick: () => tick,
    figures: (): Figures => ({ ticks: tick, most, replaced: frozen().stats().replaced, sent }),
    close: () => server.close(),
  };
}

interface Players {
  readonly port: number;
  readonly clients: number;
  /** A frozen client takes sixteen times as many before anything waits for it. */
  readonly maxQueuedMessages?: number;
}

async function watch({ port, clients, maxQueuedMessages }: Players): Promise<Commands> {
  let [came, wrong] = [0, 0];
  const newest = Array.from({ length: clients }, () => new Array<number>(PLAYERS).fill(0));
  const watchers = newest.map((ticks) => {
    const client = new Client(maxQueuedMessages === undefined ? { port } : { port, maxQueuedMessages });
    client.route(POSITION, ({ data }) => {
      const view = new DataView(data.buffer, data.byteOffset);
      const player = view.getUint32(0);
      const tick = view.getUint32(4);
      came++;
      if (tick <= ticks[player]) wrong++;
      ticks[player] = tick;
    });
    return client;
  });
  for (const watcher of watchers) await watcher.connect();
  return {
    /** The tick of the oldest position that one of them still shows. */
    oldest: () => Math.min(...newest.flat()),
    came: () => ({ came, wrong }),
    close: () => Promise.all(watchers.map((watcher) => watcher.close())),
  };
}

if (import.meta.main) await play({ server: serve, player: watch });
