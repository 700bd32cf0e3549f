/**
 * A handler in a thread.
 *
 * @module
 */
import { Client, Server, type TcpEndpoint } from "@veltix/core";
import { DOUBLE } from "./doubler.ts";

const server = new Server({ hostname: "127.0.0.1", port: 0 });
// The compiler makes this a module of JavaScript, and the other one, too.
server.workerRoute(DOUBLE, new URL(import.meta.url.replace(/worker\.([jt]s)$/, "doubler.$1")));
await server.start();
const client = new Client(server.addresses[0] as TcpEndpoint);
await client.connect();
const twice = await client.request(DOUBLE, 21, { timeout: 30_000 });
await client.close();
await server.close();
if (twice !== 42) throw new Error(`twice 21 is ${twice}`);
console.log("done");
