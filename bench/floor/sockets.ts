/**
 * What the floor asks of a runtime's sockets, and the choice among them: `native` is the runtime's own API (`Deno.listen`,
 * `Bun.listen`, `node:net`), `node` is `node:net` on any runtime.
 *
 * @module
 */

import process from "node:process";

/** Which sockets to take. */
export type SocketKind = "native" | "node";

/** One connection. */
export interface Socket {
  /**
   * Writes all of `bytes`. Returns true when the kernel has them already; otherwise `done` is called when they may be
   * changed. One at a time.
   */
  write(bytes: Uint8Array, done: () => void): boolean;
  /** Ends it. */
  close(): void;
}

/** What a connection tells. A chunk is valid only during the call. */
export interface SocketEvents {
  data(chunk: Uint8Array): void;
  closed(): void;
}

/** Called for each new connection. */
export type OpenCallback = (socket: Socket) => SocketEvents;

/** One runtime's sockets, on the loopback address and with Nagle's algorithm off. */
export interface Sockets {
  /** Listens at a free port and returns it. */
  listen(open: OpenCallback): Promise<number>;
  /** Connects; `open` is called before the promise resolves. */
  connect(port: number, open: OpenCallback): Promise<void>;
}

/** Loads the sockets of the running runtime. */
export async function loadSockets(kind: SocketKind): Promise<Sockets> {
  if (kind === "native" && process.versions.deno !== undefined) return (await import("./sockets/deno.ts")).sockets;
  if (kind === "native" && process.versions.bun !== undefined) return (await import("./sockets/bun.ts")).sockets;
  return (await import("./sockets/node.ts")).sockets;
}
