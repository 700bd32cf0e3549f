/**
 * The options of a Server.
 *
 * @module
 */

import {
  checkNames,
  COMMON_NAMES,
  type CommonConfig,
  contradiction,
  endpointOf,
  type Names,
  protocolOf,
} from "../options.ts";
import type { Endpoint } from "../transport.ts";

/** One address to listen at. */
export interface ListenConfig {
  /** The port; 0 takes a free one. @default 8080 */
  readonly port?: number;
  /** The host name or address. @default "0.0.0.0" */
  readonly hostname?: string;
  /** The path of a unix socket, instead of host and port. */
  readonly path?: string;
  /** The protocol spoken there; native peers upgrade inside `"2.0"`. @default the server's `protocol` */
  readonly protocol?: string;
}

/** Options of a Server; all optional. */
export interface ServerConfig extends CommonConfig {
  /** The port; 0 takes a free one. @default 8080 */
  readonly port?: number;
  /** The host name or address to listen at. @default "0.0.0.0" */
  readonly hostname?: string;
  /** The path of a unix socket, instead of host and port. */
  readonly path?: string;
  /** Several addresses to listen at, instead of `port`, `hostname` and `path`. */
  readonly listen?: readonly ListenConfig[];
  /** A Python release such as `"1.6.3"`, a family such as `"2.0"`, or `"native"` for native peers only. @default "2.0" */
  readonly protocol?: string;
  /** Connections still in their handshake; above this the oldest that has sent nothing is closed. @default 2048 */
  readonly maxPendingHandshakes?: number;
}

/** A {@linkcode ListenConfig}, decided. */
export interface Place {
  /** Where to listen at. */
  readonly at: Endpoint;
  /** What is spoken there. */
  readonly protocol: string;
}

const ANYWHERE = { hostname: "0.0.0.0", port: 8080 } as const;
const LISTEN_NAMES: Names<ListenConfig> = { port: true, hostname: true, path: true, protocol: true };
const SERVER_NAMES: Names<ServerConfig> = {
  ...COMMON_NAMES,
  ...LISTEN_NAMES,
  listen: true,
  maxPendingHandshakes: true,
};

/**
 * Where a {@linkcode ServerConfig} says to listen, and what is spoken there.
 *
 * @throws {RangeError | TypeError} A member is wrong, or there is none of that name.
 * @throws {ConfigError} `invalid-config`: two members stand in place of each other.
 */
export function placesOf(config: ServerConfig): readonly Place[] {
  checkNames("a server's config", config, SERVER_NAMES);
  const { listen, protocol = "2.0" } = config;
  protocolOf(protocol);
  if (listen === undefined) return [{ at: endpointOf(config, ANYWHERE, 0), protocol }];
  if (!Array.isArray(listen) || listen.length === 0) {
    throw new TypeError("listen must be an array of at least one place");
  }
  for (const name of ["port", "hostname", "path"] as const) {
    if (config[name] !== undefined) throw contradiction("listen", name);
  }
  return listen.map((place: ListenConfig, i) => {
    const name = `listen[${i}]`;
    checkNames(name, place, LISTEN_NAMES);
    const { protocol: spoken = protocol } = place;
    return { at: endpointOf(place, ANYWHERE, 0, `${name}.`), protocol: protocolOf(spoken, `${name}.`) };
  });
}
