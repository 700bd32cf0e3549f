/**
 * What a scenario has: a browser with pages, servers that the pages may connect to, and ways to cut connections.
 *
 * @module
 */

import { Server, type ServerConfig, type TcpEndpoint } from "@veltix/core";
import { createHash, X509Certificate } from "node:crypto";
import { pair } from "../tls_support.ts";
import { type Browser, launch, type Tab } from "./browser.ts";
import type { BrowserName, FoundBrowser } from "./find.ts";
import { Pages } from "./pages.ts";
import type { PageCalls } from "./page/calls.ts";

/** How pages reach their server. */
export interface Way {
  readonly name: string;
  /** True for `wss:`. */
  readonly secure: boolean;
  /** True if the page has no `WebSocketStream`, as in most browsers. */
  readonly plain: boolean;
}

const STREAM: Way = { name: "ws, WebSocketStream", secure: false, plain: false };
const SOCKET: Way = { name: "ws, WebSocket", secure: false, plain: true };
const STREAM_TLS: Way = { name: "wss, WebSocketStream", secure: true, plain: false };
const SOCKET_TLS: Way = { name: "wss, WebSocket", secure: true, plain: true };

/** The ways of each browser. */
export const WAYS: Readonly<Record<BrowserName, readonly Way[]>> = {
  chromium: [STREAM, SOCKET, STREAM_TLS, SOCKET_TLS],
  firefox: [SOCKET, SOCKET_TLS],
};

/** A server of a scenario. */
export interface Served extends AsyncDisposable {
  readonly server: Server<unknown>;
  readonly url: string;
  readonly port: number;
}

/** A page that is open. */
export class Page implements AsyncDisposable {
  readonly tab: Tab;

  /** @param tab Its tab. */
  constructor(tab: Tab) {
    this.tab = tab;
  }

  /** Calls a function of the page, and returns what it returns. */
  async call<Name extends keyof PageCalls>(
    name: Name,
    ...args: Parameters<PageCalls[Name]>
  ): Promise<Awaited<ReturnType<PageCalls[Name]>>> {
    const text = await this.tab.evaluate(`veltix(${JSON.stringify(name)}, ${JSON.stringify(args)})`);
    const { error, value } = JSON.parse(text);
    if (error !== undefined) throw new Error(`In the page: ${error}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tab.close();
  }
}

/** A browser, and what its pages need. */
export class Stage implements AsyncDisposable {
  readonly name: BrowserName;
  readonly browser: Browser;
  readonly pages: Pages;

  private constructor(name: BrowserName, browser: Browser, pages: Pages) {
    this.name = name;
    this.browser = browser;
    this.pages = pages;
  }

  /** Starts a browser. */
  static async set(found: FoundBrowser): Promise<Stage> {
    const pages = await Pages.listen();
    try {
      return new Stage(found.name, await launch(found, { pin: pinOf(pair("server").cert) }), pages);
    } catch (error) {
      await pages[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Opens a page, with what its query asks for. */
  async open(way: Way, query: Readonly<Record<string, string>> = {}): Promise<Page> {
    const url = new URL(this.pages.origin);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    if (way.plain) url.searchParams.append("without", "WebSocketStream");
    return new Page(await this.browser.open(url.href));
  }

  /** Makes a server that takes WebSockets of the pages. */
  make(way: Way, config: ServerConfig<unknown> = {}): Server<unknown> {
    const listener = { hostname: "127.0.0.1", port: 0, webSocket: { origins: [this.pages.origin] } };
    return new Server<unknown>({
      listen: [way.secure ? { ...listener, tls: pair("server") } : listener],
      logger: { warn: () => {}, error: () => {} },
      ...config,
    });
  }

  /** Starts a server that takes WebSockets of the pages. */
  async serve(
    way: Way,
    config: ServerConfig<unknown> = {},
    set: (server: Server<unknown>) => void = () => {},
  ): Promise<Served> {
    const server = this.make(way, config);
    set(server);
    await server.start();
    const { port } = server.addresses[0] as TcpEndpoint;
    return { server, port, url: urlOf(way, port), [Symbol.asyncDispose]: () => server.close({ drain: 0 }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser[Symbol.asyncDispose]();
    await this.pages[Symbol.asyncDispose]();
  }
}

/** Returns the URL of a server of this machine. */
export function urlOf({ secure }: Way, port: number): string {
  return `${secure ? "wss" : "ws"}://127.0.0.1:${port}/`;
}

/** Returns the hash of the public key of a certificate. */
function pinOf(certificate: string): string {
  const key = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}
