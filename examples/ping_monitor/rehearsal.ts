/**
 * Four servers on this machine to look at: one is near, the others are at the end of bad cables.
 *
 * @module
 */

import { Server } from "@veltix/core";
import { connect, createServer, type Socket } from "node:net";
import { Target } from "./target.ts";

/** Returns a delay in milliseconds. */
type Delay = () => number;

const CABLES: readonly { readonly name: string; readonly delay?: Delay; readonly outages?: boolean }[] = [
  { name: "near" },
  { name: "far", delay: () => 20 },
  { name: "wireless", delay: () => 1 + 40 * Math.random() ** 8 },
  { name: "shaky", delay: () => 3, outages: true },
];

/** Four servers that run. */
export interface Rehearsal extends AsyncDisposable {
  readonly targets: readonly Target[];
}

/** Starts the servers. */
export async function rehearse(): Promise<Rehearsal> {
  await using started = new AsyncDisposableStack();
  const targets: Target[] = [];
  for (const { name, delay, outages = false } of CABLES) {
    const server = started.use(new Server({ hostname: "127.0.0.1", port: 0 }));
    await server.start();
    const [address] = server.addresses;
    let port = "port" in address ? address.port : 0;
    if (delay !== undefined) {
      const cable = started.use(new Cable(port, delay));
      port = await cable.lay();
      if (outages) cable.failNowAndThen();
    }
    targets.push(new Target(name, { hostname: "127.0.0.1", port }));
  }
  const all = started.move();
  return { targets, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** A cable to a server on this machine: bytes take a while, and it fails now and then. */
class Cable implements Disposable {
  readonly #port: number;
  readonly #delay: Delay;
  readonly #entrance = createServer((near) => this.#plugIn(near));
  readonly #ends = new Set<Socket>();
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Until then it passes nothing on, and tells nobody. */
  #silentUntil = 0;

  constructor(port: number, delay: Delay) {
    this.#port = port;
    this.#delay = delay;
  }

  /** Resolves with the port at its near end. */
  async lay(): Promise<number> {
    await new Promise<void>((resolve) => this.#entrance.listen(0, "127.0.0.1", resolve));
    const address = this.#entrance.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /** Lets it be silent for a second in each ten. Every other silence ends with a cut, of which both ends are told. */
  failNowAndThen(): void {
    let second = 0;
    this.#timer = setInterval(() => {
      second++;
      if (second % 10 === 5) this.#silentUntil = performance.now() + 1_000;
      if (second % 20 === 6) { for (const end of this.#ends) end.destroy(); }
    }, 1_000);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#entrance.close();
    for (const end of this.#ends) end.destroy();
  }

  #plugIn(near: Socket): void {
    const far = connect(this.#port, "127.0.0.1");
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#ends.add(from);
      from.setNoDelay(true);
      from.on("error", () => {});
      from.on("close", () => {
        this.#ends.delete(from);
        to.destroy();
      });
      let due = 0;
      from.on("data", (bytes) => {
        // Bytes keep their order, and those that come in a silence wait for its end.
        due = Math.max(due, this.#silentUntil, performance.now() + this.#delay());
        setTimeout(() => to.destroyed || to.write(bytes), due - performance.now());
      });
    }
  }
}
