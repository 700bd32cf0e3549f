/**
 * WebSockets beside a page of `node:http`, on Node, Deno and Bun. `node:https` works in the same way.
 *
 *     node examples/frameworks/node.ts [PORT]
 *
 * @module
 */

import { webSocketHandler } from "@veltix/core/websocket";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { startServer } from "./contract.ts";

const veltix = webSocketHandler(await startServer());

const http = createServer((_request, response) => response.end("A page\n"));
http.on("upgrade", (request, socket, head) => {
  if (request.url?.split("?")[0] === "/veltix") veltix.upgrade(request, socket, head);
  else socket.destroy();
});
http.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`);
});
