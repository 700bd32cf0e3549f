/**
 * Connects by WebSocket.
 *
 * Node and Deno have the package `ws`. Its WebSockets can be paused and ended at once, and it takes a socket of TLS that
 * was checked before the request is sent. The standard `WebSocket` of Deno 2.9 can do none of that, and takes an answer
 * whose `Sec-WebSocket-Accept` is wrong. Elsewhere it is the standard `WebSocket`.
 *
 * @module
 */

import type { TcpEndpoint } from "../../base/address.ts";
import { ConfigError } from "../../errors.ts";
import type { TlsClientOptions } from "../../tls_seam.ts";
import type { Connection, ConnectOptions } from "../../transport.ts";
import { bufferSizeOf } from "../endpoint.ts";
import type { ConnectWebSocket } from "./connect_ws.ts";
import { CLOSE_CODE, SUBPROTOCOL, WebSocketConnection } from "./channel.ts";
import { unexplained, unlike } from "./unlike.ts";
import { standardChannel, type StandardWebSocket } from "./standard_socket.ts";

type StandardOptions = string[] | {
  readonly protocols: string[];
  readonly perMessageDeflate: false;
  readonly tls: object;
};
type StandardConstructor = new (url: string, options: StandardOptions) => StandardWebSocket;

interface Globals {
  readonly WebSocket?: StandardConstructor;
  readonly Bun?: object;
  readonly Deno?: object;
  readonly process?: { readonly versions?: { readonly node?: string } };
}

/** In place of a close code: the server has opened a WebSocket for another protocol. */
const UNLIKE = -1;
/** The versions of TLS as Bun has them. */
const VERSIONS = { "TLSv1.2": 0x0303, "TLSv1.3": 0x0304 } as const;

/**
 * Returns what opens WebSockets to a URL, by what suits this runtime.
 *
 * @param url The URL.
 * @param tls The options of TLS; `undefined` if there are none.
 * @throws {ConfigError} `unsupported`: this runtime has no WebSockets, or cannot use an option of TLS for them.
 */
export async function connectorOf(url: string, tls: TlsClientOptions | undefined): Promise<ConnectWebSocket> {
  const { Bun, Deno, process, WebSocket } = globalThis as Globals;
  if (Deno !== undefined || Bun === undefined && process?.versions?.node !== undefined) {
    return (await import("./connect_ws.ts")).wsConnector(url, tls);
  }
  if (WebSocket === undefined) throw unsupported("this runtime has no WebSocket");
  if (Bun === undefined && tls !== undefined) {
    throw unsupported("a page cannot choose its options of TLS, leave out tls");
  }
  const options = Bun === undefined ? [SUBPROTOCOL] : bunOptions(tls);
  return (to, connectOptions) => connectStandard(WebSocket, url, options, to, connectOptions);
}

/** Returns the options of a WebSocket as Bun takes them. */
function bunOptions(
  { ca, cert, key, minVersion = "TLSv1.3", pin, serverName }: TlsClientOptions = {},
): StandardOptions {
  if (pin !== undefined) throw unsupported("Bun takes no tls.pin for WebSockets, use tls.ca");
  // Bun would offer to take compressed messages, which may become any size.
  return {
    protocols: [SUBPROTOCOL],
    perMessageDeflate: false,
    tls: { ca, cert, key, serverName, minVersion: VERSIONS[minVersion] },
  };
}

function unsupported(state: string): ConfigError {
  return new ConfigError("unsupported", `Cannot connect by WebSocket: ${state}`);
}

async function connectStandard(
  WebSocket: StandardConstructor,
  url: string,
  options: StandardOptions,
  to: TcpEndpoint,
  connectOptions: ConnectOptions | undefined,
): Promise<Connection> {
  const signal = connectOptions?.signal;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Connection | number>();
  const info = { local: { hostname: "", port: 0 }, remote: to, bufferSize: bufferSizeOf(connectOptions) };
  const socket = new WebSocket(url, options);
  let event: unknown;
  const abort = (): void => reject(signal!.reason);
  socket.onopen = () => {
    if (socket.protocol !== SUBPROTOCOL) return resolve(UNLIKE);
    const security = url.startsWith("wss:") ? { kind: "tls", certificate: undefined } as const : undefined;
    resolve(new WebSocketConnection(standardChannel(socket, info), security));
  };
  socket.onerror = (error) => event = error;
  socket.onclose = ({ code }) => resolve(code);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const made = await promise;
    if (typeof made === "object") return made;
    if (made === UNLIKE) throw unlike(url, `the server does not speak ${SUBPROTOCOL}`);
    // A browser says nothing, and a page that is offline could not load what has the words for it.
    if (!("Bun" in globalThis)) throw unexplained(url, made);
    throw (await import("./open_error.ts")).bunOpenError(url, to, event, made);
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
