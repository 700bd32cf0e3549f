/**
 * A browser that is driven by commands, whichever it is.
 *
 * @module
 */

import { launchChromium } from "./chromium.ts";
import type { FoundBrowser } from "./find.ts";
import { launchFirefox } from "./firefox.ts";

/** A browser that runs without windows. */
export interface Browser extends AsyncDisposable {
  /** Its name and version. */
  readonly version: string;
  /** Opens a page in a new tab, which is in the foreground from then on. Resolves when it is loaded. */
  open(url: string): Promise<Tab>;
}

/** A tab. */
export interface Tab {
  /** Loads another page in it. Resolves when it is loaded. */
  load(url: string): Promise<void>;
  /** Returns the string that an expression, or the promise that it is, has as its value. */
  evaluate(expression: string): Promise<string>;
  /** Brings it to the foreground. */
  activate(): Promise<void>;
  /** Closes it without asking its page. */
  close(): Promise<void>;
}

/** What a browser has to know before it starts. */
export interface LaunchOptions {
  /** The public key of the certificates that it trusts, as the option `pin` of a client has it. */
  readonly pin: string;
}

/** Starts a browser with a profile of its own. */
export async function launch({ name, path, problem }: FoundBrowser, options: LaunchOptions): Promise<Browser> {
  if (problem !== undefined) throw new Error(problem);
  return name === "chromium" ? await launchChromium(path, options) : await launchFirefox(path);
}
