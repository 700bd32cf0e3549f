/**
 * Pictures of the site, to look at.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import type { Page } from "playwright-core";
import { launchChromium } from "../chromium.ts";
import { DIST } from "./build.ts";
import { openSearch } from "./search.ts";
import { serveFolder } from "./serve.ts";

/** The widths that pages are looked at. */
export const WIDTHS = {
  phone: { width: 390, height: 844 },
  desktop: { width: 1280, height: 800 },
} as const;

/** The pictures: an address, and what is done there. */
const PICTURES: readonly { readonly name: string; readonly path: string; act?(page: Page): Promise<void> }[] = [
  { name: "home", path: "" },
  { name: "guide", path: "guide/streams.html" },
  { name: "errors", path: "errors.html" },
  { name: "not-found", path: "no-such-page.html" },
  { name: "api", path: "reference.html" },
  { name: "symbol", path: "api/mod.ts/~/Client.html" },
  {
    name: "search",
    path: "guide/",
    async act(page): Promise<void> {
      await openSearch(page);
      await page.keyboard.insertText("slow consumer");
      await page.locator(".VPLocalSearchBox .result").first().waitFor();
    },
  },
];

/** Writes `NAME-WIDTH-COLOR.png` of each into a folder. */
export async function takeScreenshots(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const server = await serveFolder(DIST, 0);
  const browser = await launchChromium();
  try {
    for (const [width, viewport] of Object.entries(WIDTHS)) {
      for (const colorScheme of ["light", "dark"] as const) {
        const context = await browser.newContext({ viewport, colorScheme });
        for (const { name, path, act } of PICTURES) {
          const page = await context.newPage();
          await page.goto(server.url + path, { waitUntil: "networkidle" });
          await act?.(page);
          await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png` });
          await page.close();
        }
        await context.close();
      }
    }
  } finally {
    await browser.close();
    await server.close();
  }
}
