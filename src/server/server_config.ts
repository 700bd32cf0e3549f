/**
 * The options of a Server.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import { checkFunction, checkNames, type Names, wholeNumber } from "../base/checks.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import { COMMON_NAMES, type CommonConfig, contradiction, endpointOf, protocolOf, recoveryOf } from "../app/config.ts";
import type { Endpoint } from "../base/address.ts";
import { type Protocol, protocol as protocolNamed } from "../wire/protocols.ts";
import { noResync } from "../wire/python/resync.ts";
import type { Authenticate } from "./authenticate.ts";

/** One address to listen at. `P` is what `authenticate` returns. */
export interface ListenerConfig<P = undefined> {
  /** The port; 0 takes a free one. @default 8080 */
  readonly port?: number;
  /** The host name or address. @default "0.0.0.0" */
  readonly hostname?: string;
  /** The path of a unix socket, instead of host and port. */
  readonly path?: string;
  /** The protocol spoken there; native peers upgrade inside `"2.0"` and later. @default the server's `protocol` */
  readonly protocol?: string;
  /** Decides who may come in there. @default the server's `authenticate` */
  readonly authenticate?: Authenticate<P>;
  /** What a torn stream does there, with Python peers. @default the server's `recovery` */
  readonly recovery?: "close" | "resync";
}

/** Options of a Server; all optional. `P` is what `authenticate` returns. */
export interface ServerConfig<P = undefined> extends CommonConfig {
  /** The port; 0 takes a free one. @default 8080 */
  readonly port?: number;
  /** The host name or address to listen at. @default "0.0.0.0" */
  readonly hostname?: string;
  /** The path of a unix socket, instead of host and port. */
  readonly path?: string;
  /** Several addresses to listen at, instead of `port`, `hostname` and `path`. */
  readonly listen?: readonly ListenerConfig<P>[];
  /**
   * A Python release such as `"1.6.3"`, a family such as `"2.0"` or `"3"`, or `"native"` for native peers only. The default
   * announces release 2.0.0 and the version of its protocol: so one port serves 2.0.0 to 3.3.0, and native peers. `"3.3.0"`
   * announces that release and the same version: it serves native peers and 2.0.3 to 3.3.0, as any release from 2.0.0 on does.
   * @default "2.0"
   */
  readonly protocol?: string;
  /**
   * Decides who may come in; what it returns becomes `client.principal`. It runs within `handshakeTimeout`, and before it has
   * said yes the peer gets nothing and is found nowhere. The releases 1.2 and 1.3 have no handshake to ask in.
   * @default everybody may
   */
  readonly authenticate?: Authenticate<P>;
  /**
   * Connections that are open or being closed. Above this, peers are told that there are `too-many-connections` and that it is
   * worth trying again after 1,000 ms; the HELLO releases have no words for it and are only closed.
   * @default unlimited
   */
  readonly maxConnections?: number;
  /** The same for each IP address, connections in their handshake included; unix sockets have none. @default unlimited */
  readonly maxConnectionsPerAddress?: number;
  /**
   * Connections still in their handshake, or just refused. Above this limit, a connection that was refused is cut.
   * If there is none, the network with most connections loses the oldest one whose answer is not complete. A
   * connection that waits for `authenticate` is closed only when more than half of them do.
   * @default 2048
   */
  readonly maxPendingHandshakes?: number;
  /**
   * Connections in their handshake of one network: an IPv4 address, or 64 bits of IPv6; unix sockets have none. What is above is
   * closed without a word. Without it one network may have all places that no other wants: many clients may have the address of
   * one router or proxy.
   * @default unlimited
   */
  readonly maxPendingPerAddress?: number;
}

/** How many connections there may be. */
export interface ServerLimits {
  /** Open ones. */
  readonly maxConnections: number;
  /** Of one address. */
  readonly maxConnectionsPerAddress: number;
  /** In their handshake. */
  readonly maxPendingHandshakes: number;
  /** The same of one network. */
  readonly maxPendingPerAddress: number;
}

/** A {@linkcode ListenerConfig}, decided. */
export interface Place<P> {
  /** Where to listen at. */
  readonly at: Endpoint;
  /** What is spoken there. */
  readonly protocol: Protocol;
  /** Who decides about peers. */
  readonly authenticate: Authenticate<P> | undefined;
  /** What a torn stream does, where frames have a magic. */
  readonly recovery: Recovery;
}

const ANYWHERE = { hostname: "0.0.0.0", port: 8080 } as const;
const LISTEN_NAMES: Names<ListenerConfig> = {
  port: true,
  hostname: true,
  path: true,
  protocol: true,
  authenticate: true,
  recovery: true,
};
const SERVER_NAMES: Names<ServerConfig> = {
  ...COMMON_NAMES,
  ...LISTEN_NAMES,
  listen: true,
  maxConnections: true,
  maxConnectionsPerAddress: true,
  maxPendingHandshakes: true,
  maxPendingPerAddress: true,
};

/**
 * Where a {@linkcode ServerConfig} says to listen, and what is spoken there.
 *
 * @throws {RangeError | TypeError} A member is wrong, or there is none of that name.
 * @throws {ConfigError} `invalid-config`: two members exclude each other, or do not go with a release.
 */
export function placesOf<P>(config: ServerConfig<P>): readonly Place<P>[] {
  checkNames("a server's config", config, SERVER_NAMES);
  const { listen, protocol = "2.0", authenticate } = config;
  const recovery = recoveryOf(config.recovery);
  protocolOf(protocol);
  if (authenticate !== undefined) checkFunction("authenticate", authenticate);
  if (listen === undefined) {
    const place = placeOf(endpointOf(config, ANYWHERE, 0), protocol, authenticate, recovery);
    if (recovery === "resync" && place.protocol.magic === undefined) throw noResync(`protocol "${protocol}"`);
    return [place];
  }
  if (!Array.isArray(listen) || listen.length === 0) {
    throw new TypeError("listen must be an array of at least one place");
  }
  for (const name of ["port", "hostname", "path"] as const) {
    if (config[name] !== undefined) throw contradiction("listen", name);
  }
  const places = listen.map((given: ListenerConfig<P>, i) => {
    const name = `listen[${i}]`;
    checkNames(name, given, LISTEN_NAMES);
    const { protocol: spoken = protocol, authenticate: own } = given;
    if (own !== undefined) checkFunction(`${name}.authenticate`, own);
    const at = endpointOf(given, ANYWHERE, 0, `${name}.`);
    const torn = given.recovery === undefined ? recovery : recoveryOf(given.recovery, `${name}.`);
    const place = placeOf(at, protocolOf(spoken, `${name}.`), own ?? authenticate, torn, `${name}.`);
    if (given.recovery === "resync" && place.protocol.magic === undefined) {
      throw noResync(`${name}.protocol "${spoken}"`);
    }
    return place;
  });
  if (recovery === "resync" && places.every((place) => place.protocol.magic === undefined)) {
    throw noResync("every protocol in listen");
  }
  return places;
}

/**
 * How many connections a {@linkcode ServerConfig} allows.
 *
 * @throws {RangeError | TypeError} A limit is no whole number in its range.
 */
export function serverLimitsOf(config: ServerConfig<unknown>): ServerLimits {
  const { maxConnections, maxConnectionsPerAddress, maxPendingHandshakes = 2_048, maxPendingPerAddress } = config;
  const limit = (name: string, value: number | undefined): number =>
    value === undefined || value === Infinity ? Infinity : wholeNumber(name, value, 1);
  return {
    maxConnections: limit("maxConnections", maxConnections),
    maxConnectionsPerAddress: limit("maxConnectionsPerAddress", maxConnectionsPerAddress),
    maxPendingHandshakes: wholeNumber("maxPendingHandshakes", maxPendingHandshakes, 1),
    maxPendingPerAddress: limit("maxPendingPerAddress", maxPendingPerAddress),
  };
}

function placeOf<P>(
  at: Endpoint,
  spoken: string,
  authenticate: Authenticate<P> | undefined,
  recovery: Recovery,
  prefix = "",
): Place<P> {
  const protocol = protocolNamed(spoken);
  if (authenticate === undefined || protocol.handshake !== "none") return { at, protocol, authenticate, recovery };
  throw new ConfigError(
    "invalid-config",
    `${prefix}protocol "${spoken}" goes without authenticate: that release has no handshake to ask a peer in`,
  );
}
