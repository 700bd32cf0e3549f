/**
 * Checks and names of endpoints, the same for every adapter: a wrong argument is a `TypeError` or `RangeError` that names
 * it, before any runtime sees it.
 *
 * @module
 */

import type { Endpoint, TcpEndpoint } from "../base/address.ts";
import type { SocketOptions } from "../transport.ts";

/** The largest chunk of one read, in bytes, unless the caller says otherwise. */
export const DEFAULT_BUFFER_SIZE = 65536;

/**
 * Throws when `endpoint` cannot be used.
 *
 * @param verb What is about to be done, for the message: `"connect"` or `"listen"`.
 * @param endpoint Where.
 * @throws {TypeError} When a member is missing or of the wrong type.
 * @throws {RangeError} When the port is out of range; connecting to port 0 is out of range, too.
 */
export function checkEndpoint(verb: "connect" | "listen", endpoint: Endpoint): void {
  const { hostname, path, port } = endpoint as Partial<TcpEndpoint> & { path?: unknown };
  if (path !== undefined) {
    if (typeof path !== "string" || path === "") {
      throw new TypeError(`Cannot ${verb}: "path" must be a non-empty string`);
    }
    return;
  }
  if (typeof hostname !== "string" || hostname === "") {
    throw new TypeError(`Cannot ${verb}: "hostname" must be a non-empty string`);
  }
  if (typeof port !== "number") throw new TypeError(`Cannot ${verb}: "port" must be a number`);
  const lowest = verb === "connect" ? 1 : 0;
  if (!Number.isInteger(port) || port < lowest || port > 65535) {
    throw new RangeError(`Cannot ${verb}: "port" must be an integer from ${lowest} to 65535, got ${port}`);
  }
}

/**
 * The buffer size to use.
 *
 * @param options What the caller gave.
 * @returns `bufferSize`, or 65536.
 * @throws {RangeError} When it is not a positive integer.
 */
export function bufferSizeOf(options: SocketOptions | undefined): number {
  const size = options?.bufferSize ?? DEFAULT_BUFFER_SIZE;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new RangeError(`Cannot use "bufferSize": it must be a positive integer, got ${size}`);
  }
  return size;
}

/**
 * The IP address of a socket as everybody else writes it: a socket of both families tells an IPv4 address as an IPv6 one,
 * `::ffff:192.0.2.1`, and a list of addresses would not find it.
 *
 * @param ip What the runtime calls it; empty where it does not know any more.
 * @returns The IPv4 address where it is one; otherwise `ip`.
 */
export function plainIp(ip: string): string {
  // All others begin otherwise, and cost one comparison.
  if (!ip.startsWith("::")) return ip;
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([\da-f]{1,4}):([\da-f]{1,4}))$/i.exec(ip);
  if (mapped === null) return ip;
  const [, dotted, high, low] = mapped;
  if (dotted !== undefined) return dotted;
  return [high, low].map((group) => parseInt(group, 16)).map((group) => `${group >> 8}.${group & 0xff}`).join(".");
}
