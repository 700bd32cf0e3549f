/**
 * What compression saves and what it costs: JSON telemetry of 10 KB one way, without it and with each codec, and how much is
 * left of it, beside what the codec itself makes of it. Both ends run in one process.
 *
 * @module
 */

import { Client, type CommonConfig, json, messageType, Server, type TcpEndpoint } from "../../mod.ts";
import { zlibCodecs } from "../../src/adapters/zlib.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import type { Context, Figures, Workload } from "../workload.ts";

const TELEMETRY = messageType(200, "telemetry", json<readonly Reading[]>());
const HOST = "127.0.0.1";
const SIZE = 10_000;
/** How many messages are sent before the receiver is waited for. */
const BATCH = 50;

interface Reading {
  readonly time: number;
  readonly sensor: string;
  readonly rpm: number;
  readonly temperature: number;
  readonly ok: boolean;
  readonly position: readonly [number, number];
}

/** Readings as sensors send them: names that return, numbers that hardly do. The same in each run. */
function telemetry(): readonly Reading[] {
  let state = 1;
  const random = (): number => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) / 0x7fffffff;
  const readings: Reading[] = [];
  for (let i = 0; JSON.stringify(readings).length < SIZE; i++) {
    readings.push({
      time: 1_760_000_000_000 + 250 * i + Math.floor(20 * random()),
      sensor: `engine-${i % 12}`,
      rpm: Math.round(1_500 + 3_000 * random()),
      temperature: Math.round(6_000 + 4_000 * random()) / 100,
      ok: random() > 0.02,
      position: [Number((50 + random()).toFixed(6)), Number((8 + random()).toFixed(6))],
    });
  }
  return readings;
}

/** See the module. */
export const compression: Workload = async (context): Promise<Figures> => {
  if (context.config.subject !== "veltix") return {};
  const readings = telemetry();
  const raw = encodeUtf8(JSON.stringify(readings));
  const figures: Record<string, number> = {};
  context.say("compression: off");
  figures["compression 10 KB: off"] = (await measure(context, readings, false)).rate;
  for (const { name, defaultLevel, compress } of zlibCodecs()) {
    context.say(`compression: ${name}`);
    const { rate, left } = await measure(context, readings, { codecs: [name] });
    figures[`compression 10 KB: ${name}`] = rate;
    figures[`compression left: ${name}`] = left;
    figures[`compression left: ${name} itself`] = compress(raw, defaultLevel).length / raw.length;
  }
  return figures;
};

/** Returns how many messages a second arrive, and how much of their bytes is left. */
async function measure(
  { pace }: Context,
  readings: readonly Reading[],
  compression: CommonConfig["compression"],
): Promise<{ readonly rate: number; readonly left: number }> {
  await using server = new Server({ port: 0, hostname: HOST, compression });
  let received = 0;
  let arrived = (): void => {};
  server.route(TELEMETRY, () => {
    if (++received === BATCH) arrived();
  });
  await server.start();
  await using client = new Client({ ...server.addresses[0] as TcpEndpoint, compression });
  await client.connect();
  const run = async (ms: number): Promise<number> => {
    let count = 0;
    const start = performance.now();
    do {
      received = 0;
      const all = new Promise<void>((resolve) => arrived = resolve);
      for (let i = 0; i < BATCH; i++) if (!client.send(TELEMETRY, readings)) await client.ready();
      await all;
      count += BATCH;
    } while (performance.now() - start < ms);
    return count / ((performance.now() - start) / 1_000);
  };
  await run(pace.warmUp);
  const rate = await run(pace.measure);
  const { bytesSent = 0, bytesSavedSent = 0 } = client.stats();
  return { rate, left: bytesSent / (bytesSent + bytesSavedSent) };
}
