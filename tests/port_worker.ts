/**
 * A thread that has one end of a channel of messages, its own port or another one, and plays a role there.
 *
 * @module
 */

import { parentPort, workerData } from "node:worker_threads";
import { fromMessagePort, type MessagePortLike, Server } from "../mod.ts";
import { answer, clientOver, talk } from "./accept_support.ts";

const { role, port = parentPort } = workerData as { role: string; port?: MessagePortLike };
const connection = fromMessagePort(port as MessagePortLike);

if (role === "server") {
  const server = new Server({ listen: [] });
  answer(server);
  await server.start();
  server.on("disconnect", () => void server.close());
  server.accept(connection);
} else {
  const client = clientOver(() => connection);
  await client.connect();
  await talk(client);
  if (role === "client") await client.close();
}
