/**
 * What the programs have in common: they ask a server for a sum, and keep files in the folder `data` beside them.
 *
 * @module
 */
import {
  Client,
  type ClientConfig,
  json,
  messageType,
  Server,
  type ServerConfig,
  type TcpEndpoint,
} from "@veltix/core";

const ADD = messageType(200, "add", json<{ a: number; b: number }>(), json<number>());

/** Returns the path of a file in the folder `data`. */
export function pathOf(name: string): string {
  // Not by `node:url`, which has no types without those of a runtime. On Windows a slash stands before the drive.
  return decodeURIComponent(new URL(`data/${name}`, import.meta.url).pathname).replace(/^\/(?=[A-Za-z]:)/, "");
}

/** Has a client ask a server, and closes both. A server without a path listens at any free port. */
export async function ask(serverConfig: ServerConfig, clientConfig: ClientConfig): Promise<void> {
  const server = new Server({ hostname: "127.0.0.1", port: 0, quiet: true, ...serverConfig });
  server.route(ADD, ({ data }) => data.a + data.b);
  await server.start();
  const client = new Client({ ...server.addresses[0] as TcpEndpoint, ...clientConfig });
  await client.connect();
  const sum = await client.request(ADD, { a: 1, b: 2 });
  await client.close();
  await server.close();
  if (sum !== 3) throw new Error(`1 + 2 is ${sum}`);
}
