/**
 * A port for whoever takes no port 0, or comes back to one.
 *
 * @module
 */

import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";

/** Linux gives ports of this range to those who ask for any. */
const RANGE = "/proc/sys/net/ipv4/ip_local_port_range";
const LOWEST = 16_384;
/** Below so many, two that choose at once would often meet. */
const ENOUGH = 4_096;

/**
 * A port at which nobody listens, or did a moment ago. Where the system tells which ports it gives away, it is none of those:
 * nobody gets it by chance meanwhile.
 */
export async function freePort(): Promise<number> {
  const lowest = existsSync(RANGE) ? Number(readFileSync(RANGE, "utf8").split(/\s+/)[0]) : 0;
  const count = lowest - LOWEST;
  for (;;) {
    const server = createServer().listen(count < ENOUGH ? 0 : LOWEST + Math.floor(Math.random() * count), "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (error) {
      if ((error as { code?: string }).code === "EADDRINUSE") continue;
      throw error;
    }
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return port;
  }
}
