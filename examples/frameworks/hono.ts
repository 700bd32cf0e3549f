/**
 * WebSockets in an app of Hono, on Deno, Bun and Node.
 *
 *     deno run -A examples/frameworks/hono.ts [PORT]     bun …     node …
 *
 * @module
 */

import { webSocketHandler } from "@veltix/core/websocket";
import { type Context, Hono } from "hono";
import process from "node:process";
import { startServer } from "./contract.ts";

/** The parts of the runtimes that are used. */
interface Runtimes {
  readonly Bun?: { serve(options: object): { readonly port: number } };
  readonly Deno?: { serve(options: object, fetch: object): { readonly addr: { readonly port: number } } };
}

const { Bun, Deno } = globalThis as unknown as Runtimes;
const veltix = webSocketHandler(await startServer());
const address = { hostname: "127.0.0.1", port: Number(process.argv[2] ?? 8080) };
const say = (port: number): void => console.log(`http://127.0.0.1:${port}/`);

const app = new Hono();
app.get("/", (c: Context) => c.text("A page\n"));

if (Deno !== undefined) {
  app.get("/veltix", (c: Context) => veltix.fetch(c.req.raw, c.env));
  say(Deno.serve({ ...address, onListen: () => {} }, app.fetch).addr.port);
} else if (Bun !== undefined) {
  app.get("/veltix", (c: Context) => veltix.fetch(c.req.raw, c.env));
  say(Bun.serve({ ...address, fetch: app.fetch, websocket: veltix.websocket }).port);
} else {
  // On Node, the requests for WebSockets do not pass through the app.
  const { serve } = await import("@hono/node-server");
  const http = serve({ ...address, fetch: app.fetch }, ({ port }: { readonly port: number }) => say(port));
  http.on("upgrade", (request: { readonly url?: string }, socket: { destroy(): void }, head: Uint8Array) => {
    if (request.url?.split("?")[0] === "/veltix") veltix.upgrade(request, socket, head);
    else socket.destroy();
  });
}
