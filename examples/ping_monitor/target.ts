/**
 * One server that is watched: it is pinged again and again, whether it is there or not.
 *
 * @module
 */

import { Client, type ClientConfig, ConnectionError, TimeoutError } from "@veltix/core";
import { setTimeout as sleep } from "node:timers/promises";

/** How many pings are kept for the percentiles. */
const KEPT = 1_000;
/** How long the first attempt to connect may take before it counts as failed, in milliseconds. */
const FIRST = 5_000;

/** A server, and how it has answered. */
export class Target {
  /** The name that the table shows. */
  readonly name: string;
  /** The last pings, oldest first: how long the answer took, in milliseconds, or `undefined` if there was none. */
  readonly pings: (number | undefined)[] = [];
  /** How many pings there were. */
  sent = 0;
  /** How many of them were not answered in time. */
  lost = 0;
  /** True if the server was there at the last ping. */
  up = false;
  readonly #client: Client;

  /**
   * @param name The name that the table shows.
   * @param config Where the server is.
   */
  constructor(name: string, config: ClientConfig) {
    this.name = name;
    // A server that is away is tried again, at first at once and then every two seconds.
    this.#client = new Client({ ...config, reconnect: { delay: 100, maxDelay: 2_000 } });
  }

  /**
   * Pings the server once each `interval` milliseconds. An answer that takes longer than that counts as lost.
   *
   * @param interval In milliseconds.
   * @param count How many pings there are.
   * @param signal Ends it before.
   */
  async watch(interval: number, count: number, signal: AbortSignal): Promise<void> {
    await using client = this.#client;
    const connected = client.connect({ signal }).catch(() => {}); // That nobody is there is what the pings show.
    const failed = new Promise((resolve) => client.on("disconnect", resolve, { once: true }));
    // The first ping is not lost for coming too early.
    await Promise.race([connected, failed, sleep(FIRST, undefined, { signal, ref: false }).catch(() => {})]);
    for (let i = 0; i < count && !signal.aborted; i++) {
      const began = performance.now();
      const ping = await this.#ping(interval);
      await sleep(Math.max(0, began + interval - performance.now()), undefined, { signal }).catch(() => {});
      if (signal.aborted) break; // The last ping may have had no time.
      this.sent++;
      if (ping === undefined) this.lost++;
      this.pings.push(ping);
      if (this.pings.length > KEPT) this.pings.shift();
    }
  }

  /** Returns what a part of the answered pings took at most, in milliseconds; `undefined` if there are none. */
  percentile(part: number): number | undefined {
    const times = this.pings.filter((ping) => ping !== undefined).sort((a, b) => a - b);
    return times[Math.max(0, Math.ceil(part * times.length) - 1)];
  }

  async #ping(timeout: number): Promise<number | undefined> {
    this.up = this.#client.state === "connected";
    if (!this.up) return undefined;
    try {
      return await this.#client.ping({ timeout });
    } catch (error) {
      if (error instanceof TimeoutError || error instanceof ConnectionError) return undefined;
      throw error;
    }
  }
}
