/**
 * One of a hundred clients is frozen (SIGSTOP) while the server broadcasts to all: the others notice nothing, the frozen one
 * is closed as a slow consumer, and the server's memory stays bounded.
 *
 * @module
 */

import {
  bytes,
  Client,
  type CloseReason,
  DEFAULT_LIMITS,
  type LimitOptions,
  messageType,
  Server,
  type TcpEndpoint,
} from "@veltix/core";
import process from "node:process";
import { type Commands, play } from "../processes/role.ts";
import { sleep, until } from "../processes/waiting.ts";
import { count, median, mib, ms, quantile, sharedNow } from "./figures.ts";
import type { Context, Scenario } from "./scenario.ts";

const NEWS = messageType(200, "news", bytes);
/** Payloads take turns: some are copied into a client's buffer, the largest are shared by all clients. */
const SIZES = [64, 1_024, 64, 32_768];
/** What a p99 may lie above the other beside 10 %, in milliseconds: a timer's granularity. */
const LEAST_NOISE = 1;

interface Memory {
  readonly rss: number;
  readonly external: number;
}

interface Window {
  /** Of the delays of delivery, in milliseconds. */
  readonly p99: number;
  readonly peak: Memory;
}

/** See the module. */
export const frozen: Scenario = {
  name: "frozen",
  async run({ short, start, verdict }: Context): Promise<string> {
    const rounds = 3;
    // A span is about as long as the frozen client takes to be closed.
    const [others, pace, span, limits] = short
      ? [39, 5, 2_000, { writeTimeout: 1_000, highWaterMark: 2 ** 18 }]
      : [99, 10, 15_000, { writeTimeout: DEFAULT_LIMITS.writeTimeout }];
    const server = await start(import.meta.url, "server", { pace, limits });
    const watchers = await start(import.meta.url, "watchers", { port: server.told, clients: others });
    const measure = async (work: () => Promise<unknown>): Promise<Window> => {
      await watchers.call("take");
      await server.call("begin");
      await work();
      const p99 = await watchers.call<number>("take");
      return { p99, peak: await server.call<Memory>("finish") };
    };
    await measure(() => sleep(span));
    const plain: Window[] = [];
    const beside: Window[] = [];
    for (let round = 0; round < rounds; round++) {
      plain.push(await measure(() => sleep(span)));
      const victim = await start(import.meta.url, "victim", { port: server.told });
      const id = await server.call<number>("newest");
      beside.push(
        await measure(async () => {
          victim.stop();
          await watchers.call("take");
          let reason: CloseReason | null = null;
          await until("The frozen client is closed", limits.writeTimeout + 30_000, async () => {
            reason = await server.call<CloseReason | null>("reason", id);
            return reason !== null;
          }, 200);
          verdict.check(reason === "slow-consumer", `the frozen client is closed: ${reason}`);
        }),
      );
      await victim.kill();
    }
    const { sent, dropped } = await server.call<{ sent: number; dropped: number }>("sent");
    const received = await watchers.call<number>("received", sent);
    await watchers.end();
    await server.end();

    const [without, with_] = [plain, beside].map((windows) => windows.map(({ p99 }) => p99));
    const spread = Math.max(...without) - Math.min(...without);
    const noise = Math.max(Math.min(spread, median(without)), LEAST_NOISE);
    // Now and then the others' buffers fill for a moment, too: medians of the peaks.
    const growth = (member: keyof Memory): number => {
      const [usual, most] = [plain, beside].map((windows) => median(windows.map(({ peak }) => peak[member])));
      return most - usual;
    };
    const most = DEFAULT_LIMITS.maxBufferedBytes + 8 * 2 ** 20;
    // The short form runs where machines may be slow: there delays are shown, not judged.
    verdict.check(
      short || median(with_) <= median(without) * 1.1 + noise,
      `p99 stays within 10 % and the ${ms(noise)} by which it differs anyway`,
    );
    verdict.check(growth("rss") <= most && growth("external") <= most, `memory grows by at most ${mib(most)}`);
    verdict.check(received === sent * others, `the others get all ${count(sent * others)}: ${count(received)}`);
    return `p99 ${ms(median(without))} without, ${ms(median(with_))} with a frozen client (medians of ${rounds}), ` +
      `rss ${mib(growth("rss"))}, external ${mib(growth("external"))} more, ` +
      `${count(received)} messages to ${others} others, ${count(dropped)} skipped`;
  },
};

async function serve({ pace, limits }: { pace: number; limits: LimitOptions }): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1", ...limits });
  const reasons = new Map<number, CloseReason>();
  let newest = 0;
  let sent = 0;
  let dropped = 0;
  let timers: (ReturnType<typeof setInterval>)[] = [];
  let peak: Memory = { rss: 0, external: 0 };
  server.on("connect", ({ id }) => newest = id);
  server.on("disconnect", ({ id }, { reason }) => reasons.set(id, reason));
  await server.start();
  const broadcast = (): void => {
    const payload = new Uint8Array(SIZES[sent++ % SIZES.length]);
    new DataView(payload.buffer).setFloat64(0, sharedNow());
    dropped += server.broadcast(NEWS, payload).dropped;
  };
  const look = (): void => {
    const { rss, external } = process.memoryUsage();
    peak = { rss: Math.max(peak.rss, rss), external: Math.max(peak.external, external) };
  };
  return {
    ready: (server.addresses[0] as TcpEndpoint).port,
    begin(): void {
      const start = performance.now();
      let due = 0;
      peak = { rss: 0, external: 0 };
      const steady = (): void => {
        for (; due * pace < performance.now() - start; due++) broadcast();
      };
      timers = [setInterval(steady, pace), setInterval(look, 50)];
    },
    finish(): Memory {
      timers.forEach(clearInterval);
      look();
      return peak;
    },
    newest: () => newest,
    reason: (id: number) => reasons.get(id) ?? null,
    sent: () => ({ sent, dropped }),
    close: () => server.close(),
  };
}

async function watch({ port, clients }: { port: number; clients: number }): Promise<Commands> {
  let delays: number[] = [];
  let received = 0;
  const watchers = Array.from({ length: clients }, () => new Client({ port }));
  for (const watcher of watchers) {
    watcher.route(NEWS, ({ data }) => {
      received++;
      delays.push(sharedNow() - new DataView(data.buffer, data.byteOffset).getFloat64(0));
    });
    await watcher.connect();
  }
  return {
    /** The p99 since it was asked last. */
    take(): number {
      const p99 = quantile(delays, 0.99);
      delays = [];
      return p99;
    },
    /** How many came in all; the last ones may be on the way. */
    async received(sent: number): Promise<number> {
      await until("All messages arrive", 5_000, () => received >= sent * clients).catch(() => {});
      return received;
    },
    close: () => Promise.all(watchers.map((watcher) => watcher.close())),
  };
}

async function freeze({ port }: { port: number }): Promise<Commands> {
  const client = new Client({ port });
  client.route(NEWS, () => {});
  await client.connect();
  return { close: () => client.close() };
}

if (import.meta.main) await play({ server: serve, watchers: watch, victim: freeze });
