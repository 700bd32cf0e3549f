/**
 * What the tests of streams share: a client and a server that are connected in memory.
 *
 * @module
 */

import type { Client, ClientConfig, ConnectedClient, Server, ServerConfig } from "../mod.ts";
import { connect } from "../src/testing/mod.ts";
import { memoryWorld, serve, type World } from "./session_support.ts";

/** A connected client and its server, with the errors of both. */
export interface StreamPeers extends AsyncDisposable {
  readonly world: World;
  readonly server: Server;
  readonly client: Client;
  /** The client, as the server has it. */
  readonly info: ConnectedClient;
  readonly errors: unknown[];
}

/** Connects a client and a server whose options are the same. */
export async function streamPeers(
  config: ServerConfig & ClientConfig = {},
  world: World = memoryWorld(),
): Promise<StreamPeers> {
  const served = await serve(world, config);
  const errors: unknown[] = [];
  served.server.on("error", (error) => void errors.push(error));
  const connected = await connect(served, config, (client) => client.on("error", (error) => void errors.push(error)));
  const [info] = await served.events.next("connect") as [ConnectedClient];
  return {
    world,
    server: served.server,
    client: connected.client,
    info,
    errors,
    async [Symbol.asyncDispose](): Promise<void> {
      await connected[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** Reads all bytes of a stream. */
export async function collect(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of readable) {
    parts.push(part);
    size += part.length;
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Returns what became of a promise: the name and the message of its error, or "done". */
export function settled(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => "done", (error) => `${error?.name}: ${error?.message}`);
}
