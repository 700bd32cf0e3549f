/**
 * What a server tells about itself: a sample each second, the last ten minutes of them, and a feed of them for each page.
 *
 * @module
 */

import type { Server } from "@veltix/core";
import { once } from "node:events";
import { EventEmitter } from "node:events";
import process from "node:process";
import type { Sample } from "./contract.ts";

/** How often a sample is taken, in milliseconds. */
const INTERVAL = 1_000;
/** How many samples are kept. */
const KEPT = 600;
/** How many clients are pinged for a sample. */
const PINGED = 20;

/** The numbers of one server. */
export class Numbers {
  readonly #server: Server<unknown>;
  readonly #samples: Sample[] = [];
  readonly #taken = new EventEmitter<{ sample: [Sample] }>().setMaxListeners(0);
  readonly #timer: ReturnType<typeof setInterval>;
  #messages = 0;
  #since = performance.now();

  /** @param server The server, which has been started. */
  constructor(server: Server<unknown>) {
    this.#server = server;
    this.#timer = setInterval(() => void this.#take(), INTERVAL);
  }

  /** Counts a message. */
  count(): void {
    this.#messages++;
  }

  /** Yields the samples that are kept, and then each new one, until `signal` is aborted. */
  async *feed(signal: AbortSignal): AsyncGenerator<Sample> {
    yield* this.#samples;
    try {
      while (!signal.aborted) {
        const [sample] = await once(this.#taken, "sample", { signal }) as [Sample];
        yield sample;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Takes no more samples. */
  close(): void {
    clearInterval(this.#timer);
  }

  async #take(): Promise<void> {
    const now = performance.now();
    const messagesPerSecond = Math.round(1000 * this.#messages / (now - this.#since));
    this.#messages = 0;
    this.#since = now;
    const sample: Sample = {
      time: Date.now(),
      connections: this.#server.clients.length,
      messagesPerSecond,
      memory: process.memoryUsage.rss(),
      latency: await this.#latency(),
    };
    this.#samples.push(sample);
    if (this.#samples.length > KEPT) this.#samples.shift();
    this.#taken.emit("sample", sample);
  }

  /** Pings some of the clients. One that does not answer within the interval, or leaves, does not count. */
  async #latency(): Promise<Sample["latency"]> {
    const clients = this.#server.clients.slice(-PINGED);
    const answers = await Promise.allSettled(clients.map((client) => client.ping({ timeout: INTERVAL / 2 })));
    const times = answers.flatMap((answer) => answer.status === "fulfilled" ? [answer.value] : []);
    times.sort((a, b) => a - b);
    return { median: times[Math.floor(times.length / 2)] ?? 0, highest: times.at(-1) ?? 0 };
  }
}
