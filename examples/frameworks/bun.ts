/**
 * WebSockets beside a page of `Bun.serve`.
 *
 *     bun examples/frameworks/bun.ts [PORT]
 *
 * @module
 */

import { webSocketHandler } from "@veltix/core/websocket";
import process from "node:process";
import { startServer } from "./contract.ts";

/** The part of Bun that is used. A program for Bun has it from the package `@types/bun`. */
interface BunServe {
  serve(options: object): { readonly port: number };
}

const { Bun } = globalThis as unknown as { readonly Bun: BunServe };
const veltix = webSocketHandler(await startServer());

const { port } = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 8080),
  fetch(request: Request, server: object): Response {
    const { pathname } = new URL(request.url);
    return pathname === "/veltix" ? veltix.fetch(request, server) : new Response("A page\n");
  },
  websocket: veltix.websocket,
});
console.log(`http://127.0.0.1:${port}/`);
