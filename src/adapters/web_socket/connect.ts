/**
 * Connects by WebSocket.
 *
 * Node has the package `ws`, whose WebSockets can be paused, and which takes a socket of TLS that was checked before the
 * request is sent. Deno has it for `wss:`. Elsewhere it is the standard `WebSocket`.
 *
 * @module
 */

import type { TcpEndpoint } from "../../base/address.ts";
import { ConfigError, ConnectionError } from "../../errors.ts";
import type { TlsClientOptions } from "../../tls_seam.ts";
import type { Connection, ConnectOptions } from "../../transport.ts";
import { bufferSizeOf } from "../endpoint.ts";
import type { ConnectWebSocket } from "./connect_ws.ts";
import { openError } from "./open_error.ts";
import { CLOSE_CODE, SUBPROTOCOL, WebSocketConnection } from "./channel.ts";
import { standardChannel, type StandardWebSocket } from "./standard_socket.ts";

type StandardConstructor = new (
  url: string,
  options: string[] | { readonly protocols: string[]; readonly tls: object },
) => StandardWebSocket;

interface Globals {
  readonly WebSocket?: StandardConstructor;
  readonly Bun?: object;
  readonly Deno?: object;
  readonly process?: { readonly versions?: { readonly node?: string } };
}

/**
 * Returns what opens WebSockets to a URL, by what suits this runtime.
 *
 * @param url The URL.
 * @param tls The options of TLS; `undefined` if there are none.
 * @throws {ConfigError} `unsupported`: this runtime has no WebSockets, or cannot use an option of TLS for them.
 */
export async function connectorOf(url: string, tls: TlsClientOptions | undefined): Promise<ConnectWebSocket> {
  const { Bun, Deno, process, WebSocket } = globalThis as Globals;
  const secure = url.startsWith("wss:");
  const isNode = Bun === undefined && Deno === undefined && process?.versions?.node !== undefined;
  if (isNode || Deno !== undefined && secure) return (await import("./connect_ws.ts")).wsConnector(url, tls);
  if (WebSocket === undefined) throw unsupported("this runtime has no WebSocket");
  const options = tls === undefined ? [SUBPROTOCOL] : { protocols: [SUBPROTOCOL], tls: bunTls(Bun, tls) };
  return (to, connectOptions) => connectStandard(WebSocket, url, options, to, connectOptions);
}

/** Returns the options of TLS as Bun takes them. */
function bunTls(bun: object | undefined, { ca, cert, key, minVersion, pin, serverName }: TlsClientOptions): object {
  if (bun === undefined) throw unsupported("a page cannot choose its options of TLS, leave out tls");
  for (const [name, value] of Object.entries({ minVersion, pin, serverName })) {
    if (value !== undefined) throw unsupported(`Bun takes no tls.${name} for WebSockets`);
  }
  return { ca, cert, key };
}

function unsupported(state: string): ConfigError {
  return new ConfigError("unsupported", `Cannot connect by WebSocket: ${state}`);
}

async function connectStandard(
  WebSocket: StandardConstructor,
  url: string,
  options: ConstructorParameters<StandardConstructor>[1],
  to: TcpEndpoint,
  connectOptions: ConnectOptions | undefined,
): Promise<Connection> {
  const signal = connectOptions?.signal;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const info = { local: { hostname: "", port: 0 }, remote: to, bufferSize: bufferSizeOf(connectOptions) };
  const socket = new WebSocket(url, options);
  let failure: unknown;
  const abort = (): void => reject(signal!.reason);
  socket.onopen = () => {
    if (socket.protocol !== SUBPROTOCOL) {
      const state = `the server does not speak ${SUBPROTOCOL}`;
      return reject(new ConnectionError("network-error", `Cannot connect to "${url}": ${state}`));
    }
    const security = url.startsWith("wss:") ? { kind: "tls", certificate: undefined } as const : undefined;
    resolve(new WebSocketConnection(standardChannel(socket, info), security));
  };
  socket.onerror = (event) => failure = event;
  socket.onclose = ({ code }) => reject(openError(url, to, failure, code));
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await promise;
  } catch (error) {
    // Its events are of no use any more, and closing it before it is open reports an error.
    socket.onopen = socket.onclose = null;
    socket.onerror = () => {};
    if (socket.terminate !== undefined) socket.terminate();
    else socket.close(CLOSE_CODE.aborted);
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
