/**
 * Some devices in one process. It gets them from the program that starts it, by standard input, and runs until that ends.
 *
 * @module
 */

import { Client } from "@veltix/core";
import { Identity } from "@veltix/core/encryption";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { contract } from "./contract.ts";
import type { MadeDevice } from "./factory.ts";

/** What the first line says. */
export interface Setup {
  readonly port: number;
  /** The public key of the hub: a device tells nothing to any other. */
  readonly hub: string;
  readonly devices: readonly MadeDevice[];
}

/** How often a device measures, in milliseconds. */
const INTERVAL = 2_000;
/** How long a device stays connected on average, and then is out of reach, in milliseconds. */
const [REACH, GAP] = [60_000, 2_000];
/** How many devices of this process connect at once: a handshake computes, and so many would only wait for each other. */
const LANES = 8;

const stop = new AbortController();
const { signal } = stop;

/** Waits, or until the end. */
async function pause(ms: number): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

const lanes: Promise<unknown>[] = Array.from({ length: LANES }, () => Promise.resolve());

let turns = 0;

/** Does something when those before it in its lane are done. */
function inTurn<T>(act: () => Promise<T>): Promise<T> {
  const lane = turns++ % LANES;
  const done = lanes[lane].then(act);
  lanes[lane] = done.catch(() => {});
  return done;
}

/** Runs one device. */
async function run({ id, key }: MadeDevice, { port, hub }: Setup): Promise<void> {
  const identity = await Identity.importKey(key);
  let battery = id % 49 === 0 ? 0.12 : 1;
  const normal = id % 41 === 0 ? 34 : 12 + id % 13;
  while (!signal.aborted) {
    await using client = new Client({
      hostname: "127.0.0.1",
      port,
      encryption: { identity, trust: hub },
    });
    client.route(contract.restart, () => {
      battery = 1;
      void client.close(); // The answer is still sent.
    });
    // Whatever goes wrong, a device tries again.
    await inTurn(() => client.connect({ signal })).catch(() => {});
    const until = performance.now() + 2 * REACH * Math.random();
    while (!signal.aborted && client.state === "connected" && performance.now() < until) {
      battery -= 0.001;
      const celsius = normal + 2 * Math.sin(Date.now() / 20_000 + id);
      // Where the network is slow, an older reading that still waits makes room for this one.
      client.send(contract.reading, { celsius, battery }, { latest: "reading" });
      await pause(INTERVAL * (0.75 + Math.random() / 2));
    }
    await client.close();
    await pause(2 * GAP * Math.random());
  }
}

const input = createInterface({ input: process.stdin });
input.on("close", () => stop.abort());
const [line] = await once(input, "line") as [string];
const setup: Setup = JSON.parse(line);
await Promise.all(setup.devices.map((device) => run(device, setup)));
