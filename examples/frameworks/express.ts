/**
 * WebSockets beside an app of Express.
 *
 *     node examples/frameworks/express.ts [PORT]
 *
 * @module
 */

import { webSocketHandler } from "@veltix/core/websocket";
import express from "express";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { startServer } from "./contract.ts";

const veltix = webSocketHandler(await startServer());

const app = express();
app.get("/", (_request: object, response: ServerResponse) => response.end("A page\n"));

const http = createServer(app as RequestListener);
http.on("upgrade", (request, socket, head) => {
  if (request.url?.split("?")[0] === "/veltix") veltix.upgrade(request, socket, head);
  else socket.destroy();
});
http.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`);
});
