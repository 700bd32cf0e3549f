/**
 * The pages of the tests, bundled as programs bundle theirs, and the HTTP server that they come from.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import process from "node:process";
import { ROOT } from "../../scripts/runtimes.ts";

// Else it makes a thread, which lives on.
process.env.ESBUILD_WORKER_THREADS = "0";
const { buildSync } = await import("esbuild");

/** Runs before the program of a page. What its query asks for is done before anything else can look. */
const EARLY = `
  const asked = new URLSearchParams(location.search);
  const slow = Number(asked.get("throttle"));
  if (slow > 0) {
    // As in the background: timers come when the clock shows a multiple of so many milliseconds, and not before.
    const set = globalThis.setTimeout;
    globalThis.setTimeout = (fn, ms = 0, ...args) => {
      const due = performance.now() + ms;
      return set(fn, Math.ceil(due / slow) * slow - performance.now(), ...args);
    };
    Object.defineProperty(document, "hidden", { get: () => true });
    Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
  }
  globalThis.shows = [];
  addEventListener("pageshow", ({ persisted }) => shows.push(persisted));
`;

const PAGE = `<!doctype html><meta charset="utf-8"><title>Veltix</title><link rel="icon" href="data:,">
<script>${EARLY}</script><script type="module" src="/main.js"></script>\n`;
const OTHER = `<!doctype html><meta charset="utf-8"><title>Another page</title><link rel="icon" href="data:,">\n`;

/** Serves the pages. */
export class Pages implements AsyncDisposable {
  /** The paths that were asked for, in order. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #files: ReadonlyMap<string, Uint8Array>;

  private constructor(server: Server, files: ReadonlyMap<string, Uint8Array>) {
    this.#server = server;
    this.#files = files;
    server.on("request", (request, response) => this.#answer(request, response));
  }

  /** Bundles the pages, and listens. */
  static async listen(): Promise<Pages> {
    const files = bundle();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Pages(server, files);
  }

  /** The origin of the pages. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #answer({ url = "/" }: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(url, "http://127.0.0.1");
    this.asked.push(pathname);
    const file = this.#files.get(pathname);
    if (file !== undefined) response.setHeader("content-type", "text/javascript").end(file);
    else response.setHeader("content-type", "text/html").end(pathname === "/other" ? OTHER : PAGE);
  }
}

/** Returns the files of the program of the page, by their paths. Parts that are loaded when they are used stay apart. */
function bundle(): ReadonlyMap<string, Uint8Array> {
  const { outputFiles } = buildSync({
    entryPoints: [join(ROOT, "tests/browser/page/main.ts")],
    absWorkingDir: ROOT,
    alias: {
      "@veltix/core": join(ROOT, "mod.ts"),
      "@veltix/core/encryption": join(ROOT, "src/encryption/mod.ts"),
      "@veltix/core/wire": join(ROOT, "src/wire/mod.ts"),
    },
    bundle: true,
    splitting: true,
    write: false,
    outdir: "pages",
    chunkNames: "[name]-[hash]",
    format: "esm",
    platform: "browser",
    target: "es2022",
    logLevel: "silent",
  });
  return new Map(outputFiles.map(({ path, contents }) => [`/${basename(path)}`, contents]));
}
