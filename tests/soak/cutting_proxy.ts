/**
 * A TCP proxy that cuts what it carries: at a random byte or a random moment, by FIN or by RST, on one side or on both.
 *
 * @module
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Random } from "../wire_support.ts";

/** The longest life of a connection, in milliseconds. */
const LONGEST = 60;

/** A proxy in front of one port of this machine. */
export class CuttingProxy {
  /** Connections cut so far. */
  cuts = 0;
  /** How many of them by RST. */
  resets = 0;
  /** How many of them in the middle of what was read at once. */
  torn = 0;
  readonly #server: Server;
  readonly #target: number;
  readonly #random: Random;
  readonly #budget: number;
  readonly #links = new Set<() => void>();
  #stopped = false;
  #away = 0;

  private constructor(server: Server, target: number, random: Random, budget: number) {
    this.#server = server;
    this.#target = target;
    this.#random = random;
    this.#budget = budget;
    server.on("connection", (socket) => this.#carry(socket));
  }

  /** Listens in front of the port `target`; a connection is cut after `budget` bytes from its client, on average. */
  static async listen(target: number, random: Random, budget: number): Promise<CuttingProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new CuttingProxy(server, target, random, budget);
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts no more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Ends it, and all that it carries. */
  async close(): Promise<void> {
    this.stop();
    for (const end of this.#links) end();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(client: Socket): void {
    const random = this.#random;
    client.on("error", () => {});
    if (!this.#stopped && performance.now() < this.#away) {
      client.destroy();
      return;
    }
    const server = connect({ port: this.#target, host: "127.0.0.1", noDelay: true });
    server.on("error", () => {});
    let left = random.below(2 * this.#budget);
    let over = false;
    const end = (kind: number): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      this.#links.delete(stop);
      finish(client, (kind & 1) !== 0);
      finish(server, (kind & 2) !== 0);
    };
    const stop = (): void => end(0);
    const cut = (): void => {
      if (over || this.#stopped) return;
      const kind = random.below(4);
      this.cuts++;
      if (kind !== 0) this.resets++;
      // Once in a while the way is closed for longer than the client keeps what waits.
      if (random.below(30) === 0) this.#away = performance.now() + 100;
      end(kind);
    };
    // Half of them at a moment, the others at a byte.
    const timer = random.below(2) === 0 ? setTimeout(cut, random.below(LONGEST)) : undefined;
    this.#links.add(stop);
    client.on("data", (chunk) => {
      if (this.#stopped || timer !== undefined || chunk.length < left) {
        left -= chunk.length;
        if (!server.write(chunk)) {
          client.pause();
          server.once("drain", () => client.resume());
        }
        return;
      }
      this.torn++;
      // What the cut lets through must be on its way before the socket is destroyed.
      server.write(chunk.subarray(0, left), cut);
    });
    server.on("data", (chunk) => void client.write(chunk));
    client.on("close", stop);
    server.on("close", stop);
  }
}

function finish(socket: Socket, reset: boolean): void {
  if (reset) socket.resetAndDestroy();
  else socket.destroy();
}
