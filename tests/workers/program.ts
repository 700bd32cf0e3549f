/**
 * A program that has a message handled in a worker and then, as its argument says, closes everything or lets go of it. It must
 * end by itself.
 */

import process from "node:process";
import { Client, Server } from "../../mod.ts";
import { JOB } from "./contract.ts";

const server = new Server({ port: 0, hostname: "127.0.0.1" });
server.workerRoute(JOB, new URL("./job.ts", import.meta.url), { threads: 2 });
await server.start();
const client = new Client({ ...server.addresses[0] });
await client.connect();
console.log(await client.request(JOB, { do: "double", value: 21 }));
if (process.argv[2] === "close") {
  await client.close();
  await server.close();
  console.log("closed");
} else {
  client.unref();
  server.unref();
}
process.on("exit", () => console.log("ends"));
