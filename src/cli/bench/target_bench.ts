/**
 * What is measured of any server, from outside: connecting, pings, and requests with a code that the server answers.
 *
 * @module
 */

import { runtimeClock } from "../../adapters/runtime_loop.ts";
import { Client } from "../../auto/client.ts";
import type { ClientConfig } from "../../client/client_config.ts";
import { bytes } from "../../message/codecs.ts";
import { messageType } from "../../message/message_type.ts";
import { Histogram } from "./histogram.ts";
import { type Lane, type LoadResult, runLoad } from "./load.ts";

/** Connections that are opened for a figure at most: each leaves a port behind that is not free for a minute. */
const MOST_CONNECTS = 500;

/** How to load a server. */
export interface TargetLoad {
  /** Connections at the same time. */
  readonly connections: number;
  /** Pings or requests under way on each of them. */
  readonly inFlight: number;
  /** Pings or requests a second, over all connections. @default as many as go */
  readonly rate?: number | undefined;
  /** Milliseconds. */
  readonly duration: number;
}

/** Clients of a server that are loaded with pings and requests. */
export class Target {
  readonly #config: ClientConfig;
  readonly #signal: AbortSignal | undefined;
  readonly #clients: Client[] = [];

  /**
   * @param config How to connect.
   * @param signal Ends everything early.
   */
  constructor(config: ClientConfig, signal?: AbortSignal) {
    this.#config = config;
    this.#signal = signal;
  }

  /** The protocol that the server speaks. It connects first where it has not. */
  async protocol(): Promise<string> {
    const [client] = await this.#connected(1);
    return client.stats().protocol ?? "unknown";
  }

  /** Connects and leaves again and again, and returns the times that connecting took. */
  async connects(duration: number): Promise<Histogram> {
    const times = new Histogram();
    const end = performance.now() + duration;
    do {
      const client = new Client(this.#config);
      const start = performance.now();
      try {
        await client.connect({ signal: this.#signal });
        times.record(performance.now() - start);
      } catch (error) {
        // What was measured before Ctrl+C counts.
        if (this.#signal?.aborted && times.count > 0) break;
        throw error;
      } finally {
        await client.close({ drain: this.#signal?.aborted ? 0 : undefined });
      }
    } while (performance.now() < end && times.count < MOST_CONNECTS);
    return times;
  }

  /** Sends pings. */
  pings(load: TargetLoad): Promise<LoadResult> {
    return this.#load(load, (client) => client.ping());
  }

  /** Sends requests with a code, whose payloads have so many bytes. */
  requests(code: number, size: number, load: TargetLoad): Promise<LoadResult> {
    const type = messageType(code, `code-${code}`, bytes, bytes);
    const payload = new Uint8Array(size).map((_, i) => i);
    return this.#load(load, (client) => client.request(type, payload));
  }

  async #load(load: TargetLoad, run: (client: Client) => Promise<unknown>): Promise<LoadResult> {
    const clients = await this.#connected(load.connections);
    // Lanes of one connection lie apart, so that operations at a rate go over all connections in turn.
    const lanes = Array.from({ length: load.inFlight }, () => clients.map((client) => laneOf(client, run))).flat();
    const { duration, rate } = load;
    return await runLoad({ lanes, duration, rate, clock: runtimeClock(), signal: this.#signal });
  }

  /** Returns so many clients that are connected. */
  async #connected(count: number): Promise<Client[]> {
    while (this.#clients.length < count) {
      this.#signal?.throwIfAborted();
      const client = new Client(this.#config);
      this.#clients.push(client);
    }
    const clients = this.#clients.slice(0, count);
    // One after the other: many at once would be taken for an attack, or overflow a queue of the system.
    for (const client of clients) if (client.state !== "connected") await client.connect({ signal: this.#signal });
    return clients;
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close({ drain: this.#signal?.aborted ? 0 : undefined })));
  }
}

function laneOf(client: Client, run: (client: Client) => Promise<unknown>): Lane {
  return {
    run: () => run(client),
    get isUp() {
      return client.state === "connected";
    },
  };
}
