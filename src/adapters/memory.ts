/**
 * Connections within the program, for tests. They keep the same promises as a socket, with bounded buffers. Optional
 * faults happen at the same byte each time, and optional time moves only when the test moves it.
 *
 * @module
 */

import type { Connection, Transport } from "../transport.ts";
import { anyLoop } from "../base/event_loop.ts";
import { type MemoryOptions, Network } from "./memory_network.ts";

export type * from "../transport.ts";
export { FakeClock } from "./fake_clock.ts";
export type { BitFlip, Faults, Freeze, RandomSplit } from "./faults.ts";
export type { FaultsInfo, MemoryDirection, MemoryLine, MemoryOptions } from "./memory_network.ts";

/**
 * Creates a separate network: only listeners of this transport can be reached from it. Paths are plain names. Host
 * names that end in `.invalid` cannot be resolved. A listener at `0.0.0.0` or `::` can be reached by every host name.
 *
 * @param options Clock, faults and sizes.
 *
 * @example A connection that breaks at a known byte
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { memoryTransport } from "@veltix/core/memory";
 *
 * const transport = memoryTransport({ faults: ({ side }) => side === "client" ? { resetAfter: 3 } : undefined });
 * await using listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
 * const client = await transport.connect(listener.address);
 * await client.write(new Uint8Array(5));
 * for await (const server of listener) {
 *   assertEquals(await server.read(), new Uint8Array(3));
 *   await assertRejects(() => server.read(), Error, "the connection was reset");
 *   break;
 * }
 * ```
 *
 * @category Testing
 */
export function memoryTransport(options?: MemoryOptions): Transport {
  const network = new Network(options);
  return {
    name: "memory",
    connect: (to, options) => network.connect(to, options),
    listen: (at, options) => network.listen(at, options),
    eventLoop: { ...anyLoop, clock: network.clock },
  };
}

/**
 * Creates two connections that are each other's peer.
 *
 * @param options Clock, faults and sizes. The index of the pair is 0.
 * @returns The client's end and the server's end.
 *
 * @example Corrupting one bit
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { connectionPair } from "@veltix/core/memory";
 *
 * const [client, server] = connectionPair({ faults: () => ({ corrupt: { byte: 1, bit: 0 } }) });
 * await client.write(new Uint8Array([4, 4, 4]));
 * assertEquals(await server.read(), new Uint8Array([4, 5, 4]));
 * client.abort();
 * server.abort();
 * ```
 *
 * @category Testing
 */
export function connectionPair(options?: MemoryOptions): [client: Connection, server: Connection] {
  const network = new Network(options);
  const local = { hostname: "127.0.0.1", port: network.freePort() };
  return network.pair(local, { hostname: "127.0.0.1", port: network.freePort() });
}
