/**
 * Socket.IO on Node, over WebSockets from the start and without compression; requests are its acknowledgements.
 *
 * @module
 */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
// @ts-types="./socket_io.d.ts"
import { Server } from "socket.io";
// @ts-types="./socket_io.d.ts"
import { io } from "socket.io-client";
import type { Peer, Served, Subject } from "../subject.ts";

/** One-way messages between two waits for an acknowledgement: Socket.IO does not tell what it has buffered. */
const WINDOW = 16_384;
const WINDOW_BYTES = 1024 * 1024;

/** See the module. */
export const socketIo: Subject = {
  async serve(handlers): Promise<Served> {
    const http = createServer();
    const server = new Server(http, {
      transports: ["websocket"],
      perMessageDeflate: false,
      serveClient: false,
      maxHttpBufferSize: 10 * 1024 * 1024,
    });
    server.on("connection", (socket) => {
      handlers.connected();
      socket.on("message", (content) => {
        if (handlers.message(content)) socket.emit("message", content);
      });
      socket.on("echo", (content, reply) => reply(content));
    });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    return {
      port: (http.address() as AddressInfo).port,
      broadcast: (content) => void server.emit("message", content),
    };
  },
  async connect(port, receive): Promise<Peer> {
    const socket = io(`http://127.0.0.1:${port}`, { transports: ["websocket"], forceNew: true, reconnection: false });
    socket.on("message", receive);
    await new Promise<void>((resolve, reject) => {
      socket.on("connect", () => resolve());
      socket.on("connect_error", reject);
    });
    let messages = 0;
    let bytes = 0;
    return {
      send(content): boolean {
        socket.emit("message", content);
        bytes += content.length;
        return ++messages < WINDOW && bytes < WINDOW_BYTES;
      },
      ready(): Promise<void> {
        messages = bytes = 0;
        return new Promise((resolve) => void socket.emit("echo", new Uint8Array(0), () => resolve()));
      },
      request: (content, done) => void socket.emit("echo", content, done),
      close(): Promise<void> {
        socket.disconnect();
        return Promise.resolve();
      },
    };
  },
};
