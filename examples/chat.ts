/**
 * A chat for the terminal. Who comes first is the server; who comes later joins. An empty line or Ctrl-D leaves.
 *
 *     node examples/chat.ts Ann      in one terminal
 *     bun run examples/chat.ts Bob   in another; or deno run -A examples/chat.ts Bob
 *
 * @module
 */

import { Client, ConnectionError, json, messageTypes, Server, text } from "@veltix/core";
import process from "node:process";
import { createInterface } from "node:readline";

const PORT = 8_080;

const { join, say, said } = messageTypes({
  join: [text, json<string[]>()], // a name; who is there
  say: text,
  said: json<{ name: string; line: string }>(),
});

/** Starts a server that tells everyone what anyone says. */
async function host(): Promise<Server> {
  const server = new Server({ hostname: "127.0.0.1", port: PORT });
  const names = new Map<unknown, string>();
  server.route(join, ({ data: name }, client) => {
    names.set(client, name);
    server.broadcast(said, { name, line: "is here" }, { except: [client] });
    return [...names.values()];
  });
  server.route(say, ({ data: line }, client) => {
    server.broadcast(said, { name: names.get(client) ?? "?", line }, { except: [client] });
  });
  server.on("disconnect", (client) => {
    server.broadcast(said, { name: names.get(client) ?? "?", line: "has left" });
    names.delete(client);
  });
  await server.start();
  return server;
}

/** Connects; where there is no server, this process becomes it. */
async function enter(client: Client): Promise<Server | undefined> {
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    if (!(error instanceof ConnectionError && error.code === "refused")) throw error;
    const server = await host();
    await client.connect();
    return server;
  }
}

const client = new Client({ port: PORT });
client.route(said, ({ data: { name, line } }) => console.log(`${name}: ${line}`));
const server = await enter(client);
const name = process.argv[2] ?? `guest ${process.pid}`;
console.log(`You are ${name}. Here: ${(await client.request(join, name)).join(", ")}`);

const input = createInterface({ input: process.stdin });
client.on("disconnect", () => input.close());
for await (const line of input) {
  if (line === "") break;
  if (client.state === "connected") client.send(say, line);
}
await client.close();
await server?.close();
process.exit();
