/**
 * Serves the files of a page, and WebSockets beside them, by the HTTP server of the runtime.
 *
 * @module
 */

import type { WebSocketHandler } from "@veltix/core/websocket";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { PageFiles } from "./page/build.ts";

/** An HTTP server that listens. */
export interface Site {
  readonly port: number;
  close(): Promise<void>;
}

interface Runtimes {
  readonly Bun?: {
    serve(options: object): { readonly port: number; stop(closeConnections: boolean): Promise<void> };
  };
  readonly Deno?: {
    serve(
      options: object,
      handler: (request: Request, info: unknown) => Response,
    ): { readonly addr: { readonly port: number }; shutdown(): Promise<void> };
  };
}

/**
 * Serves a page.
 *
 * @param hostname The address to listen at.
 * @param port The port; 0 takes a free one.
 * @param files The files of the page.
 * @param handler Answers the requests for `/veltix`.
 */
export async function serve(
  hostname: string,
  port: number,
  files: PageFiles,
  handler: WebSocketHandler,
): Promise<Site> {
  const { Bun, Deno } = globalThis as Runtimes;
  const answer = (request: Request, context: unknown): Response => {
    const { pathname } = new URL(request.url);
    if (pathname === "/veltix") return handler.fetch(request, context);
    const file = files.get(pathname);
    if (file === undefined) return new Response("Nothing is here\n", { status: 404 });
    return new Response(file.body, { headers: { "content-type": file.type } });
  };
  if (Deno !== undefined) {
    const server = Deno.serve({ hostname, port, onListen: () => {} }, answer);
    return { port: server.addr.port, close: () => server.shutdown() };
  }
  if (Bun !== undefined) {
    const server = Bun.serve({ hostname, port, fetch: answer, websocket: handler.websocket });
    return { port: server.port, close: () => server.stop(true) };
  }
  const server = createServer((request, response) => {
    const file = files.get((request.url ?? "/").split("?", 1)[0]);
    response.writeHead(file === undefined ? 404 : 200, { "content-type": file?.type ?? "text/plain" });
    response.end(file?.body ?? "Nothing is here\n");
  });
  server.on("upgrade", handler.upgrade);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close(): Promise<void> {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
