/**
 * The server restarts again and again under the load of clients with `reconnect` and `queueWhileDown`: no request fails, and
 * each gets its own answer.
 *
 * @module
 */

import { Client, json, messageType, Server, type TcpEndpoint } from "@veltix/core";
import { freePort } from "../processes/free_port.ts";
import { type Commands, play } from "../processes/role.ts";
import { sleep, until } from "../processes/waiting.ts";
import { Random } from "../wire_support.ts";
import { count } from "./figures.ts";
import type { Context, Scenario } from "./scenario.ts";

interface Question {
  readonly client: number;
  readonly n: number;
}

const ASK = messageType(200, "ask", json<Question>(), json<Question & { readonly square: number }>());
const CLIENTS = 20;
/** Requests under way, a client. */
const LOOPS = 4;
/** How long what runs may take, in milliseconds. */
const DRAIN = 1_000;

interface Tally {
  readonly answered: number;
  readonly wrong: number;
  readonly failed: readonly string[];
  readonly connects: number;
}

/** See the module. */
export const restarts: Scenario = {
  name: "restarts",
  async run({ short, seed, start, verdict }: Context): Promise<string> {
    const wanted = short ? 10 : 100;
    const random = new Random(seed);
    const server = await start(import.meta.url, "server", { seed });
    const clients = await start(import.meta.url, "clients", { port: server.told });
    for (let i = 0; i < wanted; i++) {
      await until(
        "All clients are connected",
        10_000,
        async () => await server.call<number>("connections") === CLIENTS,
        5,
      );
      await sleep(random.below(60));
      await server.call(random.below(2) === 0 ? "restart" : "closeAndStart");
    }
    const { answered, wrong, failed, connects } = await clients.call<Tally>("finish");
    await clients.end();
    await server.end();
    verdict.check(failed.length === 0, `no request fails: ${failed.length} do, the first with ${failed[0]}`);
    verdict.check(wrong === 0, `every answer is the right one: ${wrong} are not`);
    verdict.check(answered > wanted * CLIENTS, `there is load: ${answered} requests`);
    verdict.check(connects >= wanted * CLIENTS, `all clients come back each time: ${connects} connections`);
    return `${wanted} restarts, ${count(answered)} requests of ${CLIENTS} clients, ${failed.length} failed, ` +
      `${wrong} wrong, ${count(connects)} connections`;
  },
};

async function serve({ seed }: { seed: number }): Promise<Commands> {
  const random = new Random(seed);
  // A port of its own: close() and start() of a server on port 0 would take another each time.
  const server = new Server({ port: await freePort(), hostname: "127.0.0.1" });
  // Some answers take a while, so that a restart finds work under way.
  server.route(ASK, ({ data }) => {
    const answer = { ...data, square: data.n * data.n };
    return random.below(4) === 0 ? sleep(random.below(20)).then(() => answer) : answer;
  });
  await server.start();
  return {
    ready: (server.addresses[0] as TcpEndpoint).port,
    connections: () => server.clients.length,
    restart: () => server.restart({ drain: DRAIN }),
    async closeAndStart(): Promise<void> {
      await server.close({ drain: DRAIN });
      await server.start();
    },
    close: () => server.close(),
  };
}

async function ask({ port }: { port: number }): Promise<Commands> {
  let stopped = false;
  let answered = 0;
  let wrong = 0;
  let connects = 0;
  const failed: string[] = [];
  const clients = Array.from(
    { length: CLIENTS },
    () => new Client({ port, reconnect: { delay: 20, maxDelay: 200 }, queueWhileDown: true }),
  );
  const loop = async (client: Client, index: number, first: number): Promise<void> => {
    for (let n = first; !stopped; n += LOOPS) {
      try {
        const answer = await client.request(ASK, { client: index, n });
        answered++;
        if (answer.client !== index || answer.n !== n || answer.square !== n * n) wrong++;
      } catch (error) {
        failed.push(String(error));
        await sleep(1);
      }
    }
  };
  for (const client of clients) {
    client.on("connect", () => void connects++);
    await client.connect();
  }
  const loops = clients.flatMap((client, i) => Array.from({ length: LOOPS }, (_, k) => loop(client, i, k)));
  return {
    async finish(): Promise<Tally> {
      stopped = true;
      await Promise.all(loops);
      return { answered, wrong, failed, connects };
    },
    close: () => Promise.all(clients.map((client) => client.close())),
  };
}

if (import.meta.main) await play({ server: serve, clients: ask });
