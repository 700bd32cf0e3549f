/**
 * Addresses, as text for the log and as the networks by which peers are counted.
 *
 * @module
 */

/**
 * Where to connect to or listen at: a TCP host and port, or the path of a unix socket.
 *
 * @category Transport
 */
export type Endpoint = TcpEndpoint | UnixEndpoint;

/**
 * A TCP host and port. Listening at port 0 takes a free one.
 *
 * @category Transport
 */
export interface TcpEndpoint {
  /** A host name or an IP address. */
  readonly hostname: string;
  /** The port, 0 to 65535. */
  readonly port: number;
}

/**
 * A unix socket.
 *
 * @category Transport
 */
export interface UnixEndpoint {
  /** The path of the socket's file. */
  readonly path: string;
}

/**
 * An actual {@linkcode Endpoint}: an IP address and the real port, or a path (empty for an unnamed unix peer).
 *
 * @category Transport
 */
export type Address = Endpoint;

/** Returns an address as text for a line in the log. */
export function addressText(address: Address): string {
  if ("path" in address) return address.path === "" ? "a unix socket" : address.path;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/**
 * Returns the IP address of a peer, an IPv4 one always in its own notation. Empty if there is none, as on a unix
 * socket.
 */
export function ipOf(address: Address): string {
  return "path" in address ? "" : address.hostname.replace(/^::ffff:(?=\d+\.)/i, "");
}

/**
 * Returns the network of a peer, as far as it belongs to one subscriber: an IPv4 address, or the first 64 bits of an
 * IPv6 one. Empty if there is no address, as on a unix socket.
 */
export function networkOf(address: Address): string {
  const ip = ipOf(address);
  if (!ip.includes(":")) return ip;
  const [head, tail] = ip.replace(/%.*$/, "").split("::").map((part) => part === "" ? [] : part.split(":"));
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array(zeros).fill("0"), ...tail ?? []].map((group) => parseInt(group, 16));
  // A program's own transport may name its peers in any way.
  if (groups.length !== 8 || groups.some(Number.isNaN)) return ip;
  const [a, b, c, d, e, f, g, h] = groups;
  if (a + b + c + d + e === 0 && f === 0xffff) return `${g >> 8}.${g & 0xff}.${h >> 8}.${h & 0xff}`;
  return [a, b, c, d].map((group) => group.toString(16)).join(":");
}

/** An address of 127.0.0.0/8. A greater number, such as in 127.999.1.1, makes a name of it, which may be anywhere. */
const LOOPBACK = /^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;

/** A path on Windows that begins with the name of a machine, such as `\\server\pipe\veltix`. */
const SHARE = /^[\\/]{2}/;
/** The path of a named pipe on this machine, such as `\\.\pipe\veltix`. */
const OWN_PIPE = /^[\\/]{2}[.?][\\/]pipe[\\/]/i;

/**
 * Returns whether an endpoint is on this machine: a unix socket, a named pipe of this machine, `localhost`, 127.0.0.0/8
 * or `::1`.
 *
 * @param endpoint The endpoint.
 * @param windows Whether paths are those of Windows, where a named pipe may be on another machine.
 */
export function isLocal(endpoint: Endpoint, windows: boolean = isWindows()): boolean {
  if ("path" in endpoint) return !windows || !SHARE.test(endpoint.path) || OWN_PIPE.test(endpoint.path);
  const name = ipOf(endpoint).toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" || LOOPBACK.test(name);
}

/** Returns the network of a peer for people: an IPv4 address, or a prefix such as `2001:db8:0:0::/64`. */
export function networkText(address: Address): string {
  const network = networkOf(address);
  return network.includes(":") ? `${network}::/64` : network;
}

function isWindows(): boolean {
  return (globalThis as { process?: { readonly platform?: string } }).process?.platform === "win32";
}
