/**
 * A server that shows its own numbers on a page: connections, messages a second, latency and memory, drawn live.
 *
 *     deno run -A examples/dashboard/main.ts [PORT] [--devices N]     bun …     node …
 *
 * Open the URL that it prints. `--devices` adds simulated devices, 50 by default, so that there is something to see.
 *
 * @module
 */

import { Server } from "@veltix/core";
import { webSocketHandler } from "@veltix/core/websocket";
import { once } from "node:events";
import process from "node:process";
import { parseArgs } from "node:util";
import { CONTRACT } from "./contract.ts";
import { simulate } from "./devices.ts";
import { Numbers } from "./numbers.ts";
import { buildPage } from "./page/build.ts";
import { serve } from "./serve.ts";

const { positionals: [port = "8080"], values } = parseArgs({
  allowPositionals: true,
  options: { devices: { type: "string", default: "50" } },
});

// It has no listener of its own: its clients come through the HTTP server below.
const server = new Server({ listen: [], resume: true });
await server.start();
const numbers = new Numbers(server);
server.route(CONTRACT.reading, () => numbers.count());
server.stream(CONTRACT.samples, ({ signal }) => numbers.feed(signal));

const site = await serve("127.0.0.1", Number(port), await buildPage(), webSocketHandler(server));
const url = `http://127.0.0.1:${site.port}/`;
console.log(`The dashboard is at ${url}`);

const stop = new AbortController();
const stopped = once(stop.signal, "abort");
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());
await Promise.all([stopped, simulate(`${url.replace("http", "ws")}veltix`, Number(values.devices), stop.signal)]);
numbers.close();
await server.close();
await site.close();
console.log("The dashboard is closed");
