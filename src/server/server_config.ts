/**
 * The options of a Server.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import {
  checkBoolean,
  checkFunction,
  type Checks,
  type Given,
  nonEmpty,
  oneOf,
  optional,
  readOptions,
  show,
  whole,
  wholeOrInfinity,
} from "../base/checks.ts";
import {
  COMMON_OPTIONS,
  type CommonConfig,
  type CommonOptions,
  contradiction,
  endpointOf,
  protocolOf,
} from "../app/config.ts";
import { checkTlsTransport, serverTls, type TlsSettings } from "../app/tls_config.ts";
import { type TransportChoice, transportOf } from "../app/transport_choice.ts";
import { serverResume, type ServerResumeOptions, type ServerResumeTerms } from "../app/resume_config.ts";
import { serverWebSocket } from "../app/web_socket_config.ts";
import type { WebSocketServerOptions } from "../websocket_seam.ts";
import { serverEncryption } from "../app/encryption_config.ts";
import type { EncryptionServerOptions, ServerEncryption } from "../encryption_seam.ts";
import type { TlsServerOptions } from "../tls_seam.ts";
import type { Endpoint } from "../base/address.ts";
import { type Protocol, protocol as protocolNamed } from "../wire/protocols.ts";
import { noResync } from "../wire/decoder_options.ts";
import type { Authenticate } from "./authenticate.ts";
import { proxyProtocolOf, type ProxyProtocolOptions, TrustedProxies } from "./proxy_config.ts";
import type { OriginPlace } from "./resumable_sessions.ts";

/**
 * One address to listen at. `P` is what `authenticate` returns.
 *
 * @category Server
 */
export interface ListenerConfig<P = undefined> {
  /** The port; 0 takes a free one. @default 8080 */
  readonly port?: number;
  /** The host name or address. With `"127.0.0.1"` only this machine can connect. @default "0.0.0.0" */
  readonly hostname?: string;
  /** The path of a unix socket, instead of host and port. */
  readonly path?: string;
  /** The protocol spoken there; native peers upgrade inside `"2.0"` and later. @default the server's `protocol` */
  readonly protocol?: string;
  /** Decides who may come in there. @default the server's `authenticate` */
  readonly authenticate?: Authenticate<P>;
  /** What happens there when the stream of a Python peer is damaged. @default the server's `recovery` */
  readonly recovery?: "close" | "resync";
  /**
   * Which sockets to use there. The clock and the event loop of all listeners are those of the server's `transport`. If
   * the server has none and each listener has its own, they are those of the first listener.
   * @default the server's `transport`
   */
  readonly transport?: TransportChoice;
  /** Protects the connections of this listener with TLS; `false` for no TLS. @default the server's `tls` */
  readonly tls?: TlsServerOptions | false;
  /**
   * Takes WebSockets in place of bare sockets; `true` for the defaults. Needs the package `ws`, which Bun has built in.
   * @default bare sockets
   */
  readonly webSocket?: boolean | WebSocketServerOptions;
  /** Encrypts the connections of this listener; `false` for no encryption. @default the server's `encryption` */
  readonly encryption?: EncryptionServerOptions | false;
  /** The proxies in front of this listener; `false` for none. @default the server's `proxyProtocol` */
  readonly proxyProtocol?: ProxyProtocolOptions | false;
}

/**
 * Options of a Server; all optional. `P` is what `authenticate` returns.
 *
 * @category Server
 */
export interface ServerConfig<P = undefined> extends CommonConfig {
  /** The port; 0 takes a free one. @default 8080 */
  readonly port?: number;
  /** The host name or address to listen at. With `"127.0.0.1"` only this machine can connect. @default "0.0.0.0" */
  readonly hostname?: string;
  /** The path of a unix socket, instead of host and port. */
  readonly path?: string;
  /**
   * Several addresses to listen at, instead of `port`, `hostname` and `path`. If it is empty, the server listens nowhere:
   * its clients come by {@linkcode Server.accept}.
   */
  readonly listen?: readonly ListenerConfig<P>[];
  /**
   * A Python release such as `"1.6.3"`, a family such as `"2.0"` or `"3"`, or `"native"` for native peers only. The
   * default announces release 2.0.0 and its protocol version, so that one port serves 2.0.0 to 3.3.0 and native peers.
   * `"3.3.0"` announces that release and the same version. Like any release from 2.0.0 on, it serves native peers and
   * 2.0.3 to 3.3.0.
   * @default "2.0"
   */
  readonly protocol?: string;
  /**
   * Decides who may come in. What it returns becomes `client.principal`. It runs within `handshakeTimeout`. Until it
   * has let the peer in, the peer gets no message and is not among the clients. The releases 1.2 and 1.3 have no
   * handshake in which it could run.
   * @default every peer may come in
   */
  readonly authenticate?: Authenticate<P>;
  /**
   * Protects all connections with TLS 1.3, using this certificate. A client that does not speak TLS is turned away with
   * an alert, and the `rejected` event has the code `tls-required`. TLS uses sockets of its own, those of `node:tls`,
   * on every runtime.
   * @default no TLS: anyone in between can read and change all bytes
   */
  readonly tls?: TlsServerOptions | false;
  /**
   * Encrypts all connections (Noise), without certificates: clients know the server by the public key of its identity.
   * A client without encryption is turned away with `encryption-required`. Encryption works over any transport, and
   * inside TLS.
   * @default no encryption: anyone in between can read and change all bytes
   */
  readonly encryption?: EncryptionServerOptions | false;
  /**
   * The proxies in front of all listeners that say by the PROXY protocol (HAProxy, nginx and others), version 1 or 2, who
   * is connected. A connection that comes from one of them must begin with such a header, before TLS and encryption.
   * Without it the connection is refused with `proxy-header-required`. The peer's address is then that in the header,
   * for limits, events, logs and `authenticate`. From all other addresses, a header means nothing.
   * @default none: the address of a peer is that of its socket
   */
  readonly proxyProtocol?: ProxyProtocolOptions | false;
  /**
   * Keeps the session of a native client that has `resume`, too, when its connection is lost. The client comes back to it
   * over another connection: nothing is lost and nothing comes twice. Until then it stays a client.
   * @default false: the session ends with its connection
   */
  readonly resume?: boolean | ServerResumeOptions;
  /**
   * Leaves out a warning of `start()`. It is logged for a listener that other machines can reach, if it has neither
   * `authenticate` nor `tls` nor `encryption`.
   * @default false
   */
  readonly quiet?: boolean;
  /**
   * The most connections that are open or being closed. Above this, peers are refused with `too-many-connections` and
   * learn that it is worth trying again after 1,000 ms. The protocol of the HELLO releases cannot say that: their
   * connections are only closed. With `resume`, suspended clients keep their places, and peers are refused at the end of
   * their handshake, as they may be such clients.
   * @default unlimited
   */
  readonly maxConnections?: number;
  /**
   * The most connections of one IP address, including those in their handshake. Unix sockets have no address and no
   * limit.
   * @default unlimited
   */
  readonly maxConnectionsPerAddress?: number;
  /**
   * The most connections that are still in their handshake, or were just refused. Above this limit, a connection that
   * was refused is cut. If there is none, the network with most connections loses the oldest one whose answer is not
   * complete. A connection that waits for `authenticate` is closed only when more than half of them do.
   * @default 2048
   */
  readonly maxPendingHandshakes?: number;
  /**
   * The most connections in their handshake of one network, which is an IPv4 address or 64 bits of IPv6. Unix sockets
   * have no network and no limit. Connections above the limit are closed without an answer. Without this limit, one
   * network may take all places that no other wants, as many clients may have the address of one router or proxy.
   * @default unlimited
   */
  readonly maxPendingPerAddress?: number;
}

/** The limits of the numbers of connections. */
export interface ServerLimits {
  /** The most open connections. */
  readonly maxConnections: number;
  /** The most connections of one IP address. */
  readonly maxConnectionsPerAddress: number;
  /** The most connections that have not been let in. */
  readonly maxPendingHandshakes: number;
  /** The most connections of one network in their handshake. */
  readonly maxPendingPerAddress: number;
}

/** How connections are let in that come from one source: a listener, or the program by `accept()`. */
export interface Place<P> extends OriginPlace {
  /** The protocol that is spoken there. */
  readonly protocol: Protocol;
  /** Decides about the peers that connect there. */
  readonly authenticate: Authenticate<P> | undefined;
  /** What happens when a stream is damaged, if the protocol's frames have a magic. */
  readonly recovery: Recovery;
  /** The certificate that is shown there; `undefined` for no TLS. */
  readonly tls: TlsSettings | undefined;
  /** The encryption of the connections there; `undefined` for no encryption. */
  readonly encryption: EncryptionSettings | undefined;
  /** The options of WebSockets; `undefined` for bare sockets, and for connections that the program has accepted. */
  readonly webSocket: WebSocketServerOptions | undefined;
  /** The proxies that name the peers there; `undefined` for none. */
  readonly proxies: TrustedProxies | undefined;
}

/** A {@linkcode ListenerConfig} with everything decided. */
export interface ListenerPlace<P> extends Place<P> {
  /** The address to listen at. */
  readonly at: Endpoint;
  /** The sockets to use; `undefined` for those of the server. */
  readonly transport: TransportChoice | undefined;
}

/** The encryption of a listener. */
export interface EncryptionSettings {
  readonly options: EncryptionServerOptions;
  /** The encryption itself. It is made when the server first starts. */
  encryption: ServerEncryption | undefined;
}

const ANYWHERE = { hostname: "0.0.0.0", port: 8080 } as const;

/** The options of {@linkcode ListenerConfig}, read. */
export interface ListenerOptions extends Omit<Given<ListenerConfig<unknown>>, "webSocket"> {
  readonly webSocket: WebSocketServerOptions | undefined;
}

/** The options of {@linkcode ServerConfig}, read. */
export interface ServerOptions
  extends CommonOptions, ServerLimits, Omit<ListenerOptions, "protocol" | "recovery" | "transport" | "webSocket"> {
  readonly protocol: string;
  readonly quiet: boolean;
  readonly resume: ServerResumeTerms | undefined;
  readonly listen: readonly ListenerOptions[] | undefined;
}

/** The checks of the options that a listener has in common with a server. */
const SHARED_OPTIONS: Checks<Omit<ListenerOptions, "webSocket">> = {
  port: optional(whole(0, 65535)),
  hostname: optional(nonEmpty),
  path: optional(nonEmpty),
  protocol: optional(protocolOf),
  authenticate: optional((name, value) => checkFunction(name, value as Authenticate<unknown>)),
  recovery: optional(oneOf("close", "resync")),
  transport: optional(transportOf),
  tls: optional((name, value) => value === false ? value : serverTls(name, value)),
  encryption: optional((name, value) => value === false ? value : serverEncryption(name, value)),
  proxyProtocol: optional((name, value) => value === false ? value : proxyProtocolOf(name, value)),
};

/** The checks of the options of a listener. */
export const LISTENER_OPTIONS: Checks<ListenerOptions> = {
  ...SHARED_OPTIONS,
  webSocket: optional((name, value) => value === false ? undefined : serverWebSocket(name, value)),
};

/** The checks and defaults of the options. */
export const SERVER_OPTIONS: Checks<ServerOptions> = {
  ...COMMON_OPTIONS,
  ...SHARED_OPTIONS,
  protocol: optional(protocolOf, "2.0"),
  recovery: COMMON_OPTIONS.recovery,
  transport: COMMON_OPTIONS.transport,
  quiet: optional(checkBoolean, false),
  resume: optional(serverResume),
  listen: optional(listenersOf),
  maxConnections: optional(wholeOrInfinity(1), Infinity),
  maxConnectionsPerAddress: optional(wholeOrInfinity(1), Infinity),
  maxPendingHandshakes: optional(whole(1), 2_048),
  maxPendingPerAddress: optional(wholeOrInfinity(1), Infinity),
};

function listenersOf(name: string, listen: unknown): ListenerOptions[] {
  if (!Array.isArray(listen)) throw new TypeError(`${name} must be an array of places, not ${show(listen)}`);
  return listen.map((given: object, i) => readOptions(`${name}[${i}]`, given, LISTENER_OPTIONS, `${name}[${i}].`));
}

/**
 * Returns where to listen and what to speak there, from checked options.
 *
 * @throws {ConfigError} `invalid-config`: two members exclude each other, or do not go with a release.
 */
export function placesOf<P>(options: ServerOptions): readonly ListenerPlace<P>[] {
  const { listen, protocol, authenticate, recovery } = options;
  if (listen === undefined) {
    const place = placeOf<P>(endpointOf(options, ANYWHERE), protocol, authenticate, recovery, undefined, {
      ...options,
      webSocket: undefined,
    });
    checkSockets(place, options.transport, "");
    if (recovery === "resync" && place.protocol.magic === undefined) throw noResync(`protocol "${protocol}"`);
    return [place];
  }
  for (const name of ["port", "hostname", "path"] as const) {
    if (options[name] !== undefined) throw contradiction("listen", name);
  }
  if (listen.length === 0) return nowhere(options);
  const places = listen.map((listener, i) => {
    const prefix = `listen[${i}].`;
    const { protocol: spoken = protocol, authenticate: decides = authenticate, recovery: torn = recovery } = listener;
    const { transport, tls = options.tls, encryption = options.encryption, webSocket } = listener;
    const { proxyProtocol = options.proxyProtocol } = listener;
    const place = placeOf<P>(endpointOf(listener, ANYWHERE, prefix), spoken, decides, torn, transport, {
      tls,
      encryption,
      proxyProtocol,
      webSocket,
    }, prefix);
    checkSockets(place, transport, prefix);
    if (listener.recovery === "resync" && place.protocol.magic === undefined) {
      throw noResync(`${prefix}protocol "${spoken}"`);
    }
    return place;
  });
  if (recovery === "resync" && places.every((place) => place.protocol.magic === undefined)) {
    throw noResync("every protocol in listen");
  }
  return places;
}

/** Checks the options of a server that listens nowhere, and returns that it has no listeners. */
function nowhere({ tls, proxyProtocol, protocol, recovery }: ServerOptions): readonly [] {
  if (recovery === "resync" && protocolNamed(protocol).magic === undefined) throw noResync(`protocol "${protocol}"`);
  for (const [name, value] of Object.entries({ tls, proxyProtocol })) {
    if (value === undefined || value === false) continue;
    throw new ConfigError("invalid-config", `${name} is for listeners, and listen has none: leave out one of them`);
  }
  return [];
}

/** Returns the limits of the numbers of connections, from checked options. */
export function serverLimitsOf(options: ServerOptions): ServerLimits {
  const { maxConnections, maxConnectionsPerAddress, maxPendingHandshakes, maxPendingPerAddress } = options;
  return { maxConnections, maxConnectionsPerAddress, maxPendingHandshakes, maxPendingPerAddress };
}

/** Returns the terms of resumption, from checked options. Suspended sessions take at most half of the places. */
export function resumeTermsOf({ resume, maxConnections }: ServerOptions): ServerResumeTerms | undefined {
  const most = Math.max(1, Math.floor(maxConnections / 2));
  return resume && { ...resume, maxSuspended: Math.min(resume.maxSuspended, most) };
}

/**
 * Returns the transport that the server itself uses: that of `config`. If there is none and each listener has its own,
 * it is that of the first listener. A server that listens nowhere needs none.
 */
export function ownTransportOf<P>(
  { transport }: ServerConfig<P>,
  places: readonly ListenerPlace<P>[],
): TransportChoice | "none" | undefined {
  if (transport !== undefined || places.some((place) => place.transport === undefined)) return transport;
  return places[0]?.transport ?? "none";
}

/** Throws if a listener has sockets of its own, and another transport is set for it. */
function checkSockets<P>(
  { tls, webSocket }: ListenerPlace<P>,
  transport: TransportChoice | undefined,
  prefix: string,
): void {
  if (webSocket === undefined) {
    if (tls !== undefined) checkTlsTransport(transport, prefix);
  } else if (transport !== undefined && transport !== "auto") {
    throw contradiction(`${prefix}webSocket`, `${prefix}transport`);
  }
}

function placeOf<P>(
  at: Endpoint,
  spoken: string,
  decides: Authenticate<unknown> | undefined,
  recovery: Recovery,
  transport: TransportChoice | undefined,
  { tls, encryption, proxyProtocol, webSocket }: Pick<
    ListenerOptions,
    "encryption" | "proxyProtocol" | "tls" | "webSocket"
  >,
  prefix = "",
): ListenerPlace<P> {
  return {
    at,
    protocol: askedIn(spoken, decides, prefix),
    authenticate: decides as Authenticate<P> | undefined,
    recovery,
    transport,
    tls: tls === undefined || tls === false ? undefined : { options: tls, context: undefined },
    encryption: encryption === undefined || encryption === false
      ? undefined
      : { options: encryption, encryption: undefined },
    webSocket,
    proxies: proxyProtocol === undefined || proxyProtocol === false ? undefined : new TrustedProxies(proxyProtocol),
  };
}

/**
 * Returns a protocol by its name.
 *
 * @throws {ConfigError} `invalid-config`: there is `authenticate`, and the protocol has no handshake to ask a peer in.
 */
export function askedIn(spoken: string, authenticate: Authenticate<unknown> | undefined, prefix = ""): Protocol {
  const protocol = protocolNamed(spoken);
  if (authenticate === undefined || protocol.handshake !== "none") return protocol;
  throw new ConfigError(
    "invalid-config",
    `${prefix}protocol "${spoken}" goes without authenticate: that release has no handshake to ask a peer in`,
  );
}
