/**
 * A client with `reconnect` and `queueWhileDown` sends numbers while its connections are cut at random, by FIN and by RST,
 * between frames and within: the server gets none twice and none out of order, and what it got agrees, message by message,
 * with what the client's `disconnect` events say.
 *
 * @module
 */

import {
  BackpressureError,
  bytes,
  Client,
  type MessageCounts,
  messageType,
  Server,
  type TcpEndpoint,
} from "@veltix/core";
import { type Commands, play } from "../processes/role.ts";
import { sleep, until } from "../processes/waiting.ts";
import { Random } from "../wire_support.ts";
import { CuttingProxy } from "./cutting_proxy.ts";
import { count, ms } from "./figures.ts";
import type { Context, Scenario } from "./scenario.ts";

const NUMBER = messageType(200, "number", bytes);
const FATES = ["expired", "delivered", "uncertain", "lost"] as const;
/** A payload is its number and up to so many bytes more. */
const FILL = 60;
/** Native frame: its header, the number and half the filling, in bytes. */
const FRAME = 14 + 4 + FILL / 2;

/** How often the numbers came in another order than they were sent, and which came. */
interface Arrivals {
  readonly got: number;
  readonly inversions: number;
  readonly repeats: number;
  /** One bit a number, in base64. */
  readonly came: string;
}

interface Story {
  readonly sent: number;
  readonly ends: readonly MessageCounts[];
}

/** See the module. */
export const cuts: Scenario = {
  name: "cuts",
  async run({ short, seed, start, verdict }: Context): Promise<string> {
    const [messages, wanted] = short ? [50_000, 30] : [1_000_000, 1_000];
    const server = await start(import.meta.url, "server");
    const proxy = await CuttingProxy.listen(server.told as number, new Random(seed), messages * FRAME / wanted);
    const sender = await start(import.meta.url, "sender", { port: proxy.port, seed });
    try {
      await until(`${wanted} cuts`, 600_000, async () => {
        if (proxy.cuts >= wanted) proxy.stop();
        return proxy.cuts >= wanted && await sender.call<number>("sent") >= messages;
      }, 50);
    } finally {
      proxy.stop();
    }
    const { sent, ends } = await sender.call<Story>("finish");
    const arrivals = await server.call<Arrivals>("arrivals");
    await proxy.close();
    const took = [await sender.end(), await server.end()];

    const { inversions, repeats } = arrivals;
    verdict.check(repeats === 0, `none comes twice: ${repeats} do`);
    verdict.check(inversions === 0, `none comes out of order: ${inversions} do`);
    const totals = compare(sent, ends, Uint8Array.fromBase64(arrivals.came), verdict.check.bind(verdict));
    verdict.check(totals.delivered > sent / 10, "a tenth is known to be delivered, or the counts say little");
    verdict.check(ends.length > wanted, `the client tells of ${wanted} ends: ${ends.length}`);
    const fates = FATES.map((fate) => `${count(totals[fate])} ${fate}`).join(", ");
    return `${count(sent)} sent, ${count(arrivals.got)} came, ${proxy.cuts} cuts (${proxy.resets} by RST, ` +
      `${proxy.torn} within a chunk), ${repeats} twice, ${inversions} out of order; ${fates}; ` +
      `the processes ended ${ms(Math.max(...took))} after close`;
  },
};

/** Holds the counts against what came: within each event first come the expired, then the delivered, and so on. */
function compare(
  sent: number,
  ends: readonly MessageCounts[],
  came: Uint8Array,
  check: (holds: boolean, failure: string) => void,
): Record<typeof FATES[number], number> {
  const totals = { expired: 0, delivered: 0, uncertain: 0, lost: 0 };
  let at = 0;
  let wrong = 0;
  let first = "";
  ends.forEach((counts, end) => {
    for (const fate of FATES) {
      totals[fate] += counts[fate];
      for (let left = counts[fate]; left > 0; left--, at++) {
        const here = (came[at >> 3] >> (at & 7) & 1) === 1;
        if (fate === "uncertain" || here === (fate === "delivered")) continue;
        if (wrong++ === 0) first = `number ${at} ${here ? "came" : "did not come"} and is called ${fate} in end ${end}`;
      }
    }
  });
  check(wrong === 0, `all counts are right: ${wrong} messages are not what they are called, ${first}`);
  check(at === sent, `the counts cover all ${count(sent)} messages: ${count(at)}`);
  return totals;
}

async function serve(): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  let came = new Uint8Array(2 ** 16);
  let last = -1;
  let got = 0;
  let inversions = 0;
  let repeats = 0;
  server.route(NUMBER, ({ data }) => {
    const number = new DataView(data.buffer, data.byteOffset).getUint32(0);
    got++;
    if (number < last) inversions++;
    last = number;
    if (number >> 3 >= came.length) {
      const more = new Uint8Array(2 * came.length + (number >> 3));
      more.set(came);
      came = more;
    }
    if ((came[number >> 3] >> (number & 7) & 1) === 1) repeats++;
    came[number >> 3] |= 1 << (number & 7);
  });
  server.on("error", () => {});
  server.on("rejected", () => {});
  await server.start();
  return {
    ready: (server.addresses[0] as TcpEndpoint).port,
    arrivals: (): Arrivals => ({ got, inversions, repeats, came: Buffer.from(came).toString("base64") }),
    close: () => server.close(),
  };
}

async function send({ port, seed }: { port: number; seed: number }): Promise<Commands> {
  const random = new Random(seed + 1);
  const client = new Client({
    port,
    reconnect: { delay: 1, maxDelay: 20 },
    queueWhileDown: { messages: 20_000, age: 60 },
    highWaterMark: 64 * 1024,
  });
  const ends: MessageCounts[] = [];
  client.on("disconnect", ({ messages }) => ends.push(messages!));
  client.on("error", () => {});
  let sent = 0;
  let stopped = false;
  /** Whether there is room for more. */
  const one = (): boolean => {
    const payload = new Uint8Array(4 + random.below(FILL + 1));
    new DataView(payload.buffer).setUint32(0, sent);
    try {
      const more = client.send(NUMBER, payload);
      sent++;
      return more;
    } catch (error) {
      if (error instanceof BackpressureError) return false;
      throw error;
    }
  };
  await client.connect();
  const sending = (async () => {
    while (!stopped) {
      let more = true;
      for (let left = random.below(500); left > 0 && more; left--) more = one();
      if (more) await sleep(0);
      // Now and then it goes on although it was asked to wait.
      else if (random.below(8) === 0) await sleep(random.below(5));
      else await client.ready();
    }
  })();
  return {
    sent: () => sent,
    async finish(): Promise<Story> {
      stopped = true;
      await sending;
      await client.connect();
      await client.close();
      return { sent, ends };
    },
    close: () => client.close(),
  };
}

if (import.meta.main) await play({ server: serve, sender: send });
