import { checkEndpoint } from "../src/adapters/endpoint.ts";
import { webSockets } from "../src/adapters/web_socket/web_sockets.ts";
import { loadWs, type WsWebSocket } from "../src/adapters/web_socket/ws_socket.ts";
import type { TcpEndpoint } from "../src/base/address.ts";
import type { Transport } from "../src/transport.ts";
import { RUNTIME_INDEX } from "./wire_support.ts";
import { conformance } from "./conformance.ts";

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

/** True where clients use the package `ws`, whose WebSockets tell the address of their own end. */
const hasWsClients = RUNTIME_INDEX === 2;
/** True where neither end can be paused. */
const isBun = RUNTIME_INDEX === 0;
conformance("WebSocket", overWebSockets, {
  network: false,
  bufferSize: false,
  pauses: !isBun,
  knowsItself: hasWsClients,
  rest: allClosed,
});

/** Waits until both ends of each WebSocket have sent their close frames. */
async function allClosed(): Promise<void> {
  for (let i = 0; i < 1_000 && open.size > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A transport whose connections are WebSockets. */
function overWebSockets(): Transport {
  const { client, server } = webSockets();
  return {
    ...server({ path: "/veltix" }, undefined),
    connect: async (to, options) => {
      checkEndpoint("connect", to);
      const { hostname, port } = to as TcpEndpoint;
      return await client(`ws://${hostname}:${port}/veltix`, undefined).connect(to, options);
    },
  };
}
