/**
 * `deno task screenshot`: takes the pictures of the dashboard that the pages show, in light and dark and on a phone. It
 * needs Chromium: `CHROMIUM` names it, `/usr/bin/chromium` by default.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { ROOT } from "./runtimes.ts";

/** How long the charts fill before a picture, in milliseconds. */
const FILL = 45_000;
const FOLDER = `${ROOT}docs/images/`;

const PICTURES = [
  { name: "dashboard-light", colorScheme: "light", viewport: { width: 1120, height: 640 } },
  { name: "dashboard-dark", colorScheme: "dark", viewport: { width: 1120, height: 640 } },
  { name: "dashboard-phone", colorScheme: "light", viewport: { width: 390, height: 844 } },
] as const;

const server = spawn(process.execPath, ["run", "-A", "examples/dashboard/main.ts", "0"], {
  cwd: ROOT,
  stdio: ["ignore", "pipe", "inherit"],
});
const url = await new Promise<string>((resolve, reject) => {
  server.stdout.on("data", (part) => {
    const found = /http:\S+/.exec(`${part}`)?.[0];
    if (found !== undefined) resolve(found);
  });
  server.once("close", () => reject(new Error("The dashboard ended")));
});
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
try {
  await mkdir(FOLDER, { recursive: true });
  await sleep(FILL);
  for (const { name, ...context } of PICTURES) {
    const page = await browser.newPage({ ...context, deviceScaleFactor: 1.5 });
    const errors: string[] = [];
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(url);
    await page.locator("#state[data-state=connected]").waitFor();
    await sleep(2_000);
    const overflow = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
    if (overflow === true) errors.push("the page is wider than the window");
    if (errors.length > 0) throw new Error(`${name}: ${errors.join("; ")}`);
    await page.screenshot({ path: `${FOLDER}${name}.png` });
    console.log(`docs/images/${name}.png`);
    await page.close();
  }
} finally {
  await browser.close();
  server.kill("SIGTERM");
}
