import { tlsSockets } from "../src/adapters/tls.ts";
import { checkEndpoint } from "../src/adapters/endpoint.ts";
import { webSockets } from "../src/adapters/web_socket/web_sockets.ts";
import { loadWs, type WsWebSocket } from "../src/adapters/web_socket/ws_socket.ts";
import type { TcpEndpoint } from "../src/base/address.ts";
import type { TlsServerOptions } from "../src/tls_seam.ts";
import type { Transport } from "../src/transport.ts";
import { RUNTIME_INDEX } from "./wire_support.ts";
import { conformance } from "./conformance.ts";
import { CA, Secured, SERVER } from "./tls_support.ts";

/** The WebSockets of servers that are open. */
const open = new Set<WsWebSocket>();
const { WebSocketServer } = await loadWs();
const { handleUpgrade } = WebSocketServer.prototype;
WebSocketServer.prototype.handleUpgrade = function (request, socket, head, done): void {
  handleUpgrade.call(this, request, socket, head, (webSocket) => {
    open.add(webSocket);
    webSocket.on("close", () => open.delete(webSocket));
    done(webSocket);
  });
};

/** True where clients do not use `ws`, so that they do not know their own address. */
const isBun = RUNTIME_INDEX === 0;
for (const [name, tls] of [["WebSocket", undefined], ["WebSocket with TLS", { ...SERVER, ca: CA }]] as const) {
  conformance(name, () => overWebSockets(tls), {
    network: false,
    bufferSize: false,
    knowsItself: !isBun,
    rest: allClosed,
  });
}

/** Waits until both ends of each WebSocket have sent their close frames. */
async function allClosed(): Promise<void> {
  for (let i = 0; i < 1_000 && open.size > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A transport whose connections are WebSockets. */
function overWebSockets(tls: TlsServerOptions | undefined): Transport {
  const { client, server } = webSockets();
  const context = tls && tlsSockets().context(tls);
  const { listen, ...transport } = server({ path: "/veltix" }, tls && { context });
  return {
    ...transport,
    listen: async (at, options) =>
      new Secured(await listen(at, options), async (arrival) => await arrival.secure?.() ?? arrival),
    connect: async (to, options) => {
      checkEndpoint("connect", to);
      const { hostname, port } = to as TcpEndpoint;
      const scheme = tls === undefined ? "ws" : "wss";
      const trust = tls && { ca: CA, serverName: "localhost" };
      return await client(`${scheme}://${hostname}:${port}/veltix`, trust).connect(to, options);
    },
  };
}
