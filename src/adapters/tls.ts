/**
 * TLS through `node:tls`, which Node, Deno and Bun all have. On Deno, it is the only way to client
 * certificates.
 *
 * @module
 */

import type * as Crypto from "node:crypto";
import type { Socket } from "node:net";
import type * as Tls from "node:tls";
import type { ConnectionOptions, SecureContext, TLSSocket } from "node:tls";
import { type Address, addressText, type Endpoint } from "../base/address.ts";
import { builtinModule } from "../base/builtin_module.ts";
import { ConfigError, ConnectionError, HandshakeError } from "../errors.ts";
import type { Pem, TlsClientOptions, TlsHolder, TlsServerOptions, TlsSockets } from "../tls_seam.ts";
import type { Connection, ConnectOptions, PeerCertificate, Transport } from "../transport.ts";
import { descriptorLimit } from "./descriptors.ts";
import { bufferSizeOf } from "./endpoint.ts";
import { listenSockets } from "./node_listen.ts";
import { NodeChannel } from "./node_channel.ts";
import { connectNode, connectSocket } from "./node_connect.ts";
import { checkBuiltin } from "./runtime.ts";
import { tlsProblem } from "./runtime_check.ts";
import { runtimeLoop } from "./runtime_loop.ts";
import { listenAnew } from "./stale_socket.ts";
import { connectError } from "./system_errors.ts";
import { type AcceptContext, TlsArrival } from "./tls_accept.ts";
import { TlsChannel, TlsConnection } from "./tls_connection.ts";
import { carrierOf, type TlsCarrier } from "./tls_carrier.ts";
import { certificateOf } from "./tls_certificate.ts";
import { codeOf, tlsError, verdictOf } from "./tls_errors.ts";
import { checkKeyKind } from "./tls_keys.ts";

const CRYPTO = builtinModule("node:crypto") as typeof Crypto;
const TLS = builtinModule("node:tls") as typeof Tls;

/** The protocol that both sides announce (ALPN). */
const ALPN = ["veltix"];

/**
 * Returns TLS through `node:tls`.
 *
 * @throws {ConfigError} `unsupported`: there is no such module, as in browsers, or the TLS of this version of the runtime
 * has faults.
 */
export function tlsSockets(): TlsSockets {
  checkBuiltin("node:tls", "Cannot use the option tls", "leave it out");
  const problem = tlsProblem();
  if (problem !== undefined) throw new ConfigError("unsupported", `${problem}, or use encryption`);
  return { context: contextOf, server: serverTransport, client: clientTransport };
}

/** Returns the certificate and the requirements of a listener, for a {@linkcode TlsHolder}. */
function contextOf(options: TlsServerOptions): AcceptContext {
  const { clientCertificate = "none" } = options;
  return { secureContext: readTls("tls", options), clientCertificate, alpn: ALPN };
}

function serverTransport(holder: TlsHolder): Transport {
  return {
    ...common(),
    connect: () => Promise.reject(new TypeError("This transport only listens")),
    listen: (at, options) => {
      const bufferSize = bufferSizeOf(options);
      const accept = (socket: Socket, address: Address): Connection =>
        new TlsArrival(socket, bufferSize, address, holder.context as AcceptContext);
      return listenAnew(at, () => listenSockets(at, accept), probe);
    },
  };
}

/** Connects without TLS, to find out whether a unix socket is stale. */
function probe(to: Endpoint, options?: ConnectOptions): Promise<Connection> {
  return connectNode(to, options, (socket, bufferSize) => new NodeChannel(socket, bufferSize, { path: "" }, to));
}

function clientTransport(options: TlsClientOptions): Transport {
  const secureContext = readTls("tls", options);
  return {
    ...common(),
    connect: async (to, connectOptions) => {
      const bufferSize = bufferSizeOf(connectOptions);
      const signal = connectOptions?.signal;
      return await connectSocket(
        to,
        connectOptions,
        (socket) => secured(socket, to, options, secureContext, bufferSize, signal),
      );
    },
    listen: () => Promise.reject(new TypeError("This transport only connects")),
  };
}

function common(): Pick<Transport, "name" | "descriptors" | "eventLoop"> {
  return { name: "tls", descriptors: descriptorLimit, eventLoop: runtimeLoop() };
}

/** Does the handshake of a client over a socket that has connected, and makes a connection of it. */
async function secured(
  socket: Socket,
  to: Endpoint,
  options: TlsClientOptions,
  secureContext: SecureContext,
  bufferSize: number,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  const { certificate, carrier, tls } = await secureSocket(socket, to, options, secureContext, ALPN, signal);
  const channel = new TlsChannel(tls, socket, carrier, bufferSize, { path: "" }, to);
  return new TlsConnection(channel, { kind: "tls", certificate });
}

/** A socket of TLS whose peer is the right one. */
export interface SecureSocket {
  readonly tls: TLSSocket;
  /** The stream between the socket of TLS and the one below it. */
  readonly carrier: TlsCarrier;
  readonly certificate: PeerCertificate | undefined;
}

/**
 * Does the handshake of a client over a socket that has connected, and checks the certificate of the server. A handshake
 * that fails destroys the socket.
 *
 * @param socket The socket.
 * @param to The endpoint that it has connected to.
 * @param options The options of TLS.
 * @param secureContext What {@linkcode readTls} returned for them.
 * @param alpn The protocols to announce.
 * @param signal Gives up.
 * @throws {HandshakeError} The handshake failed, or the server is not trusted.
 */
export async function secureSocket(
  socket: Socket,
  to: Endpoint,
  { ca, pin, serverName = nameOf(to) }: TlsClientOptions,
  secureContext: SecureContext,
  alpn: string[],
  signal: AbortSignal | undefined,
): Promise<SecureSocket> {
  const pins = pin === undefined ? undefined : typeof pin === "string" ? [pin] : pin;
  const failure = `Cannot connect to "${addressText(to)}"`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const carrier = carrierOf(socket);
  const tls = TLS.connect({
    socket: carrier.stream,
    secureContext,
    ALPNProtocols: alpn,
    // A client must not ask for an address as `servername`, but the certificate must still be for it.
    ...serverName === undefined || isAddress(serverName) ? {} : { servername: serverName },
    ...serverName === undefined ? {} : { host: serverName },
    // The certificate is checked below, so that the errors are the same on each runtime.
    rejectUnauthorized: false,
    allowHalfOpen: true,
  } as ConnectionOptions);
  const fail = (error: Error): void => reject(tlsError(failure, error, "server") ?? connectError(to, error));
  const gone = (): void =>
    reject(new ConnectionError("closed", `${failure}: the server closed the connection during TLS`));
  const abort = (): void => reject(signal!.reason);
  tls.on("error", fail);
  tls.once("close", gone);
  tls.once("secureConnect", resolve);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await promise;
    const certificate = certificateOf(tls);
    // Without `ca`, a pin alone decides.
    if ((pins === undefined || ca !== undefined) && !tls.authorized) {
      const [code, state] = verdictOf(codeOf(tls.authorizationError), certificate, "server");
      throw new HandshakeError(code, `${failure}: ${state}`);
    }
    if (pins !== undefined && (certificate === undefined || !pins.includes(certificate.pin))) {
      const shown = certificate === undefined ? "none" : `"${certificate.pin}"`;
      throw new HandshakeError(
        "certificate-untrusted",
        `${failure}: the key of the server's certificate is not the one of the option pin, but ${shown}`,
      );
    }
    return { tls, carrier, certificate };
  } catch (error) {
    // An error that comes later must not end the process.
    tls.on("error", () => {});
    tls.destroy();
    socket.destroy();
    throw error;
  } finally {
    tls.off("error", fail);
    tls.off("close", gone);
    signal?.removeEventListener("abort", abort);
  }
}

function nameOf(to: Endpoint): string | undefined {
  return "path" in to ? undefined : to.hostname;
}

function isAddress(name: string): boolean {
  return /^[\d.]+$/.test(name) || name.includes(":");
}

/**
 * Reads certificates and keys.
 *
 * @throws {ConfigError} `invalid-config`: one of them cannot be used.
 */
export function readTls(
  name: string,
  { ca, cert, key, minVersion = "TLSv1.3" }: Partial<TlsServerOptions> & TlsClientOptions,
): SecureContext {
  try {
    const pem = (value: Pem): string => typeof value === "string" ? value : new TextDecoder().decode(value);
    // Without this check, Deno reports an unusable pair only when a peer connects.
    if (cert !== undefined && key !== undefined) checkPair(pem(cert), pem(key));
    return TLS.createSecureContext({
      minVersion,
      ...ca === undefined ? {} : { ca: (typeof ca === "string" || ca instanceof Uint8Array ? [ca] : ca).map(pem) },
      ...cert === undefined ? {} : { cert: pem(cert) },
      ...key === undefined ? {} : { key: pem(key) },
    });
  } catch (error) {
    const { message } = error as Error;
    throw new ConfigError("invalid-config", `${name} has a certificate or key that cannot be used: ${message}`, {
      cause: error,
    });
  }
}

function checkPair(cert: string, key: string): void {
  checkKeyKind(cert);
  if (!new CRYPTO.X509Certificate(cert).checkPrivateKey(CRYPTO.createPrivateKey(key))) {
    throw new Error("the key is not that of the certificate");
  }
}
