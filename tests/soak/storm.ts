/**
 * The server of a thousand reconnecting clients goes away and comes back: they do not return in one moment, and they all
 * return.
 *
 * @module
 */

import { Client, Server, type TcpEndpoint } from "@veltix/core";
import { type Commands, play } from "../processes/role.ts";
import { sleep, until } from "../processes/waiting.ts";
import { count } from "./figures.ts";
import type { Child } from "./processes.ts";
import type { Context, Scenario } from "./scenario.ts";

const SLOT = 100;
/** The most of all attempts that one slot may hold. */
const SHARE = 0.05;

interface Attempts {
  /** When each began, by `Date.now`. */
  readonly times: readonly number[];
  readonly connected: number;
}

/** See the module. */
export const storm: Scenario = {
  name: "storm",
  async run({ short, start, verdict }: Context): Promise<string> {
    const [clients, away] = short ? [400, 2_500] : [1_000, 5_000];
    const first = await start(import.meta.url, "server", { port: 0 });
    const { port } = first.told as TcpEndpoint;
    const crowds: Child[] = [];
    for (let i = 0; i < 2; i++) crowds.push(await start(import.meta.url, "crowd", { port, clients: clients / 2 }));
    const look = async (): Promise<Attempts> => {
      const all = await Promise.all(crowds.map((crowd) => crowd.call<Attempts>("attempts")));
      return {
        times: all.flatMap(({ times }) => times),
        connected: all.reduce((sum, { connected }) => sum + connected, 0),
      };
    };
    verdict.check((await look()).connected === clients, "all are connected at first");
    const gone = Date.now();
    await first.kill();
    await sleep(away);
    verdict.check((await look()).connected === 0, "none is connected without a server");
    const second = await start(import.meta.url, "server", { port });
    const back = Date.now();
    let seen = await look();
    await until("All are connected again", 60_000, async () => {
      seen = await look();
      return seen.connected === clients;
    }, 100);
    const waited = Date.now() - back;
    const there = await second.call<number>("connections");
    for (const crowd of crowds) await crowd.end();
    await second.end();

    const attempts = seen.times.filter((time) => time >= gone);
    const slots = new Map<number, number>();
    for (const time of attempts) {
      const slot = Math.floor((time - gone) / SLOT);
      slots.set(slot, (slots.get(slot) ?? 0) + 1);
    }
    const late = [...slots].filter(([slot]) => slot >= 1_000 / SLOT);
    const fullest = Math.max(0, ...late.map(([, held]) => held));
    verdict.check(there === clients, `the server has all ${clients} again: ${there}`);
    verdict.check(attempts.length >= clients && fullest > 0, `they try again: ${attempts.length} attempts`);
    verdict.check(
      fullest <= SHARE * attempts.length,
      `no slot of ${SLOT} ms after the first second holds more than ${SHARE * 100} % of the attempts`,
    );
    return `${count(clients)} clients, ${
      count(attempts.length)
    } attempts, the fullest ${SLOT} ms after the first second ` +
      `has ${fullest} (${(100 * fullest / attempts.length).toFixed(2)} %), all back ${waited} ms after the server`;
  },
};

async function serve({ port }: { port: number }): Promise<Commands> {
  const server = new Server({ port, hostname: "127.0.0.1" });
  await server.start();
  return {
    ready: server.addresses[0],
    connections: () => server.clients.length,
    close: () => server.close(),
  };
}

async function crowd({ port, clients }: { port: number; clients: number }): Promise<Commands> {
  const times: number[] = [];
  const all = Array.from({ length: clients }, () => new Client({ port, reconnect: true }));
  await Promise.all(all.map((client) => client.connect()));
  for (const client of all) client.on("connecting", () => void times.push(Date.now()));
  return {
    attempts: (): Attempts => ({ times, connected: all.filter(({ state }) => state === "connected").length }),
    close: () => Promise.all(all.map((client) => client.close())),
  };
}

if (import.meta.main) await play({ server: serve, crowd });
