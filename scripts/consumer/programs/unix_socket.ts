/**
 * A server at a unix socket.
 *
 * @module
 */
import { Client, json, messageType, Server } from "@veltix/core";
import { pathOf } from "./ask.ts";

const ADD = messageType(200, "add", json<{ a: number; b: number }>(), json<number>());
const path = pathOf("socket");
const server = new Server({ path });
server.route(ADD, ({ data }) => data.a + data.b);
await server.start();
const client = new Client({ path });
await client.connect();
const sum = await client.request(ADD, { a: 1, b: 2 });
await client.close();
await server.close();
if (sum !== 3) throw new Error(`1 + 2 is ${sum}`);
console.log("done");
