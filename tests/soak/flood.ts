/**
 * One client floods a server that has a rate limit, beside 99 quiet ones: the quiet ones hardly notice, and the flooding
 * one is served at its rate.
 *
 * @module
 */

import { bytes, Client, type ConnectedClient, messageType, Server, type TcpEndpoint } from "@veltix/core";
import { type Commands, play } from "../processes/role.ts";
import { sleep } from "../processes/waiting.ts";
import { count, median, ms, quantile } from "./figures.ts";
import type { Context, Scenario } from "./scenario.ts";

const FLOOD = messageType(200, "flood", bytes);
const ASK = messageType(201, "ask", bytes, bytes);
const QUIET = 99;
/** The flood is cut while thousands of its messages wait: that is said, and anything else is too much. */
const CUT = /^Client \d+ is gone, and \d+ of its messages were not handled$/;
const LOGGER = {
  warn: (text: unknown): void => void (CUT.test(String(text)) || console.error(text)),
  error: (error: unknown): void => console.error(error),
};
/** A quiet client asks every so many milliseconds. */
const PACE = 100;
/** Messages a second; a second's worth may come at once. */
const RATE = 1_000;
/** What a p99 may lie above twice the other: what one connection is served in a turn, 2 ms, and a timer's granularity. */
const NOISE = 3;

/** See the module. */
export const flood: Scenario = {
  name: "flood",
  async run({ short, start, verdict }: Context): Promise<string> {
    const [rounds, span] = short ? [4, 1_000] : [7, 3_000];
    const server = await start(import.meta.url, "server");
    const quiet = await start(import.meta.url, "quiet", { port: server.told });
    const flooder = await start(import.meta.url, "flooder", { port: server.told });
    const measure = async (): Promise<number> => {
      await quiet.call("take");
      await sleep(span);
      return await quiet.call<number>("take");
    };
    await measure();
    const without: number[] = [];
    const beside: number[] = [];
    let served = 0;
    let sent = 0;
    for (let round = 0; round < rounds; round++) {
      without.push(await measure());
      // A native peer is stopped by credit, a Python peer by TCP.
      const begin = performance.now();
      await flooder.call("begin", round % 2 === 0 ? "native" : "2.0");
      beside.push(await measure());
      sent += await flooder.call<number>("stop");
      const took = await server.call<number>("cut");
      const seconds = (performance.now() - begin) / 1_000;
      served += took;
      const most = Math.ceil(RATE * (seconds + 1));
      verdict.check(took <= most, `the flood is served at most ${most} times in round ${round}: ${took}`);
      verdict.check(took >= RATE * span / 1_000, `the flood is served at its rate in round ${round}: ${took}`);
    }
    const limited = await server.call<number>("limited");
    const asked = await quiet.call<number>("asked");
    for (const child of [flooder, quiet, server]) await child.end();
    verdict.check(limited >= rounds, `every flood is held back: ${limited} are`);
    verdict.check(sent > 2 * served, `there is a flood: ${sent} sent, ${served} served`);
    verdict.check(asked > QUIET, `the quiet ones ask: ${asked}`);
    // The short form runs where machines may be slow: there delays are shown, not judged.
    const doubled = median(beside) >= 2 * median(without) + NOISE;
    verdict.check(short || !doubled, "the quiet clients' p99 less than doubles");
    return `p99 of ${count(asked)} requests ${ms(median(without))} without, ${ms(median(beside))} with the flood ` +
      `(medians of ${rounds}), ${count(sent)} sent, ${count(served)} of them served`;
  },
};

async function serve(): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1", rateLimit: { messages: RATE }, logger: LOGGER });
  let served = 0;
  let limited = 0;
  let flooder: ConnectedClient | undefined;
  server.route(FLOOD, (_, client) => {
    if (client !== flooder) served = 0;
    flooder = client;
    served++;
  });
  server.route(ASK, ({ data }) => data);
  server.on("limited", () => void limited++);
  await server.start();
  return {
    ready: (server.addresses[0] as TcpEndpoint).port,
    /** Ends the flood; returns how often it was served. What waited is thrown away. */
    async cut(): Promise<number> {
      const here = served;
      await flooder?.close("manual", { drain: 0 });
      return here;
    },
    limited: () => limited,
    close: () => server.close(),
  };
}

async function ask({ port }: { port: number }): Promise<Commands> {
  let delays: number[] = [];
  let asked = 0;
  const clients = Array.from({ length: QUIET }, () => new Client({ port }));
  await Promise.all(clients.map((client) => client.connect()));
  const one = async (client: Client): Promise<void> => {
    const start = performance.now();
    await client.request(ASK, new Uint8Array(32));
    asked++;
    delays.push(performance.now() - start);
  };
  // Evenly over time, one client after the other.
  const start = performance.now();
  let due = 0;
  const timer = setInterval(() => {
    for (; due * PACE / QUIET < performance.now() - start; due++) void one(clients[due % QUIET]);
  }, 1);
  return {
    take(): number {
      const p99 = quantile(delays, 0.99);
      delays = [];
      return p99;
    },
    asked: () => asked,
    async close(): Promise<void> {
      clearInterval(timer);
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

function pour({ port }: { port: number }): Commands {
  let stopped = true;
  let sent = 0;
  let client: Client | undefined;
  let pouring = Promise.resolve();
  const payload = new Uint8Array(32);
  return {
    async begin(protocol: string): Promise<void> {
      const poured = client = new Client({ port, protocol });
      await poured.connect();
      stopped = false;
      sent = 0;
      pouring = (async () => {
        while (!stopped) {
          let room = true;
          for (let i = 0; i < 1_000 && room; i++, sent++) room = poured.send(FLOOD, payload);
          if (room) await sleep(0);
          else await Promise.race([poured.ready(), sleep(50)]);
        }
      })();
    },
    async stop(): Promise<number> {
      stopped = true;
      await pouring;
      return sent;
    },
    close: () => client?.close(),
  };
}

if (import.meta.main) await play({ server: serve, quiet: ask, flooder: pour });
