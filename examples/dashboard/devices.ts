/**
 * Simulated devices, so that there is something to see: they come and go, and send readings at a rate that changes.
 *
 * @module
 */

import { Client } from "@veltix/core";
import { setTimeout as sleep } from "node:timers/promises";
import { CONTRACT } from "./contract.ts";

/** How often a device sends at most, in readings a second. */
const RATE = 200;

/**
 * Lets devices send readings until `signal` is aborted.
 *
 * @param url The URL of the server.
 * @param count How many devices there are at most.
 */
export async function simulate(url: string, count: number, signal: AbortSignal): Promise<void> {
  const began = Date.now();
  const one = async (device: number): Promise<void> => {
    const wait = (ms: number): Promise<unknown> => sleep(ms, undefined, { signal }).catch(() => {});
    while (!signal.aborted) {
      await wait(Math.random() * 10_000);
      await using client = new Client({ url });
      // The server may be closing.
      if (signal.aborted || !await client.connect({ signal }).then(() => true, () => false)) continue;
      const until = Date.now() + 20_000 + Math.random() * 60_000;
      while (!signal.aborted && client.state === "connected" && Date.now() < until) {
        // A wave that takes a minute.
        const share = 0.55 + 0.45 * Math.sin((Date.now() - began) / 60_000 * 2 * Math.PI + device / count);
        for (let i = 0; i < RATE * share / 10 && client.state === "connected"; i++) {
          client.send(CONTRACT.reading, { device, value: Math.random() });
        }
        await wait(100);
      }
    }
  };
  await Promise.all(Array.from({ length: count }, (_, device) => one(device)));
}
