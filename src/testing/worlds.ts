/**
 * The worlds of a test: the sockets that its servers and clients use, and the time that they see.
 *
 * @module
 */

import { FakeClock, type MemoryLine, type MemoryOptions, memoryTransport } from "../adapters/memory.ts";
import { runtimeLoop } from "../adapters/runtime_loop.ts";
import { loadTransport } from "../auto/load_transport.ts";
import type { Clock, Connection, ConnectOptions, Endpoint, Transport } from "../transport.ts";

/**
 * The sockets that the servers and clients of a test use.
 *
 * @category Testing
 */
export interface World {
  /** The sockets. */
  readonly transport: Transport;
  /** The clock, if the test moves the time; `undefined` where time is real. */
  readonly clock?: FakeClock;
}

/**
 * A world whose time only the test moves.
 *
 * @category Testing
 */
export interface TimedWorld extends World {
  /** The clock that the test moves, by `advance`. */
  readonly clock: FakeClock;
}

/**
 * A network inside the program that a test can disturb, with time that only the test moves.
 *
 * @category Testing
 */
export interface MemoryWorld extends TimedWorld {
  /** The connections so far, in the order in which they were made. Those that are over stay in the list. */
  readonly lines: readonly MemoryLine[];
  /** True while the network is cut in two. */
  readonly partitioned: boolean;
  /**
   * Cuts the network in two: nothing arrives any more, and attempts to connect wait. No side is told, as with a cable
   * that is pulled.
   */
  partition(): void;
  /** Ends the partition. What was sent meanwhile arrives. */
  heal(): void;
}

/**
 * Creates a network inside the program. No socket is opened, and time stands still until the test calls
 * `clock.advance`, so a test of a timeout of a minute takes a millisecond.
 *
 * @param options Faults, which happen at the same bytes each time, and sizes.
 *
 * @example A heartbeat notices that the network is cut
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { connect, memoryWorld, serve } from "@veltix/core/testing";
 *
 * const world = memoryWorld();
 * await using served = await serve({ world });
 * await using connected = await connect(served, { heartbeat: { idle: 1_000, timeout: 2_000 } });
 * world.partition();
 * await world.clock.advance(4_000);
 * assertEquals(connected.events.take("disconnect")[0].reason, "heartbeat");
 * ```
 *
 * @category Testing
 */
export function memoryWorld(options: Omit<MemoryOptions, "clock"> = {}): MemoryWorld {
  return new Memory(options);
}

class Memory implements MemoryWorld {
  readonly clock: FakeClock = new FakeClock();
  readonly transport: Transport;
  readonly lines: MemoryLine[] = [];
  #healing: PromiseWithResolvers<void> | undefined;

  constructor(options: Omit<MemoryOptions, "clock">) {
    const { clock } = this;
    const network = memoryTransport({
      ...options,
      clock,
      opened: (line) => {
        this.lines.push(line);
        options.opened?.(line);
      },
    });
    this.transport = { ...network, connect: (to, options) => this.#connect(network, to, options) };
  }

  get partitioned(): boolean {
    return this.#healing !== undefined;
  }

  partition(): void {
    this.#healing ??= Promise.withResolvers();
    for (const { client, server } of this.lines) {
      client.hold();
      server.hold();
    }
  }

  heal(): void {
    const healing = this.#healing;
    this.#healing = undefined;
    for (const { client, server } of this.lines) {
      client.release();
      server.release();
    }
    healing?.resolve();
  }

  async #connect(network: Transport, to: Endpoint, options: ConnectOptions | undefined): Promise<Connection> {
    while (this.#healing !== undefined) await orAborted(this.#healing.promise, options?.signal);
    return network.connect(to, options);
  }
}

/** Waits for a promise. Rejects with the reason of the signal if that is aborted before. */
export async function orAborted(waiting: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<void>();
  const stop = (): void => reject(signal!.reason);
  signal?.addEventListener("abort", stop);
  try {
    await Promise.race([waiting, promise]);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/**
 * Finds the sockets of this runtime: Deno's, Bun's or Node's. Servers of the test listen at a free port of 127.0.0.1.
 *
 * @param clock A clock that the test moves. Sockets still take real time, so wait for what they do before you move the
 * clock on.
 * @default time is real
 *
 * @example The same test over real sockets
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { connect, serve, socketWorld } from "@veltix/core/testing";
 *
 * await using served = await serve({ world: await socketWorld() });
 * await using connected = await connect(served);
 * assertEquals(connected.client.state, "connected");
 * ```
 *
 * @category Testing
 */
export async function socketWorld(): Promise<World>;
/**
 * Finds the sockets of this runtime, with time that the test moves.
 *
 * @category Testing
 */
export async function socketWorld(clock: FakeClock): Promise<TimedWorld>;
/**
 * Finds the sockets of this runtime.
 *
 * @category Testing
 */
export async function socketWorld(clock?: FakeClock): Promise<World> {
  const transport = await loadTransport("auto");
  return clock === undefined ? { transport } : { clock, transport: withClock(transport, clock) };
}

/**
 * Returns a transport whose connections see the time of a clock.
 *
 * @param transport The sockets.
 * @param clock The clock.
 *
 * @category Testing
 */
export function withClock(transport: Transport, clock: Clock): Transport {
  return { ...transport, eventLoop: { ...transport.eventLoop ?? runtimeLoop(), clock } };
}
