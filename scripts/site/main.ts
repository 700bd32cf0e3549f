/**
 * `deno task site`: builds the documentation site into `site/dist`. Its generator comes from npm on first use.
 *
 *     deno task site [--serve [--port 8000]] [--check] [--screenshots FOLDER] [--built]
 *
 * `--serve` serves it on loopback. `--check` looks at every page in Chromium, and asks the search each question of
 * `site/questions.json`; the last line is `N passed, N failed`. `--screenshots` takes pictures of some pages on phone and
 * desktop, in dark and light. `--built` takes the site as it was built before.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { buildSite, DIST } from "./build.ts";
import { checkSite } from "./check.ts";
import { pages } from "./pages.ts";
import { takeScreenshots } from "./screenshots.ts";
import { serveFolder } from "./serve.ts";

const { values } = parseArgs({
  options: {
    serve: { type: "boolean" },
    port: { type: "string", default: "8000" },
    check: { type: "boolean" },
    screenshots: { type: "string" },
    built: { type: "boolean" },
  },
});

async function main(): Promise<number> {
  const all = values.built ? pages() : buildSite();
  if (!values.built) console.log(`${all.length} pages are in site/dist`);
  if (values.screenshots !== undefined) await takeScreenshots(values.screenshots);
  if (values.serve) console.log(`Serving at ${(await serveFolder(DIST, Number(values.port))).url}`);
  return values.check ? await checkSite(all) : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  if (values.check) console.log("0 passed, 1 failed");
  process.exitCode = 1;
}
