/**
 * A server in a thread of its own, which answers a moment after it was asked, while the thread that asks stands still.
 *
 * @module
 */

import { parentPort, workerData } from "node:worker_threads";
import { type ConnectedClient, messageType, Server, text } from "../mod.ts";

/** How many requests came, and how many answers lie in the socket. */
const { counts } = workerData as { counts: Int32Array };

const server = new Server({ port: 0, hostname: "127.0.0.1" });
server.route(messageType(203, "ask", text, text), async ({ data }, client) => {
  Atomics.add(counts, 0, 1);
  await pause(30);
  void tell(client, client.stats().framesSent + 1);
  return data;
});
await server.start();
parentPort!.postMessage(server.addresses[0]);

/** Tells when the system has taken so many frames. */
async function tell(client: ConnectedClient, frames: number): Promise<void> {
  while (client.stats().framesSent < frames || client.stats().bufferedBytes > 0) await pause(1);
  Atomics.add(counts, 1, 1);
  Atomics.notify(counts, 1);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
