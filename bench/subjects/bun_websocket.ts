/**
 * Bun's own WebSockets, with its native publish for broadcasts.
 *
 * @module
 */

import type { Served, Subject } from "../subject.ts";
import { answer, oneWay } from "./tagged.ts";
import { connectWebSocket } from "./web_socket.ts";

/** What is used of Bun. */
interface Bun {
  serve(options: {
    port: number;
    hostname: string;
    fetch(request: Request, server: BunServer): Response | undefined;
    websocket: {
      open(socket: BunSocket): void;
      message(socket: BunSocket, message: Uint8Array): void;
    };
  }): BunServer;
}

interface BunServer {
  readonly port: number;
  upgrade(request: Request): boolean;
  publish(topic: string, content: Uint8Array): number;
}

interface BunSocket {
  subscribe(topic: string): void;
  send(content: Uint8Array): number;
}

const ALL = "all";

/** See the module. */
export const bunWebSocket: Subject = {
  serve(handlers): Promise<Served> {
    const { Bun: bun } = globalThis as unknown as { Bun: Bun };
    const server = bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) => server.upgrade(request) ? undefined : new Response(null, { status: 400 }),
      websocket: {
        open(socket): void {
          socket.subscribe(ALL);
          handlers.connected();
        },
        message: (socket, message) => answer(handlers, message, (bytes) => void socket.send(bytes)),
      },
    });
    return Promise.resolve({
      port: server.port,
      broadcast: (content) => void server.publish(ALL, oneWay(content)),
    });
  },
  connect: connectWebSocket,
};
