/**
 * The option `proxyProtocol` of a server and its listeners.
 *
 * @module
 */

import { type Address, ipOf } from "../base/address.ts";
import { type Check, type OptionTable, readOptions, show } from "../base/checks.ts";
import { inNetwork, type IpNetwork, parseIp, parseIpNetwork } from "../base/ip_networks.ts";

/**
 * Options of the PROXY protocol on a server.
 *
 * @category Server
 */
export interface ProxyProtocolOptions {
  /**
   * The proxies to believe: IP addresses, networks such as `"10.0.0.0/8"` and `"2001:db8::/32"`, `"localhost"` for
   * `127.0.0.0/8` and `::1`, and `"unix"` for the peers of a unix socket. Such a proxy may say that anyone is connected,
   * so list no address from which others than the proxy can connect.
   */
  readonly from: readonly string[];
}

/** The word for the peers of unix sockets, which have no address. */
const UNIX = "unix";
const LOCALHOST = "localhost";

/** The proxies to believe. */
export class TrustedProxies {
  readonly #networks: readonly IpNetwork[];
  readonly #unix: boolean;

  constructor({ from }: ProxyProtocolOptions) {
    this.#unix = from.includes(UNIX);
    this.#networks = from.flatMap(networksOf);
  }

  /** Returns whether a connection from this address comes through one of them. */
  has(remote: Address): boolean {
    if ("path" in remote) return this.#unix;
    // A zone only says which interface leads to the address.
    const ip = parseIp(ipOf(remote).replace(/%.*$/, ""));
    return ip !== undefined && this.#networks.some((network) => inNetwork(network, ip));
  }
}

const PROXY_PROTOCOL = { from: proxies } satisfies OptionTable<ProxyProtocolOptions>;

/** Checks the option `proxyProtocol`, and returns it. */
export const proxyProtocolOf: Check<ProxyProtocolOptions> = (name, value) =>
  readOptions(name, value as object, PROXY_PROTOCOL, `${name}.`);

function proxies(name: string, value: unknown): readonly string[] {
  const right = `${name} must be an array of the addresses of proxies`;
  if (!Array.isArray(value)) throw new TypeError(`${right}, not ${show(value)}`);
  if (value.length === 0) throw new TypeError(`${right}, not an empty one: leave out the option, or set it to false`);
  return value.map((text: unknown, i) => {
    if (typeof text !== "string") throw new TypeError(`${name}[${i}] must be a string, not ${show(text)}`);
    if (text === UNIX || networksOf(text).length > 0) return text;
    const one = 'an IP address, a network such as "10.0.0.0/8", "localhost" or "unix"';
    throw new RangeError(`${name}[${i}] must be ${one}, not ${show(text)}`);
  });
}

/** Returns the networks of a text; none if it is none. */
function networksOf(text: string): IpNetwork[] {
  const names = text === LOCALHOST ? ["127.0.0.0/8", "::1"] : [text];
  return names.map(parseIpNetwork).filter((network) => network !== undefined);
}
