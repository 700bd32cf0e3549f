/**
 * Chromium without windows, for pages and pictures.
 *
 * @module
 */
import { type Browser, chromium } from "playwright-core";
import { findBrowsers } from "../tests/browser/find.ts";

/**
 * Starts Chromium.
 *
 * @throws {Error} There is none on the `PATH` or where `VELTIX_CHROMIUM` says.
 */
export async function launchChromium(): Promise<Browser> {
  const [{ path, problem }] = findBrowsers(["chromium"]);
  if (path === undefined) throw new Error(`Cannot look at pages: ${problem}`);
  return await chromium.launch({
    executablePath: path,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  });
}
