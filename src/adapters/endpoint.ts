/**
 * Checks endpoints and addresses, in the same way for every adapter. A wrong argument throws a `TypeError` or
 * `RangeError` that names it, before it gets to the runtime.
 *
 * @module
 */

import type { Endpoint, TcpEndpoint } from "../base/address.ts";
import type { SocketOptions } from "../transport.ts";

/** The largest chunk of one read by default, in bytes. */
export const DEFAULT_BUFFER_SIZE = 65536;

/**
 * Throws if `endpoint` cannot be used.
 *
 * @param verb The action for the error message: `"connect"` or `"listen"`.
 * @param endpoint The endpoint.
 * @throws {TypeError} A member is missing or of the wrong type.
 * @throws {RangeError} The port is out of range. Port 0 is in range only for `"listen"`.
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
 * Returns the buffer size to use, in bytes.
 *
 * @param options The caller's options.
 * @returns `bufferSize`, or 65536.
 * @throws {RangeError} `bufferSize` is not a positive integer.
 */
export function bufferSizeOf(options: SocketOptions | undefined): number {
  const size = options?.bufferSize ?? DEFAULT_BUFFER_SIZE;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new RangeError(`Cannot use "bufferSize": it must be a positive integer, got ${size}`);
  }
  return size;
}

/**
 * Returns the IP address of a socket in its usual form. A socket for both IP versions reports an IPv4 address as an
 * IPv6 one, `::ffff:192.0.2.1`, which a lookup in a list of addresses would not find.
 *
 * @param ip The address as the runtime reports it; empty if it does not know it any more.
 * @returns The IPv4 address if it is one; otherwise `ip`.
 */
export function plainIp(ip: string): string {
  // Most addresses start differently and cost only this comparison.
  if (!ip.startsWith("::")) return ip;
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([\da-f]{1,4}):([\da-f]{1,4}))$/i.exec(ip);
  if (mapped === null) return ip;
  const [, dotted, high, low] = mapped;
  if (dotted !== undefined) return dotted;
  return [high, low].map((group) => parseInt(group, 16)).map((group) => `${group >> 8}.${group & 0xff}`).join(".");
}
