/**
 * Serves the page, and WebSockets beside it, by `node:http`, which each runtime has.
 *
 * @module
 */

import type { WebSocketHandler } from "@veltix/core/websocket";
import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

/** A server that listens. */
export interface Site {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves the page at this machine.
 *
 * @param port The port; 0 takes a free one.
 * @param handler Takes the WebSockets.
 */
export async function servePage(port: number, handler: WebSocketHandler): Promise<Site> {
  const files = new Map([
    ["/", { type: "text/html; charset=utf-8", body: await readFile(new URL("index.html", import.meta.url)) }],
    ["/page.js", { type: "text/javascript; charset=utf-8", body: await bundle() }],
  ]);
  const http = createServer((request, response) => {
    const file = files.get((request.url ?? "/").split("?", 1)[0]);
    response.writeHead(file === undefined ? 404 : 200, { "content-type": file?.type ?? "text/plain" });
    response.end(file?.body ?? "Nothing is here\n");
  });
  http.on("upgrade", handler.upgrade);
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, "127.0.0.1", resolve);
  });
  return {
    port: (http.address() as AddressInfo).port,
    async close(): Promise<void> {
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeAllConnections();
      await closed;
    },
  };
}

/** Puts the page and the library into one file. */
async function bundle(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("page.ts", import.meta.url))],
    // In this repository the library is its sources. With the package installed, leave this line out.
    alias: { "@veltix/core": fileURLToPath(new URL("../../../mod.ts", import.meta.url)) },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    logLevel: "warning",
  });
  return outputFiles[0].contents;
}
