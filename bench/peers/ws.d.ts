/**
 * What is used of `ws`. The types on npm bring those of some Node with them, beside the ones that Deno checks with.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";
import type { AddressInfo } from "node:net";

/** A connection. */
export declare class WebSocket extends EventEmitter {
  constructor(address: string, options: { perMessageDeflate: boolean });
  readonly bufferedAmount: number;
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): this;
  send(content: Uint8Array | string): void;
  close(): void;
}

/** A server. */
export declare class WebSocketServer extends EventEmitter {
  constructor(options: { port: number; host: string; perMessageDeflate: boolean });
  readonly clients: Set<WebSocket>;
  on(event: "connection", listener: (socket: WebSocket) => void): this;
  address(): AddressInfo;
}
