/**
 * Asks the search of the site as a reader does: opens it, types, and reads the results.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { ROOT } from "../runtimes.ts";

/** A question that somebody asked in public, about this or a similar library. */
export interface Question {
  readonly question: string;
  /** The address where it was asked. */
  readonly asked: string;
  /** The page that answers it, and the anchor there, such as `/faq#order`. */
  readonly page: string;
}

/** The answer is to be among so many results. */
export const BEST = 3;

/** The questions. */
export function questions(): Question[] {
  return JSON.parse(readFileSync(`${ROOT}site/questions.json`, "utf8"));
}

/** Opens the search. */
export async function openSearch(page: Page): Promise<void> {
  await page.locator("#local-search button").first().click();
  await page.locator(".VPLocalSearchBox .search-input").waitFor();
}

/** Asks; resolves with the addresses of the results, best first. The search is open. */
export async function ask(page: Page, question: string): Promise<string[]> {
  const results = page.locator(".VPLocalSearchBox .result");
  await page.locator(".VPLocalSearchBox .search-input").fill("");
  await results.first().waitFor({ state: "detached" });
  // As it is typed: the box takes no more than its limit.
  await page.keyboard.insertText(question);
  await page.locator(".VPLocalSearchBox :is(.result, .no-results)").first().waitFor();
  return await results.evaluateAll((links) => links.map((link) => String((link as { href?: string }).href)));
}

/** Whether a result is the page of a question. */
export function answers(result: string, { page }: Question): boolean {
  const { pathname, hash } = new URL(result);
  const [path, anchor] = page.replace(/^\//, "").replace(/\.(md|html)(?=#|$)/, "").split("#");
  const found = pathname.replace(/^\//, "").replace(/\.html$/, "");
  return found.replace(/(^|\/)$/, "$1index") === path.replace(/(^|\/)$/, "$1index") &&
    (anchor === undefined || decodeURIComponent(hash) === `#${anchor}`);
}
