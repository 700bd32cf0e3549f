/**
 * The server of the chat.
 *
 *     node examples/chat/server.ts [PORT]     or bun …, or deno run -A …
 *
 * @module
 */

import { Server } from "@veltix/core";
import process from "node:process";
import { hostChat } from "./host.ts";

const server = new Server({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 8080),
  resume: true, // Who loses the connection for less than half a minute has missed nothing.
  rateLimit: { messages: 20, action: "throttle" }, // Nobody floods a room.
});
hostChat(server);
await server.start();

const [address] = server.addresses;
if ("port" in address) console.log(`The chat is at port ${address.port}; Ctrl+C ends it`);

process.once("SIGINT", () => void server.close());
await server.closed;
console.log("The chat is over");
