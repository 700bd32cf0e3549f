/**
 * What the program of a simulation gets: servers, clients, time, random numbers and invariants.
 *
 * @module
 */

import { Client as RuntimeClient } from "../auto/client.ts";
import { Server as RuntimeServer } from "../auto/server.ts";
import type { TcpEndpoint } from "../base/address.ts";
import type { Client } from "../client/client.ts";
import type { ClientConfig } from "../client/client_config.ts";
import type { ConnectedClient } from "../server/connected_client.ts";
import type { Server } from "../server/server.ts";
import type { ServerConfig } from "../server/server_config.ts";
import type { Transport } from "../transport.ts";
import { AssertionError } from "./assertion.ts";
import { LogLines } from "./log_lines.ts";
import type { SeededRandom } from "./random.ts";
import type { SimulatedClock } from "./simulated_clock.ts";
import { type SimulatedFaults, SimulatedNetwork } from "./simulated_network.ts";
import { errorText, type Trace } from "./trace.ts";
import { show } from "./values.ts";

/** The host of all servers of a simulation. */
const HOST = "127.0.0.1";
/** The port of the first one. */
const PORT = 7_001;
/** How long a server is down at most, in milliseconds. */
const DOWN = 5_000;
/** How long a client waits before it tries again to get its first connection, in milliseconds. */
const PAUSE = 100;

/**
 * The time of a simulation.
 *
 * @category Testing
 */
export interface WorldClock {
  /** Returns the simulated time since the start, in milliseconds. */
  now(): number;
  /** Resolves when this many milliseconds of the simulated time have passed. */
  sleep(ms: number): Promise<void>;
  /** Calls `fn` after this many milliseconds of the simulated time. Returns a function that cancels the call. */
  setTimeout(fn: () => void, ms: number): () => void;
}

/**
 * A server of a simulation. It keeps its address when it crashes and starts again.
 *
 * @category Testing
 */
export interface SimulatedServer<P = undefined> {
  /** The name that traces have for it, such as `"server 1"`. */
  readonly name: string;
  /** Where it listens. */
  readonly address: TcpEndpoint;
  /** The server. After each crash, it is another one. */
  readonly server: Server<P>;
  /** False between a crash and the next start. */
  readonly running: boolean;
  /**
   * Ends it as if its process was killed: its connections are reset, and nobody is told why. Another Server, made with
   * the same options and the same `setup`, starts after `downFor` milliseconds. Resolves when that Server listens.
   */
  crash(downFor?: number): Promise<void>;
}

/**
 * The world of a simulated program. What the program does by other means, such as `setTimeout`, is not simulated.
 *
 * @category Testing
 */
export interface SimulatedWorld {
  /** The seed of this run. */
  readonly seed: number;
  /** The time. Use it in place of `setTimeout` and `Date.now`. */
  readonly clock: WorldClock;
  /** Random numbers from the seed. Use them in place of `Math.random`. */
  readonly random: SeededRandom;
  /**
   * The network, for what `serve` and `connect` do not cover. Give it to a Server or a Client as the option
   * `transport`.
   */
  readonly transport: Transport;
  /**
   * Starts a server.
   *
   * @param config Its options. The simulation chooses the address.
   * @param setup Called before each start, to add routes and listeners. State that is made in here is lost in a crash.
   * State outside of it survives, as a database would.
   */
  serve<P = undefined>(config?: ServerConfig<P>, setup?: (server: Server<P>) => void): Promise<SimulatedServer<P>>;
  /**
   * Connects a client, however many attempts that takes. By default the client later reconnects by itself, after 100 ms
   * to 2 s.
   *
   * @param to The server.
   * @param config Its options.
   * @param setup Called before it connects, to add routes and listeners.
   */
  connect(
    to: { readonly address: TcpEndpoint },
    config?: ClientConfig,
    setup?: (client: Client) => void,
  ): Promise<Client>;
  /**
   * States an invariant. If it does not hold, the run has failed, even if the program catches the error.
   *
   * @param name What must hold, as a sentence.
   * @param condition Whether it holds.
   * @param details Shown with the failure.
   * @throws {AssertionError} It does not hold.
   */
  check(name: string, condition: boolean, details?: unknown): void;
  /** Adds a line to the trace. */
  note(text: string): void;
  /** Cuts the network in two: nothing arrives, and nobody is told. */
  partition(): void;
  /** Ends a partition. What was sent meanwhile arrives. */
  heal(): void;
  /**
   * Ends all faults for the rest of the run. Resolves when all servers listen. To check what must be true in the end,
   * `sleep` some more first.
   */
  calm(): Promise<void>;
}

/** The world, and what only the simulation does with it. */
export class SimulatedRun implements SimulatedWorld {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly clock: WorldClock;
  /** The first invariant that did not hold. */
  failure: AssertionError | undefined;
  readonly #time: SimulatedClock;
  readonly #network: SimulatedNetwork;
  readonly #chance: SeededRandom;
  readonly #faults: Required<SimulatedFaults>;
  readonly #trace: Trace;
  readonly #servers: ManagedServer<never>[] = [];
  readonly #clients: Client[] = [];
  #calm = false;

  /**
   * @param random The numbers of the program.
   * @param chance The numbers of the faults. The two are drawn apart, so that a change in one does not change the
   * other.
   */
  constructor(
    parts: {
      readonly seed: number;
      readonly random: SeededRandom;
      readonly chance: SeededRandom;
      readonly time: SimulatedClock;
      readonly faults: Required<SimulatedFaults>;
      readonly trace: Trace;
    },
  ) {
    const { chance, faults, random, seed, time, trace } = parts;
    this.seed = seed;
    this.random = random;
    this.#time = time;
    this.#chance = chance;
    this.#faults = faults;
    this.#trace = trace;
    this.#network = new SimulatedNetwork(time, chance, faults, (text) => trace.add(text));
    this.clock = {
      now: () => time.now(),
      sleep: (ms) => new Promise((resolve) => void time.setTimeout(resolve, ms)),
      setTimeout: (fn, ms) => {
        const timer = time.setTimeout(fn, ms);
        return () => time.clearTimeout(timer);
      },
    };
    if (faults.cuts || faults.holds || faults.restarts) this.#disturbLater();
  }

  get transport(): Transport {
    return this.#network.transport;
  }

  async serve<P>(config: ServerConfig<P> = {}, setup?: (server: Server<P>) => void): Promise<SimulatedServer<P>> {
    const number = this.#servers.length + 1;
    const name = `server ${number}`;
    const address = { hostname: HOST, port: PORT + number - 1 };
    const managed = new ManagedServer<P>(name, address, {
      time: this.#time,
      network: this.#network,
      trace: this.#trace,
      make: (transport) => {
        const server = new SimulatedTimeServer<P>(this.#time, {
          logger: new LogLines(),
          ...config,
          ...address,
          transport,
        });
        this.#watchServer(name, server);
        setup?.(server);
        return server;
      },
    });
    this.#servers.push(managed as unknown as ManagedServer<never>);
    await managed.start();
    return managed;
  }

  async connect(
    to: { readonly address: TcpEndpoint },
    config: ClientConfig = {},
    setup?: (client: Client) => void,
  ): Promise<Client> {
    const name = `client ${this.#clients.length + 1}`;
    const client = new SimulatedTimeClient(this.#time, {
      ...to.address,
      logger: new LogLines(),
      reconnect: { delay: PAUSE, maxDelay: 20 * PAUSE },
      transport: this.transport,
      ...config,
    });
    this.#clients.push(client);
    this.#watchClient(name, client);
    setup?.(client);
    for (;;) {
      try {
        await client.connect();
        return client;
      } catch (error) {
        this.note(`${name} cannot connect: ${errorText(error)}`);
        // A client that gave up for another reason than the network never gets there.
        if (error instanceof TypeError || this.#over) throw error;
        await this.clock.sleep(PAUSE);
      }
    }
  }

  // A program may take it out of the world by its name.
  readonly check = (name: string, condition: boolean, details?: unknown): void => {
    if (condition) return;
    const more = details === undefined ? "" : `: ${show(details)}`;
    const error = new AssertionError(`Does not hold: ${name}${more}`, { actual: details });
    this.note(error.message);
    this.failure ??= error;
    throw error;
  };

  note(text: string): void {
    this.#trace.add(text);
  }

  partition(): void {
    this.#network.partition();
  }

  heal(): void {
    this.#network.heal();
  }

  async calm(): Promise<void> {
    if (!this.#calm) this.note("no more faults");
    this.#calm = true;
    this.#network.calm();
    await Promise.all(this.#servers.map((server) => server.up));
  }

  #over = false;

  /** Closes everything at the end of the run. */
  async close(): Promise<void> {
    this.#calm = this.#over = true;
    this.#network.calm();
    await Promise.all(this.#clients.map((client) => client.close({ drain: 0 })));
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  #disturbLater(): void {
    // An average of `every`, and never none.
    const ms = 1 + Math.floor(-Math.log(1 - this.#chance.next()) * this.#faults.every);
    this.#time.setTimeout(() => {
      if (this.#calm) return;
      const running = this.#servers.filter(({ running }) => running);
      if (this.#faults.restarts && running.length > 0 && this.#chance.chance(0.15)) {
        void this.#chance.pick(running).crash(this.#chance.below(DOWN));
      } else this.#network.disturb();
      this.#disturbLater();
    }, ms);
  }

  #watchServer<P>(name: string, server: Server<P>): void {
    const tell = (what: string, client?: ConnectedClient<P>): void =>
      this.note(`${name} ${what}${client === undefined ? "" : ` client ${client.id}`}`);
    server.on("connect", (client) => tell("connect", client));
    server.on("suspended", (client, { reason }) => tell(`suspended (${reason})`, client));
    server.on("resumed", (client, { replayedBytes }) => tell(`resumed (${replayedBytes} bytes again)`, client));
    server.on(
      "disconnect",
      (client, { reason, unhandled }) => tell(`disconnect (${reason}, ${unhandled} unhandled)`, client),
    );
    server.on("rejected", ({ reason }) => tell(`rejected (${reason})`));
    server.on("error", (error) => tell(`error ${errorText(error)}`));
  }

  #watchClient(name: string, client: Client): void {
    const tell = (what: string): void => this.note(`${name} ${what}`);
    client.on("connect", () => tell("connect"));
    client.on("suspended", ({ reason }) => tell(`suspended (${reason})`));
    client.on("resumed", ({ replayedBytes }) => tell(`resumed (${replayedBytes} bytes again)`));
    client.on("disconnect", ({ reason }) => tell(`disconnect (${reason})`));
    client.on("reconnecting", ({ attempt, delay }) => tell(`reconnecting (attempt ${attempt} in ${delay} ms)`));
    client.on("error", (error) => tell(`error ${errorText(error)}`));
  }
}

/** The parts of a {@linkcode ManagedServer}. */
interface ServerParts<P> {
  readonly time: SimulatedClock;
  readonly network: SimulatedNetwork;
  readonly trace: Trace;
  make(transport: Transport): Server<P>;
}

/** A server that crashes and comes back. */
class ManagedServer<P> implements SimulatedServer<P> {
  readonly name: string;
  readonly address: TcpEndpoint;
  /** Resolves when it listens, or is closed for good. */
  up: Promise<void> = Promise.resolve();
  #server: Server<P>;
  #running = false;
  #closed = false;
  readonly #parts: ServerParts<P>;

  constructor(name: string, address: TcpEndpoint, parts: ServerParts<P>) {
    this.name = name;
    this.address = address;
    this.#parts = parts;
    this.#server = parts.make(parts.network.transport);
  }

  get server(): Server<P> {
    return this.#server;
  }

  get running(): boolean {
    return this.#running;
  }

  async start(): Promise<void> {
    await this.#server.start();
    this.#running = true;
  }

  crash(downFor: number = 0): Promise<void> {
    if (this.#running && !this.#closed) {
      this.#running = false;
      this.up = this.#crash(downFor);
    }
    return this.up;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.up;
    await this.#server.close({ drain: 0 });
  }

  async #crash(downFor: number): Promise<void> {
    const { make, network, time, trace } = this.#parts;
    trace.add(`${this.name} crashes, for ${downFor} ms`);
    const closing = this.#server.close({ drain: 0 });
    network.reset(this.address.port);
    await closing;
    await new Promise<void>((resolve) => void time.setTimeout(resolve, downFor));
    if (this.#closed) return;
    this.#server = make(network.transport);
    await this.start();
    trace.add(`${this.name} runs again`);
  }
}

/** A server whose modules are loaded while the simulated time stands still. */
class SimulatedTimeServer<P> extends RuntimeServer<P> {
  readonly #time: SimulatedClock;

  constructor(time: SimulatedClock, config: ServerConfig<P>) {
    super({ ...config, transport: entering(config.transport as Transport, () => this.#loaded) });
    this.#time = time;
  }

  #loaded: (() => void) | undefined;

  override start(): Promise<void> {
    const back = this.#loaded = this.#time.leave();
    return super.start().finally(back);
  }
}

/** The same for a client. */
class SimulatedTimeClient extends RuntimeClient {
  readonly #time: SimulatedClock;

  constructor(time: SimulatedClock, config: ClientConfig) {
    super({ ...config, transport: entering(config.transport as Transport, () => this.#loaded) });
    this.#time = time;
  }

  #loaded: (() => void) | undefined;

  override connect(options?: Parameters<Client["connect"]>[0]): Promise<void> {
    if (this.state !== "disconnected") return super.connect(options);
    const back = this.#loaded = this.#time.leave();
    return super.connect(options).finally(back);
  }
}

/** Returns a transport that ends what `SimulatedClock.leave` began, as soon as it is used: all modules are there. */
function entering(transport: Transport, back: () => (() => void) | undefined): Transport {
  return {
    ...transport,
    connect: (to, options) => {
      back()?.();
      return transport.connect(to, options);
    },
    listen: (at, options) => {
      back()?.();
      return transport.listen(at, options);
    },
  };
}
