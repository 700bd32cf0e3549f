/**
 * Serves the built site on loopback, as any host of static files would.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** A server of the site. */
export interface SiteServer {
  readonly url: string;
  close(): Promise<void>;
}

/** The path of the file that a request asks for, below the folder; nothing if it leads out of it, or is none. */
export function pathOf(target: string): string | undefined {
  try {
    const path = decodeURIComponent(new URL(target, "http://localhost").pathname);
    if (/[\\\0]|\/\.\.(\/|$)/.test(path)) return undefined;
    return path.slice(1).replace(/(^|\/)$/, "$1index.html");
  } catch {
    return undefined;
  }
}

/**
 * Serves a folder.
 *
 * @param folder The folder; ends with a slash.
 * @param port The port; 0 takes a free one.
 */
export async function serveFolder(folder: string, port: number): Promise<SiteServer> {
  const server = createServer(async (request, response) => {
    const path = pathOf(request.url ?? "/");
    const body = path === undefined ? undefined : await readFile(folder + path).catch(() => undefined);
    response.writeHead(body === undefined ? 404 : 200, {
      "content-type": TYPES[body === undefined ? ".html" : extname(path!)] ?? "application/octet-stream",
    });
    response.end(body ?? await readFile(`${folder}404.html`));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close(): Promise<void> {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
