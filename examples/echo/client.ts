/**
 * Sends a text to the server, and prints what comes back.
 *
 *     node examples/echo/client.ts [TEXT] [PORT]     or bun …, or deno run -A …
 *
 * @module
 */

import { Client } from "@veltix/core";
import process from "node:process";
import { ECHO } from "./contract.ts";

const [text = "hello", port = "8080"] = process.argv.slice(2);

const client = new Client({ hostname: "127.0.0.1", port: Number(port) });
await client.connect(); // Resolves after the handshake; rejects if nobody is there.
console.log(await client.request(ECHO, text)); // A string, and TypeScript knows.
await client.close();
