/**
 * WebSockets beside an app of Fastify.
 *
 *     node examples/frameworks/fastify.ts [PORT]
 *
 * @module
 */

import { webSocketHandler } from "@veltix/core/websocket";
import { fastify } from "fastify";
import process from "node:process";
import { startServer } from "./contract.ts";

const veltix = webSocketHandler(await startServer());

const app = fastify();
app.get("/", () => "A page\n");
app.server.on("upgrade", (request, socket, head) => {
  if (request.url?.split("?")[0] === "/veltix") veltix.upgrade(request, socket, head);
  else socket.destroy();
});
console.log(`${await app.listen({ host: "127.0.0.1", port: Number(process.argv[2] ?? 8080) })}/`);
