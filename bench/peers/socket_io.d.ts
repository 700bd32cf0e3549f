/**
 * What is used of `socket.io` and `socket.io-client`. The types on npm bring those of some Node with them, beside the ones
 * that Deno checks with.
 *
 * @module
 */

import type { Server as HttpServer } from "node:http";

/** A connection. */
export interface Socket {
  on(event: "message", listener: (content: Uint8Array) => void): this;
  on(event: "echo", listener: (content: Uint8Array, reply: (content: Uint8Array) => void) => void): this;
  on(event: "connect", listener: () => void): this;
  on(event: "connect_error", listener: (error: Error) => void): this;
  emit(event: string, content: Uint8Array, reply?: (content: Uint8Array) => void): this;
  disconnect(): this;
}

/** A server. */
export declare class Server {
  constructor(
    http: HttpServer,
    options: { transports: string[]; perMessageDeflate: boolean; serveClient: boolean; maxHttpBufferSize: number },
  );
  on(event: "connection", listener: (socket: Socket) => void): this;
  emit(event: string, content: Uint8Array): boolean;
}

/** Connects. */
export declare function io(
  address: string,
  options: { transports: string[]; forceNew: boolean; reconnection: boolean },
): Socket;
