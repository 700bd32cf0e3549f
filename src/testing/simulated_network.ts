/**
 * The network of a simulation. Each connection has a speed and perhaps a fault, which are drawn from the seed. All
 * connections are disturbed while they are in use.
 *
 * @module
 */

import { type Faults, type FaultsInfo, type MemoryLine, memoryTransport } from "../adapters/memory.ts";
import type { Connection, ConnectOptions, Endpoint, Transport } from "../transport.ts";
import type { SeededRandom } from "./random.ts";
import type { SimulatedClock } from "./simulated_clock.ts";
import { orAborted } from "./worlds.ts";

/**
 * Which faults a simulation has.
 *
 * @category Testing
 */
export interface SimulatedFaults {
  /** Connections are reset, closed or fall silent. @default true */
  readonly cuts?: boolean;
  /** Bytes take up to 200 ms. @default true */
  readonly delays?: boolean;
  /** Bytes arrive in other pieces than they were sent. @default true */
  readonly splits?: boolean;
  /** For up to 10 s nothing arrives, on one connection or on all of them. @default true */
  readonly holds?: boolean;
  /** Servers crash, and start again within 5 s. What survives in memory is up to the program. @default true */
  readonly restarts?: boolean;
  /** How long it takes on average until the next cut, hold or restart, in milliseconds. @default 2000 */
  readonly every?: number;
}

/** Where the first bytes of a direction are cut: after each of them. */
const FIRST_BYTES: readonly number[] = Array.from({ length: 400 }, (_, i) => i + 1);

/** A connection that a simulation may disturb. */
interface Line extends MemoryLine {
  /** The number that traces have for it, from 1. */
  readonly number: number;
  /** True once it is over for both sides, as far as the simulation has ended it. */
  over: boolean;
}

/** A network that draws its faults from a seed. */
export class SimulatedNetwork {
  readonly transport: Transport;
  readonly #clock: SimulatedClock;
  readonly #random: SeededRandom;
  readonly #faults: Required<SimulatedFaults>;
  readonly #trace: (text: string) => void;
  #lines: Line[] = [];
  #calm = false;
  #healed: PromiseWithResolvers<void> | undefined;

  constructor(
    clock: SimulatedClock,
    random: SeededRandom,
    faults: Required<SimulatedFaults>,
    trace: (text: string) => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#faults = faults;
    this.#trace = trace;
    const network = memoryTransport({
      clock,
      faults: (info) => this.#draw(info),
      opened: (line) => this.#lines.push({ ...line, number: line.index + 1, over: false }),
    });
    this.transport = {
      ...network,
      eventLoop: clock.loop,
      connect: (to, options) => this.#connect(network, to, options),
    };
  }

  /** Disturbs something. Does nothing if nothing can be disturbed. */
  disturb(): void {
    const random = this.#random;
    const kinds = [
      ...this.#faults.cuts ? [() => this.#cut()] : [],
      ...this.#faults.holds ? [() => this.#holdOne(), () => this.#partition()] : [],
    ];
    if (kinds.length > 0) random.pick(kinds)();
  }

  /** Cuts the network in two. */
  partition(): void {
    if (this.#healed !== undefined) return;
    this.#trace("the network is cut in two");
    this.#healed = Promise.withResolvers();
    for (const { client, server } of this.#lines) {
      client.hold();
      server.hold();
    }
  }

  /** Ends a partition. */
  heal(): void {
    const healed = this.#healed;
    if (healed === undefined) return;
    this.#trace("the network is whole again");
    this.#healed = undefined;
    for (const line of this.#lines) this.#release(line);
    healed.resolve();
  }

  /** Ends all faults for good. Lines that are broken without either side knowing are reset. */
  calm(): void {
    this.#calm = true;
    this.heal();
    for (const line of this.#lines) {
      this.#release(line);
      if (this.#silenced.has(line.number)) line.reset();
    }
  }

  /** Resets all connections to an address. */
  reset(port: number): void {
    for (const line of this.#lines) if ("port" in line.to && line.to.port === port) this.#end(line, () => line.reset());
  }

  readonly #silenced = new Set<number>();

  async #connect(network: Transport, to: Endpoint, options: ConnectOptions | undefined): Promise<Connection> {
    while (this.#healed !== undefined) await orAborted(this.#healed.promise, options?.signal);
    return network.connect(to, options);
  }

  /** Draws the faults of a direction. Each draws as many numbers, whatever it is, so that a run is easy to compare. */
  #draw({ index, side }: FaultsInfo): Faults | undefined {
    const random = this.#random;
    const [slow, cutAt] = [random.next(), random.next()];
    const [cut, how, split] = [random.chance(0.15), random.below(3), random.pick([0, 0, 1, 500, 5_000])];
    const seed = random.below(0x7fffffff);
    if (this.#calm) return undefined;
    const { cuts, delays, splits } = this.#faults;
    const faults: { -readonly [Name in keyof Faults]: Faults[Name] } = {};
    // Usually a few milliseconds, sometimes two hundred, and never twice the same.
    const longest = 1 + Math.floor(slow ** 4 * 200);
    if (delays) faults.delay = () => 1 + random.below(longest);
    // The handshake byte by byte, or all in pieces.
    if (splits && split === 1) faults.split = FIRST_BYTES;
    else if (splits && split > 1) faults.split = { seed, max: split };
    if (cuts && cut) {
      const at = Math.floor(cutAt ** 2 * 20_000);
      const name = (["resetAfter", "closeAfter", "dropAfter"] as const)[how];
      faults[name] = at;
      if (name === "dropAfter") this.#silenced.add(index + 1);
      this.#trace(
        `connection ${index + 1} will be cut (${name.replace("After", "")}) after ${at} bytes of the ${side}`,
      );
    }
    return faults;
  }

  #cut(): void {
    const line = this.#any();
    if (line === undefined) return;
    const { client, number, server } = line;
    switch (this.#random.below(3)) {
      case 0:
        this.#trace(`connection ${number} is reset`);
        return this.#end(line, () => line.reset());
      case 1:
        this.#trace(`connection ${number} is closed by the network`);
        return this.#end(line, () => (client.close(), server.close()));
      case 2: {
        // Both directions or one of them, and no side is told.
        const which = this.#random.pick(["both sides", "the client", "the server"]);
        this.#trace(`connection ${number} loses what ${which} ${which === "both sides" ? "send" : "sends"}`);
        if (which !== "the server") client.drop();
        if (which !== "the client") server.drop();
        this.#silenced.add(number);
      }
    }
  }

  #holdOne(): void {
    const line = this.#any();
    if (line === undefined) return;
    const ms = 1 + this.#random.below(10_000);
    const [client, server] = this.#random.pick([[true, true], [true, false], [false, true]]);
    const what = client && server ? "nothing" : client ? "nothing of the client" : "nothing of the server";
    this.#trace(`connection ${line.number} delivers ${what} for ${ms} ms`);
    if (client) line.client.hold();
    if (server) line.server.hold();
    this.#clock.setTimeout(() => {
      if (this.#healed === undefined) this.#release(line);
    }, ms);
  }

  #partition(): void {
    if (this.#healed !== undefined) return;
    this.partition();
    this.#clock.setTimeout(() => this.heal(), 1 + this.#random.below(10_000));
  }

  #release({ client, server }: Line): void {
    client.release();
    server.release();
  }

  #end(line: Line, how: () => void): void {
    line.over = true;
    how();
  }

  /** One of the newest lines: those before are over by themselves, or soon will be. */
  #any(): Line | undefined {
    const open = this.#lines.filter(({ over }) => !over).slice(-8);
    return open.length === 0 ? undefined : this.#random.pick(open);
  }
}
