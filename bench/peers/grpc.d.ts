/**
 * What is used of `@grpc/grpc-js`, for the reason that is told in `ws.d.ts`.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";

/** How a method is called. */
export interface MethodDefinition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  requestSerialize(value: Uint8Array): Buffer;
  requestDeserialize(bytes: Buffer): Uint8Array;
  responseSerialize(value: Uint8Array): Buffer;
  responseDeserialize(bytes: Buffer): Uint8Array;
}

/** A call of either side. */
export interface Call extends EventEmitter {
  on(event: "data", listener: (content: Uint8Array) => void): this;
  on(event: "end", listener: () => void): this;
  write(content: Uint8Array): boolean;
  end(): void;
  readonly request: Uint8Array;
  readonly metadata: Metadata;
}

/** Names and values beside a call. */
export declare class Metadata {
  get(name: string): readonly (string | Buffer)[];
  set(name: string, value: string): void;
}

/** A server. */
export declare class Server {
  addService(
    methods: Readonly<Record<string, MethodDefinition>>,
    handlers: Readonly<Record<string, (call: Call, done: (error: null, value: Uint8Array) => void) => void>>,
  ): void;
  bindAsync(address: string, credentials: unknown, done: (error: Error | null, port: number) => void): void;
}

/** Without TLS. */
export declare class ServerCredentials {
  static createInsecure(): ServerCredentials;
}

/** Without TLS. */
export declare const credentials: { createInsecure(): unknown };

/** A client. */
export declare class Client {
  constructor(address: string, credentials: unknown);
  waitForReady(deadline: number, done: (error?: Error) => void): void;
  makeClientStreamRequest(
    path: string,
    serialize: MethodDefinition["requestSerialize"],
    deserialize: MethodDefinition["responseDeserialize"],
    metadata: Metadata,
    done: (error: Error | null) => void,
  ): Call;
  makeServerStreamRequest(
    path: string,
    serialize: MethodDefinition["requestSerialize"],
    deserialize: MethodDefinition["responseDeserialize"],
    argument: Uint8Array,
  ): Call;
  close(): void;
}
