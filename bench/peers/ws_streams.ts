/**
 * Streams by `ws`: each piece or item is a message, and the sender waits while much of it is buffered.
 *
 * @module
 */

import { once } from "node:events";
// @ts-types="./ws.d.ts"
import { WebSocket, WebSocketServer } from "ws";
import { Arrivals, payloadsOf, type StreamPeer, type StreamSubject, type Transfer } from "../streams/subject.ts";

/** Bytes waiting above which the sender waits; the library's own default. */
const HIGH_WATER = 1024 * 1024;

/** See the module. */
export const wsStreams: StreamSubject = {
  items: true,
  async serve(): Promise<number> {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
    server.on("connection", (socket) => {
      let arrivals: Arrivals | undefined;
      socket.on("message", (data, isBinary) => {
        if (!isBinary) {
          const transfer: Transfer = JSON.parse(data.toString());
          arrivals = new Arrivals(transfer);
          if (transfer.direction === "down") void sendAll(socket, transfer);
        } else if (arrivals!.take(data)) socket.send("done");
      });
    });
    await once(server, "listening");
    return server.address().port;
  },
  async connect(port): Promise<StreamPeer> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
    let arrivals: Arrivals | undefined;
    let done = (): void => {};
    socket.on("message", (data, isBinary) => {
      if (!isBinary || arrivals!.take(data)) done();
    });
    await once(socket, "open");
    return {
      async run(transfer): Promise<void> {
        arrivals = new Arrivals(transfer);
        const arrived = new Promise<void>((resolve) => done = resolve);
        socket.send(JSON.stringify(transfer));
        if (transfer.direction === "up") await sendAll(socket, transfer);
        await arrived;
      },
      async close(): Promise<void> {
        socket.close();
        await once(socket, "close");
      },
    };
  },
};

async function sendAll(socket: WebSocket, transfer: Transfer): Promise<void> {
  const payloads = payloadsOf(transfer);
  for (let i = 0; i < transfer.count; i++) {
    socket.send(payloads.next());
    if (socket.bufferedAmount < HIGH_WATER) continue;
    while (socket.bufferedAmount >= HIGH_WATER / 2) await new Promise((resolve) => setImmediate(resolve));
  }
}
