/**
 * A cable to a server on this machine, which can be cut.
 *
 * @module
 */

import { connect, createServer, type Socket } from "node:net";

/** A cable between a client and a server on this machine: all bytes go through it, until it is cut. */
export class Cable {
  readonly #port: number;
  readonly #entrance = createServer((near) => this.#plugIn(near));
  readonly #pairs = new Set<readonly [near: Socket, far: Socket]>();
  /** How many connections it has had. */
  connections = 0;

  constructor(port: number) {
    this.#port = port;
  }

  /** Resolves with the port at its near end. */
  async laid(): Promise<number> {
    await new Promise<void>((resolve) => this.#entrance.listen(0, "127.0.0.1", resolve));
    const address = this.#entrance.address();
    if (address === null || typeof address === "string") throw new Error("The cable has no port");
    return address.port;
  }

  /** Cuts it, and both ends are told. It is whole again for the next connection. */
  cut(): void {
    for (const pair of this.#pairs) for (const end of pair) end.destroy();
  }

  /** Lets nothing through any more, and tells nobody. The next connection gets another wire. */
  hush(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
    }
  }

  /** Takes it away. */
  remove(): void {
    this.cut();
    this.#entrance.close();
  }

  #plugIn(near: Socket): void {
    this.connections++;
    const far = connect(this.#port, "127.0.0.1");
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.setNoDelay(true);
      from.pipe(to);
      from.on("error", () => {});
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
