/**
 * What a scenario has: a browser with pages, servers that the pages may connect to, and ways to cut connections.
 *
 * @module
 */

import { Server, type ServerConfig, type TcpEndpoint } from "@veltix/core";
import { createHash, X509Certificate } from "node:crypto";
import { until } from "../processes/waiting.ts";
import { pair } from "../tls_support.ts";
import { type Browser, launch, type Tab } from "./browser.ts";
import type { BrowserName, FoundBrowser } from "./find.ts";
import { Pages } from "./pages.ts";
import type { PageCalls } from "./page/calls.ts";

/** How pages reach their server. */
export type Way = "ws" | "wss";

/** All ways. */
export const WAYS: readonly Way[] = ["ws", "wss"];

/** A server of a scenario. */
export interface Served extends AsyncDisposable {
  readonly server: Server<unknown>;
  readonly url: string;
  readonly port: number;
}

/** How long a page may take to go where it was sent, in milliseconds. */
const GO_LIMIT = 20_000;

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

  /** Goes back to the page before. Resolves when that can be called again. */
  async back(): Promise<void> {
    await this.tab.evaluate("void Promise.resolve().then(() => history.back()), ''");
    await this.#at("typeof veltix", "function");
  }

  /** Goes to a page of no program. */
  async leave(): Promise<void> {
    await this.call("leave", "/other");
    await this.#at("location.pathname", "/other");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The scenario may have closed it.
    await this.tab.close().catch(() => {});
  }

  async #at(expression: string, value: string): Promise<void> {
    // While the page changes, nothing can be evaluated.
    const holds = async (): Promise<boolean> => await this.tab.evaluate(expression).catch(() => "") === value;
    await until(`The page that has ${value}`, GO_LIMIT, holds);
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

  /** Opens a page. Its timers come at multiples of `throttle` milliseconds, if that is not 0. */
  async open(throttle: number = 0): Promise<Page> {
    return new Page(await this.browser.open(`${this.pages.origin}/?throttle=${throttle}`));
  }

  /** Makes a server that takes WebSockets of the pages. */
  make(way: Way, config: ServerConfig<unknown> = {}): Server<unknown> {
    return new Server<unknown>({
      listen: [{ hostname: "127.0.0.1", port: 0, webSocket: { origins: [this.pages.origin] } }],
      logger: { warn: () => {}, error: () => {} },
      ...way === "wss" ? { tls: pair("server") } : {},
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
export function urlOf(way: Way, port: number): string {
  return `${way}://127.0.0.1:${port}/`;
}

/** Returns the hash of the public key of a certificate. */
function pinOf(certificate: string): string {
  const key = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}
