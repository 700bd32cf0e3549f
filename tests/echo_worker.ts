/**
 * A server in a thread of its own, which answers a moment after it was asked, while the thread that asks stands still.
 *
 * @module
 */

import { parentPort, workerData } from "node:worker_threads";
import { messageType, Server, text } from "../mod.ts";

/** How many requests came. */
const { asked } = workerData as { asked: Int32Array };

const server = new Server({ port: 0, hostname: "127.0.0.1" });
server.route(messageType(203, "ask", text, text), ({ data }) => {
  Atomics.add(asked, 0, 1);
  return new Promise((resolve) => setTimeout(resolve, 30, data));
});
await server.start();
parentPort!.postMessage(server.addresses[0]);
