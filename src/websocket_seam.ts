/**
 * The interface between the core and WebSockets: types only. An adapter implements {@linkcode WebSockets}.
 *
 * @module
 */

import type { TlsClientOptions, TlsHolder } from "./tls_seam.ts";
import type { Transport, UpgradeRequest } from "./transport.ts";

/**
 * Decides whether pages of an origin may connect, and returns that at once. If it throws, the page gets the status 500, and
 * the server's event `rejected` has the error.
 *
 * @category WebSockets
 */
export type OriginCheck = (origin: string, request: UpgradeRequest) => boolean;

/**
 * Options of a server that takes WebSockets.
 *
 * @category WebSockets
 */
export interface WebSocketServerOptions {
  /**
   * The path of the URL, such as `"/veltix"`. Requests with another path get the status 404.
   * @default "/" for a listener, any path for `webSocketHandler`
   */
  readonly path?: string;
  /**
   * The origins whose pages may connect, such as `"https://example.org"`; `"*"` for all; or a function that decides.
   * A page of another origin gets the status 403. Programs that are not browsers send no origin and are not refused.
   * @default pages whose host and port are those that the request is for, and with `https:` if it came over TLS
   */
  readonly origins?: "*" | readonly string[] | OriginCheck;
  /** Headers of the answer that accepts a WebSocket, by name. Those of the answer itself cannot be set. @default none */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Creates transports whose connections are WebSockets. */
export interface WebSockets {
  /** Returns a transport for listening, with TLS if there is a certificate. */
  server(options: WebSocketServerOptions, tls: TlsHolder | undefined): Transport;
  /**
   * Returns a transport for connecting to one URL, whatever the endpoint.
   *
   * @throws {ConfigError} `unsupported`: this runtime cannot use an option of TLS for WebSockets.
   */
  client(url: string, tls: TlsClientOptions | undefined): Transport;
}
