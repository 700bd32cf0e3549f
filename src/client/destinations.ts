/**
 * The servers that a client may connect to: the options `port`, `hostname`, `path`, `url` and `servers`.
 *
 * @module
 */

import { contradiction, endpointOf } from "../app/config.ts";
import { webSocketUrl } from "../app/web_socket_config.ts";
import type { Endpoint } from "../base/address.ts";
import {
  type Check,
  type Checks,
  type Given,
  nonEmpty,
  optional,
  type OptionTable,
  readOptions,
  whole,
} from "../base/checks.ts";

/**
 * Where a server is.
 *
 * @category Client
 */
export interface ServerAddress {
  /** The server's port. @default 8080 */
  readonly port?: number;
  /** The server's host name or address. @default "127.0.0.1" */
  readonly hostname?: string;
  /** The path of a unix socket, instead of host and port. */
  readonly path?: string;
  /** The URL of a server that takes WebSockets, with `ws:` or `wss:`, instead of host and port. */
  readonly url?: string | URL;
}

/** One of the servers. */
export interface Destination {
  /** The endpoint; with a URL, its host and port. */
  readonly endpoint: Endpoint;
  /** The URL of a WebSocket; `undefined` for other sockets. */
  readonly url: string | undefined;
}

/** The options of {@linkcode ServerAddress}, read. */
export type AddressOptions = Omit<Given<ServerAddress>, "url"> & { readonly url: string | undefined };

/** The checks of the options of {@linkcode ServerAddress}. */
export const ADDRESS_OPTIONS: Checks<AddressOptions> = {
  port: optional(whole(1, 65535)),
  hostname: optional(nonEmpty),
  path: optional(nonEmpty),
  url: optional(webSocketUrl),
} satisfies OptionTable<ServerAddress>;

/** Checks the option `servers`, and returns the options of each server. */
export const addressesOf: Check<readonly AddressOptions[]> = (name, value) => {
  if (!Array.isArray(value) || value.length === 0) {
    throw new TypeError(`${name} must be an array of at least one server`);
  }
  return value.map((given: object, i) => readOptions(`${name}[${i}]`, given, ADDRESS_OPTIONS, `${name}[${i}].`));
};

/**
 * Returns the servers that options name.
 *
 * @throws {ConfigError} `invalid-config`: two options exclude each other.
 */
export function destinationsOf(
  options: AddressOptions & { readonly servers: readonly AddressOptions[] | undefined },
): readonly Destination[] {
  const { servers } = options;
  if (servers === undefined) return [destinationOf(options, "")];
  for (const name of Object.keys(ADDRESS_OPTIONS) as (keyof typeof ADDRESS_OPTIONS)[]) {
    if (options[name] !== undefined) throw contradiction("servers", name);
  }
  return servers.map((server, i) => destinationOf(server, `servers[${i}].`));
}

function destinationOf(options: AddressOptions, prefix: string): Destination {
  const { url } = options;
  if (url === undefined) return { endpoint: endpointOf(options, { hostname: "127.0.0.1", port: 8080 }, prefix), url };
  for (const name of ["path", "hostname", "port"] as const) {
    if (options[name] !== undefined) throw contradiction(`${prefix}url`, `${prefix}${name}`);
  }
  const { hostname, port, protocol } = new URL(url);
  // The host of an IPv6 address has brackets.
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  return { endpoint: { hostname: host, port: Number(port) || (protocol === "wss:" ? 443 : 80) }, url };
}
