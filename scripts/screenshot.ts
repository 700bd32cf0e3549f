/**
 * `deno task screenshot [NAME …]`: takes the pictures that the pages show: of the dashboard in light and dark and on a phone,
 * and of the game. With names, only those that begin so, such as `game`. It needs Chromium.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { BrowserContextOptions } from "playwright-core";
import { launchChromium } from "./chromium.ts";
import { ROOT } from "./runtimes.ts";

const FOLDER = `${ROOT}docs/images/`;

/** What is started for some pictures, and how long it runs before them, in milliseconds. */
const SITES = [
  {
    args: ["examples/dashboard/main.ts", "0"],
    fill: 45_000, // The charts fill.
    pictures: [
      { name: "dashboard-light", colorScheme: "light", viewport: { width: 1120, height: 640 } },
      { name: "dashboard-dark", colorScheme: "dark", viewport: { width: 1120, height: 640 } },
      { name: "dashboard-phone", colorScheme: "light", viewport: { width: 390, height: 844 } },
    ],
  },
  {
    args: ["examples/game_server/server.ts", "0", "--bots", "63"],
    fill: 10_000, // The bots collect coins.
    pictures: [{ name: "game-server", colorScheme: "dark", viewport: { width: 1120, height: 600 } }],
  },
] as const;

/** Starts a program; resolves with it, and with the URL that it prints. */
async function start(args: readonly string[]): Promise<{ server: ChildProcess; url: string }> {
  const server = spawn(process.execPath, ["run", "-A", ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise<string>((resolve, reject) => {
    server.stdout.on("data", (part) => {
      const found = /http:[^\s;]+/.exec(`${part}`)?.[0];
      if (found !== undefined) resolve(found);
    });
    server.once("close", () => reject(new Error(`${args[0]} ended`)));
  });
  return { server, url };
}

const browser = await launchChromium();

/** Takes one picture. */
async function take(url: string, name: string, context: BrowserContextOptions): Promise<void> {
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

try {
  await mkdir(FOLDER, { recursive: true });
  const wanted = process.argv.slice(2);
  for (const { args, fill, pictures } of SITES) {
    const some = pictures.filter(({ name }) => wanted.length === 0 || wanted.some((one) => name.startsWith(one)));
    if (some.length === 0) continue;
    const { server, url } = await start(args);
    try {
      await sleep(fill);
      for (const { name, ...context } of some) await take(url, name, context);
    } finally {
      server.kill("SIGTERM");
    }
  }
} finally {
  await browser.close();
}
