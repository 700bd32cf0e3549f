/**
 * The cable of a client: the sockets of its runtime, of which the one in use can be cut.
 *
 * @module
 */

import { bunTransport } from "@veltix/core/bun";
import { denoTransport } from "@veltix/core/deno";
import { nodeTransport } from "@veltix/core/node";
import type { Connection, Transport } from "@veltix/core";

/** The sockets of this runtime, as `transport: "auto"` finds them. */
function sockets(): Transport {
  if ("Bun" in globalThis) return bunTransport();
  return "Deno" in globalThis ? denoTransport() : nodeTransport();
}

/** A transport whose connection can be cut. */
export class Cable implements Pick<Transport, "name" | "connect" | "listen"> {
  readonly name = "cable";
  readonly listen: Transport["listen"];
  readonly #sockets = sockets();
  #connection: Connection | undefined = undefined;

  constructor() {
    this.listen = this.#sockets.listen;
  }

  /** Connects, as the sockets of the runtime do. */
  async connect(...to: Parameters<Transport["connect"]>): Promise<Connection> {
    return this.#connection = await this.#sockets.connect(...to);
  }

  /** Cuts the connection. What is on its way is lost, as with a cable. */
  cut(): void {
    this.#connection?.abort();
  }
}
