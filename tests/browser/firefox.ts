/**
 * Drives Firefox by WebDriver BiDi.
 *
 * @module
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Tab } from "./browser.ts";
import { Commands } from "./commands.ts";
import { startProgram } from "./program.ts";

/** Settings of the profile beside those that Firefox makes itself when it takes commands. */
const SETTINGS = {
  "datareporting.policy.dataSubmissionEnabled": false,
  "browser.shell.checkDefaultBrowser": false,
};

/** Starts Firefox. It takes any certificate, because trust needs a program beside it. */
export async function launchFirefox(path: string): Promise<Browser> {
  const program = await startProgram(
    path,
    (profile) => {
      const lines = Object.entries(SETTINGS).map(([name, value]) =>
        `user_pref("${name}", ${JSON.stringify(value)});\n`
      );
      writeFileSync(join(profile, "user.js"), lines.join(""));
      return ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0", "about:blank"];
    },
    /WebDriver BiDi listening on (ws:\S+)/,
  );
  try {
    const commands = await Commands.connect(`${program.address}/session`);
    const { capabilities } = await commands.send("session.new", {
      capabilities: { alwaysMatch: { acceptInsecureCerts: true } },
    }) as { readonly capabilities: { readonly browserName: string; readonly browserVersion: string } };
    return new Firefox(program, commands, `${capabilities.browserName}/${capabilities.browserVersion}`);
  } catch (error) {
    await program.end(() => Promise.resolve());
    throw error;
  }
}

class Firefox implements Browser {
  readonly #program: Awaited<ReturnType<typeof startProgram>>;
  readonly #commands: Commands;
  readonly version: string;

  constructor(program: Awaited<ReturnType<typeof startProgram>>, commands: Commands, version: string) {
    this.#program = program;
    this.#commands = commands;
    this.version = version;
  }

  async open(url: string): Promise<Tab> {
    const { context } = await this.#commands.send("browsingContext.create", { type: "tab" });
    const tab = new FirefoxTab(this.#commands, String(context));
    await tab.load(url);
    return tab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program.end(() => this.#commands.send("browser.close"));
    await this.#commands.close();
  }
}

class FirefoxTab implements Tab {
  readonly #commands: Commands;
  readonly #context: string;

  constructor(commands: Commands, context: string) {
    this.#commands = commands;
    this.#context = context;
  }

  async load(url: string): Promise<void> {
    await this.#send("browsingContext.navigate", { url, wait: "complete" });
  }

  async evaluate(expression: string): Promise<string> {
    const { exceptionDetails, result } = await this.#commands.send("script.evaluate", {
      expression,
      awaitPromise: true,
      target: { context: this.#context },
    }) as { readonly exceptionDetails?: object; readonly result?: { readonly value?: unknown } };
    if (exceptionDetails !== undefined) throw new Error(`The page threw ${JSON.stringify(exceptionDetails)}`);
    return String(result!.value);
  }

  async activate(): Promise<void> {
    await this.#send("browsingContext.activate");
  }

  async close(): Promise<void> {
    await this.#send("browsingContext.close");
  }

  #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.#commands.send(method, { context: this.#context, ...params });
  }
}
