/**
 * Deno's own WebSockets, server and client.
 *
 * @module
 */

import type { Served, Subject } from "../subject.ts";
import { answer, oneWay } from "./tagged.ts";
import { connectWebSocket } from "./web_socket.ts";

/** See the module. */
export const denoWebSocket: Subject = {
  serve(handlers): Promise<Served> {
    const sockets = new Set<WebSocket>();
    const { promise, resolve } = Promise.withResolvers<number>();
    const options = { port: 0, hostname: "127.0.0.1", onListen: ({ port }: { port: number }) => resolve(port) };
    Deno.serve(options, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.binaryType = "arraybuffer";
      socket.addEventListener("open", () => {
        sockets.add(socket);
        handlers.connected();
      });
      socket.addEventListener("close", () => sockets.delete(socket));
      socket.addEventListener("message", ({ data }) => {
        answer(handlers, new Uint8Array(data), (bytes) => socket.send(bytes));
      });
      return response;
    });
    return promise.then((port) => ({
      port,
      broadcast(content): void {
        const bytes = oneWay(content);
        for (const socket of sockets) socket.send(bytes);
      },
    }));
  },
  connect: connectWebSocket,
};
