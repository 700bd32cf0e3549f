/**
 * Connects by WebSocket with the package `ws`, on Node and Deno.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { Address, TcpEndpoint } from "../../base/address.ts";
import { ConnectionError } from "../../errors.ts";
import type { TlsClientOptions } from "../../tls_seam.ts";
import type { Connection, ConnectionSecurity, ConnectOptions, PeerCertificate } from "../../transport.ts";
import { bufferSizeOf, plainIp } from "../endpoint.ts";
import { connectSocket } from "../node_connect.ts";
import { readTls, secureSocket } from "../tls.ts";
import { MaskKeys } from "./binary_frames.ts";
import { MAX_MESSAGE_SIZE, SUBPROTOCOL, WebSocketConnection } from "./channel.ts";
import { openError, statusError } from "./open_error.ts";
import { loadWs, WS_OPTIONS, wsChannel, type WsPackage } from "./ws_socket.ts";

/** Opens WebSockets to one URL, whose host and port are `to`. */
export type ConnectWebSocket = (to: TcpEndpoint, options?: ConnectOptions) => Promise<Connection>;

/** A socket that the request is sent over. */
interface Way {
  /** The socket of TCP. */
  readonly socket: Socket;
  /** The socket of TLS, or the one of TCP. */
  readonly stream: Socket;
  /** What is paused while messages wait, where it must not be the WebSocket. */
  readonly tap: Socket | undefined;
  readonly certificate: PeerCertificate | undefined;
}

/**
 * Returns what opens WebSockets to a URL.
 *
 * @throws {ConfigError} `unsupported`: the package is not installed. `invalid-config`: a certificate cannot be used.
 */
export async function wsConnector(url: string, tls: TlsClientOptions = {}): Promise<ConnectWebSocket> {
  const ws = await loadWs();
  const keys = new MaskKeys();
  const context = url.startsWith("wss:") ? readTls("tls", tls) : undefined;
  const carry = async (to: TcpEndpoint, options: ConnectOptions | undefined): Promise<Way> => {
    const signal = options?.signal;
    return await connectSocket(to, options, async (socket: Socket): Promise<Way> => {
      if (context === undefined) return { socket, stream: socket, tap: undefined, certificate: undefined };
      // `secureSocket` destroys the socket if it fails.
      const secure = await secureSocket(socket, to, tls, context, ["http/1.1"], signal);
      return { socket, stream: secure.tls, tap: secure.carrier.tap, certificate: secure.certificate };
    });
  };
  return async (to, options) => {
    const bufferSize = bufferSizeOf(options);
    return await open(ws, url, to, await carry(to, options), keys, bufferSize, options?.signal);
  };
}

/** Sends the request over a socket, and makes a connection of the WebSocket. A failure destroys the socket. */
async function open(
  { WebSocket }: WsPackage,
  url: string,
  to: TcpEndpoint,
  { certificate, socket, stream, tap }: Way,
  keys: MaskKeys,
  bufferSize: number,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const webSocket = new WebSocket(url, [SUBPROTOCOL], {
    ...WS_OPTIONS,
    maxPayload: MAX_MESSAGE_SIZE,
    followRedirects: false,
    createConnection: (_: unknown, done: (error: undefined, socket: Socket) => void) => {
      done(undefined, stream);
    },
  });
  const abort = (): void => reject(signal!.reason);
  webSocket.once("open", () => {
    socket.setNoDelay(true);
    const security: ConnectionSecurity | undefined = url.startsWith("wss:") ? { kind: "tls", certificate } : undefined;
    const local: Address = { hostname: plainIp(socket.localAddress ?? ""), port: socket.localPort ?? 0 };
    const remote: Address = { hostname: plainIp(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    // Now: a message may have come with the answer, and is passed on in this turn.
    const below = { stream, keys, socket, tap };
    const channel = wsChannel(webSocket, below, { local, remote, bufferSize });
    resolve(new WebSocketConnection(channel, security));
  });
  webSocket.once("unexpected-response", (_, { statusCode = 0 }) => reject(statusError(url, statusCode)));
  webSocket.on("error", (error) => reject(openError(url, to, error)));
  webSocket.on("close", () => {
    reject(new ConnectionError("closed", `Cannot connect to "${url}": the server closed the connection`));
  });
  signal?.addEventListener("abort", abort, { once: true });
  try {
    signal?.throwIfAborted();
    return await promise;
  } catch (error) {
    webSocket.terminate();
    stream.destroy();
    socket.destroy();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
