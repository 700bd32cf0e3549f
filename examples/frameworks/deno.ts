/**
 * WebSockets beside a page of `Deno.serve`.
 *
 *     deno run --allow-net examples/frameworks/deno.ts [PORT]
 *
 * @module
 */

import { webSocketHandler } from "@veltix/core/websocket";
import { startServer } from "./contract.ts";

const veltix = webSocketHandler(await startServer());

Deno.serve({
  hostname: "127.0.0.1",
  port: Number(Deno.args[0] ?? 8080),
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`),
}, (request, info) => {
  const { pathname } = new URL(request.url);
  return pathname === "/veltix" ? veltix.fetch(request, info) : new Response("A page\n");
});
