/**
 * Drives Chromium by the DevTools protocol.
 *
 * @module
 */

import { until } from "../processes/waiting.ts";
import type { Browser, LaunchOptions, Tab } from "./browser.ts";
import { Commands } from "./commands.ts";
import { startProgram } from "./program.ts";

/** How long a page may take to load, in milliseconds. */
const LOAD_LIMIT = 20_000;

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  // Timers of a page in the background come once a minute, as they do anyway after five minutes there.
  "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1",
  "--remote-debugging-port=0",
];

/** Starts Chromium. */
export async function launchChromium(path: string, { pin }: LaunchOptions): Promise<Browser> {
  const program = await startProgram(
    path,
    (
      profile,
    ) => [...FLAGS, `--user-data-dir=${profile}`, `--ignore-certificate-errors-spki-list=${pin}`, "about:blank"],
    /DevTools listening on (ws:\S+)/,
  );
  let commands: Commands;
  try {
    commands = await Commands.connect(program.address);
    const { product } = await commands.send("Browser.getVersion");
    return new Chromium(program, commands, String(product));
  } catch (error) {
    await program.end(() => Promise.resolve());
    throw error;
  }
}

class Chromium implements Browser {
  readonly #program: Awaited<ReturnType<typeof startProgram>>;
  readonly #commands: Commands;
  readonly version: string;

  constructor(program: Awaited<ReturnType<typeof startProgram>>, commands: Commands, version: string) {
    this.#program = program;
    this.#commands = commands;
    this.version = version;
  }

  async open(url: string): Promise<Tab> {
    const { targetId } = await this.#commands.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#commands.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new ChromiumTab(this.#commands, String(targetId), String(sessionId));
    await tab.load(url);
    return tab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.end(() => this.#commands.send("Browser.close"));
    await this.#commands.close();
  }
}

class ChromiumTab implements Tab {
  readonly #commands: Commands;
  readonly #target: string;
  readonly #session: string;

  constructor(commands: Commands, target: string, session: string) {
    this.#commands = commands;
    this.#target = target;
    this.#session = session;
  }

  async load(url: string): Promise<void> {
    const { errorText } = await this.#send("Page.navigate", { url });
    if (errorText !== undefined) throw new Error(`Cannot load ${url}: ${errorText}`);
    await until(`Loading ${url}`, LOAD_LIMIT, async () => {
      // While the page changes, nothing can be evaluated.
      const state = await this.evaluate("location.href + ' ' + document.readyState").catch(() => "");
      return state === `${url} complete`;
    });
  }

  async evaluate(expression: string): Promise<string> {
    const { exceptionDetails, result } = await this.#send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    }) as { readonly exceptionDetails?: object; readonly result: { readonly value?: unknown } };
    if (exceptionDetails !== undefined) throw new Error(`The page threw ${JSON.stringify(exceptionDetails)}`);
    return String(result.value);
  }

  async activate(): Promise<void> {
    await this.#commands.send("Target.activateTarget", { targetId: this.#target });
  }

  async close(): Promise<void> {
    await this.#commands.send("Target.closeTarget", { targetId: this.#target });
  }

  #send(method: string, params: object): Promise<Record<string, unknown>> {
    return this.#commands.send(method, params, { sessionId: this.#session });
  }
}
