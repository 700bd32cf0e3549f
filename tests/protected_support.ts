/**
 * The part that the tests of TLS and of encryption share: a server that says who asks, its clients, and what it rejects.
 *
 * @module
 */

import {
  bytes,
  Client,
  type ClientConfig,
  type ConnectedClient,
  type MessageType,
  messageType,
  type RejectedInfo,
  Server,
  type ServerConfig,
  type TcpEndpoint,
  text,
  type VeltixError,
} from "../mod.ts";

export const HOST = "127.0.0.1";
/** Asks the server what it knows of the client. */
export const WHO: MessageType<string, string, string, string> = messageType(200, "who", text, text);
/** Is sent back. */
export const ECHO: MessageType<Uint8Array, Uint8Array, Uint8Array, Uint8Array> = messageType(201, "echo", bytes, bytes);

/** Starts a server. Its routes say how the client is protected and who it is, and send back what came. */
export async function serve(
  config: ServerConfig<unknown>,
  nameOf: (client: ConnectedClient<unknown>) => string | undefined,
): Promise<Server<unknown>> {
  const server = new Server<unknown>({ port: 0, hostname: HOST, ...config });
  server.route(WHO, (_, client) => `${client.security} ${nameOf(client) ?? "nobody"}`);
  server.route(ECHO, ({ data }) => data);
  await server.start();
  return server;
}

/** Makes a client of a server's first address. */
export function clientOf(server: Server<unknown>, config: ClientConfig): Client {
  return new Client({ ...server.addresses[0] as TcpEndpoint, ...config });
}

/** Resolves with the next connection that the server rejects. */
export function rejection(server: Server<unknown>): Promise<RejectedInfo> {
  return new Promise((resolve) => server.on("rejected", resolve, { once: true }));
}

/** Returns the code of an error. */
export function codeOf(error: unknown): string {
  return (error as VeltixError).code;
}
