/**
 * A server that answers each text with the same text.
 *
 *     node examples/echo/server.ts [PORT]     or bun …, or deno run -A …
 *
 * @module
 */

import { Server } from "@veltix/core";
import process from "node:process";
import { ECHO } from "./contract.ts";

const server = new Server({ hostname: "127.0.0.1", port: Number(process.argv[2] ?? 8080) });
server.route(ECHO, ({ data }) => data); // What a handler returns is the reply.
await server.start();

const [address] = server.addresses; // With the actual port, where PORT was 0.
if ("port" in address) console.log(`Listening at port ${address.port}; Ctrl+C ends it`);

process.once("SIGINT", () => void server.close()); // Answers what has come, and then closes.
await server.closed;
console.log("Closed");
