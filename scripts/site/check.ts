/**
 * Looks at the built site as readers do: every page in Chromium, at the widths of a phone and a desktop, in dark and light,
 * every link, and the search for the questions that people ask.
 *
 * @module
 */
import { green, red } from "@std/fmt/colors";
import type { Browser, Page as Tab } from "playwright-core";
import { launchChromium } from "../chromium.ts";
import { API, DIST } from "./build.ts";
import { htmlFiles, LinkChecker } from "./links.ts";
import type { Page } from "./pages.ts";
import { WIDTHS } from "./screenshots.ts";
import { answers, ask, BEST, openSearch, questions } from "./search.ts";
import { serveFolder } from "./serve.ts";

/** Of folders whose files are all made alike, such as one for each symbol, so many are looked at in the browser. */
const SAMPLE = 12;

/** So many pages are open at once. */
const LANES = 3;

/** What of a page sticks out of the window, apart from what scrolls by itself. */
const STICKS_OUT = `(() => {
  if (document.documentElement.scrollWidth <= innerWidth) return "";
  const out = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
  return document.documentElement.scrollWidth + " px: " + out.slice(0, 3).map((one) => one.outerHTML.slice(0, 80)).join(" ");
})()`;

/** Texts of a page whose contrast is below 4.5, or 3 for large ones. */
const PALE = `(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = color.map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (top, below) => {
    const alpha = top[3] ?? 1;
    return [0, 1, 2].map((at) => top[at] * alpha + below[at] * (1 - alpha));
  };
  const backOf = (one) => {
    const back = one === null ? [255, 255, 255] : numbers(getComputedStyle(one).backgroundColor);
    return one === null || (back[3] ?? 1) === 1 ? back.slice(0, 3) : over(back, backOf(one.parentElement));
  };
  const pale = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const one = node.parentElement;
    if (node.data.trim() === "" || !one.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const { color, fontSize, fontWeight, webkitTextFillColor } = getComputedStyle(one);
    if (numbers(webkitTextFillColor)[3] === 0) continue;
    const back = backOf(one);
    const [high, low] = [light(over(numbers(color), back)), light(back)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) pale.add(contrast.toFixed(1) + ": " + node.data.trim().slice(0, 30));
  }
  return [...pale].slice(0, 5).join(", ");
})()`;

/** Counts what passed and failed, and prints it. */
class Outcomes {
  passed = 0;
  failed = 0;

  add(name: string, problems: readonly string[]): void {
    if (problems.length === 0) this.passed++;
    else this.failed++;
    console.log(`${problems.length === 0 ? green("ok    ") : red("FAILED")} ${name}`);
    for (const problem of problems.slice(0, 10)) console.log(`    ${problem}`);
  }
}

/**
 * Checks the site. Resolves with the exit code.
 *
 * @param pages The pages that are to be in it.
 */
export async function checkSite(pages: readonly Page[]): Promise<number> {
  const outcomes = new Outcomes();
  const server = await serveFolder(DIST, 0);
  const browser = await launchChromium();
  try {
    const files = htmlFiles(DIST);
    const links = new LinkChecker(DIST);
    const absent = pages.map(({ path }) => path.replace(/\.md$/, ".html")).filter((file) => !files.includes(file));
    outcomes.add("every page is built", absent.map((file) => `${file} is missing`));
    const api = files.filter((file) => file.startsWith(API));
    outcomes.add(
      `the ${api.length} files of the API reference have no dead link`,
      api.flatMap((file) => links.problemsOf(file).map((problem) => `${file}: ${problem}`)),
    );
    const seen = [API, "source/"].reduce(sampled, files);
    for (const file of files.filter((file) => !file.startsWith(API) && !seen.includes(file))) {
      outcomes.add(`the links of ${file}`, links.problemsOf(file));
    }
    const queue = [...seen];
    const look = async (): Promise<void> => {
      for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
        const dead = file.startsWith(API) ? [] : links.problemsOf(file);
        outcomes.add(file, [...dead, ...await problemsOf(browser, server.url, file)]);
      }
    };
    await Promise.all(Array.from({ length: LANES }, look));
    await checkSearch(browser, server.url, outcomes);
  } finally {
    await browser.close();
    await server.close();
  }
  console.log(`\n${outcomes.passed} passed, ${outcomes.failed} failed`);
  return outcomes.failed > 0 ? 1 : 0;
}

/** Leaves out most files of a folder. */
function sampled(files: readonly string[], folder: string): string[] {
  const inside = files.filter((file) => file.startsWith(folder));
  const step = Math.ceil(inside.length / SAMPLE);
  return files.filter((file) => !file.startsWith(folder) || inside.indexOf(file) % step === 0);
}

/** Opens a page, on a phone and on a desktop, in light and dark. Resolves with what is wrong. */
async function problemsOf(browser: Browser, site: string, file: string): Promise<string[]> {
  const problems: string[] = [];
  const context = await browser.newContext({ viewport: WIDTHS.desktop, colorScheme: "light" });
  try {
    const tab = await context.newPage();
    watch(tab, site, problems);
    await tab.goto(site + file.replace(/(^|\/)index\.html$/, "$1"), { waitUntil: "networkidle" });
    const own = !file.startsWith(API);
    for (const [width, viewport] of Object.entries(WIDTHS)) {
      await tab.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.emulateMedia({ colorScheme });
        const out = await tab.evaluate(STICKS_OUT);
        if (out !== "") problems.push(`${width}: the page is wider than the window: ${out}`);
        if (!own) continue;
        const follows = `document.documentElement.classList.contains("dark") === ${colorScheme === "dark"}`;
        await tab.waitForFunction(follows);
        const pale = await tab.evaluate(PALE);
        if (pale !== "") problems.push(`${width}, ${colorScheme}: too little contrast: ${pale}`);
      }
    }
  } catch (error) {
    problems.push(String(error));
  } finally {
    await context.close();
  }
  return problems;
}

/** Notes errors, and requests to other hosts. */
function watch(tab: Tab, site: string, problems: string[]): void {
  tab.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(`console: ${message.text()}`);
  });
  tab.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  tab.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(site) && !url.startsWith("data:") && !url.startsWith("blob:")) problems.push(`asks for ${url}`);
  });
  tab.on("response", (response) => {
    if (response.status() >= 400) problems.push(`${response.status()}: ${response.url()}`);
  });
}

/** Asks the search all questions. */
async function checkSearch(browser: Browser, site: string, outcomes: Outcomes): Promise<void> {
  const tab = await browser.newPage({ viewport: WIDTHS.desktop });
  await tab.goto(site, { waitUntil: "networkidle" });
  await openSearch(tab);
  for (const question of questions()) {
    const results = (await ask(tab, question.question)).slice(0, BEST);
    const found = results.some((result) => answers(result, question));
    const best = results.map((result) => result.slice(site.length)).join(", ");
    outcomes.add(
      `search: ${question.question}`,
      found ? [] : [`${question.page} is not among the first ${BEST}: ${best}`],
    );
  }
  await tab.close();
}
