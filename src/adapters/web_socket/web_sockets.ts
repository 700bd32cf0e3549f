/**
 * WebSockets for Server and Client.
 *
 * @module
 */

import type { TcpEndpoint } from "../../base/address.ts";
import type { TlsClientOptions, TlsHolder } from "../../tls_seam.ts";
import type { Transport } from "../../transport.ts";
import type { WebSockets, WebSocketServerOptions } from "../../websocket_seam.ts";
import { runtimeLoop } from "../runtime_loop.ts";
import { checkEndpoint } from "../endpoint.ts";
import { connectorOf } from "./connect.ts";
import type { ConnectWebSocket } from "./connect_ws.ts";

/** Returns the WebSockets of this runtime. */
export function webSockets(): WebSockets {
  return { server: serverTransport, client: clientTransport };
}

function serverTransport(options: WebSocketServerOptions, tls: TlsHolder | undefined): Transport {
  return {
    name: "websocket",
    eventLoop: runtimeLoop(),
    connect: () => Promise.reject(new TypeError("This transport only listens")),
    listen: async (at, socketOptions) => {
      const { listenWebSockets } = await import("./listen.ts");
      return await listenWebSockets(at, { ...options, path: options.path ?? "/" }, tls, socketOptions);
    },
  };
}

function clientTransport(url: string, tls: TlsClientOptions | undefined): Transport {
  let connector: Promise<ConnectWebSocket> | undefined;
  return {
    name: "websocket",
    eventLoop: runtimeLoop(),
    connect: async (to, options) => {
      checkEndpoint("connect", to);
      const connect = await (connector ??= connectorOf(url, tls));
      return await connect(to as TcpEndpoint, options);
    },
    listen: () => Promise.reject(new TypeError("This transport only connects")),
  };
}
