/**
 * The WebSocket library `ws` on Node, without compression.
 *
 * @module
 */

import { once } from "node:events";
// @ts-types="./ws.d.ts"
import { WebSocket, WebSocketServer } from "ws";
import type { Peer, Served, Subject } from "../subject.ts";
import { answer, oneWay, TaggedPeer } from "../subjects/tagged.ts";

/** See the module. */
export const ws: Subject = {
  async serve(handlers): Promise<Served> {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
    server.on("connection", (socket) => {
      handlers.connected();
      socket.on("message", (data) => answer(handlers, data, (bytes) => socket.send(bytes)));
    });
    await once(server, "listening");
    return {
      port: server.address().port,
      broadcast(content): void {
        const bytes = oneWay(content);
        for (const socket of server.clients) socket.send(bytes);
      },
    };
  },
  async connect(port, receive): Promise<Peer> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
    const peer = new TaggedPeer({
      send: (bytes) => socket.send(bytes),
      buffered: () => socket.bufferedAmount,
      async close(): Promise<void> {
        socket.close();
        await once(socket, "close");
      },
    }, receive);
    socket.on("message", (data) => peer.take(data));
    await once(socket, "open");
    return peer;
  },
};
