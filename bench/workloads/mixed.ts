/**
 * All at once for minutes: requests, bursts, broadcasts, connections that come and go. Every few seconds it shows what both
 * processes weigh, and at the end by how much they still grow: the slope over the second half, when nothing ought to.
 *
 * @module
 */

import { Payloads, SerialCheck } from "../../src/cli/bench/payloads.ts";
import { slope } from "../../src/cli/bench/statistics.ts";
import type { Peer } from "../subject.ts";
import { memoryUse } from "../../src/cli/bench/usage.ts";
import type { Context, Figures, Workload } from "../workload.ts";
import { measureOneWay } from "./one_way.ts";
import { Requests } from "./requests.ts";

const REQUESTS = 5000;
const IN_FLIGHT = 100;
const BURST = { clients: 10, each: 1000, size: 256, passes: 1 };
const LISTENERS = 20;
const BROADCASTS = 200;
const VISITORS = 25;
const SIZE = 64;
const RING = 256;
const MIB = 1024 * 1024;
/** Readings of memory in a run, and the least time between two in milliseconds. */
const READINGS = 100;
const LEAST_PAUSE = 100;
/** A slope takes two readings in the second half. */
const FEWEST = 4;

/** Memory at one moment. */
interface Reading {
  /** Minutes since the start. */
  readonly time: number;
  /** Mebibytes. */
  readonly values: Readonly<Record<"server heap" | "server RSS" | "client heap" | "client RSS", number>>;
}

/** See the module. */
export const mixed: Workload = async (context) => {
  const start = performance.now();
  const length = 60_000 * context.pace.minutes;
  const pause = Math.max(LEAST_PAUSE, length / READINGS);
  const readings: Reading[] = [];
  const asking = await context.connect();
  const requests = new Requests(asking, SIZE);
  const audience = await Audience.of(context);
  const size = (full: number) => Math.max(50, Math.round(full * context.pace.share));
  let messages = 0;
  for (let next = pause; performance.now() - start < length || readings.length < FEWEST;) {
    await Promise.all([
      requests.run(size(REQUESTS), IN_FLIGHT),
      measureOneWay(context, { ...BURST, each: size(BURST.each) }),
      ...Array.from({ length: VISITORS }, async () => (await context.connect()).close()),
    ]);
    // The server does one of both with the one-way messages that it gets.
    await audience.broadcast(context, size(BROADCASTS));
    messages += size(REQUESTS) + BURST.clients * size(BURST.each) + LISTENERS * size(BROADCASTS);
    if (performance.now() - start < next) continue;
    next = performance.now() - start + pause;
    readings.push(await read(context, (performance.now() - start) / 60_000));
    context.say(`${describe(readings[readings.length - 1])}, ${(messages / 1e6).toFixed(1)}M messages`);
  }
  requests.confirm(context);
  audience.confirm(context);
  await Promise.all([asking.close(), audience.close()]);
  return slopes(readings);
};

/** Connections that hear each broadcast. */
class Audience {
  readonly #checks: SerialCheck[] = [];
  readonly #peers: Peer[] = [];
  #left = 0;
  #sent = 0;
  #heard = (): void => {};

  static async of(context: Context): Promise<Audience> {
    const audience = new Audience();
    for (let i = 0; i < LISTENERS; i++) {
      const check = new SerialCheck(1, RING, SIZE);
      audience.#checks.push(check);
      audience.#peers.push(
        await context.connect((content) => {
          check.take(content);
          if (--audience.#left === 0) audience.#heard();
        }),
      );
    }
    return audience;
  }

  async broadcast(context: Context, messages: number): Promise<void> {
    // The server begins its ring anew with each such command.
    for (const check of this.#checks) check.restart();
    this.#left = LISTENERS * messages;
    this.#sent += messages;
    await context.server({ type: "broadcast", messages, ring: RING, size: SIZE });
    await new Promise<void>((resolve) => {
      this.#heard = resolve;
      this.#peers[0].send(new Payloads(SIZE, 0, 1).next());
    });
  }

  confirm(context: Context): void {
    for (const check of this.#checks) context.confirm(this.#sent, check);
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.close()));
  }
}

async function read(context: Context, time: number): Promise<Reading> {
  const server = await context.server({ type: "report", memory: true });
  const client = memoryUse();
  return {
    time,
    values: {
      "server heap": server.heap / MIB,
      "server RSS": server.memory / MIB,
      "client heap": client.heap / MIB,
      "client RSS": client.resident / MIB,
    },
  };
}

function describe({ time, values }: Reading): string {
  const texts = Object.entries(values).map(([name, value]) => `${name} ${value.toFixed(1)} MB`);
  return `${(60 * time).toFixed(0)} s: ${texts.join(", ")}`;
}

/** Bytes a minute over the second half, and the last reading. */
function slopes(readings: readonly Reading[]): Figures {
  const half = readings.slice(readings.length >> 1);
  const figures: Figures = {};
  for (const name of Object.keys(half[0].values) as (keyof Reading["values"])[]) {
    figures[`mixed: ${name}`] = MIB * half[half.length - 1].values[name];
    figures[`mixed: ${name}, growth`] = MIB * slope(half.map(({ time, values }) => [time, values[name]]));
  }
  return figures;
}
