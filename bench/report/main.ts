/**
 * `deno task bench:report FILE [--out FOLDER] [--page FILE]`: charts of results that `deno task bench --save FILE` wrote.
 * `floor.svg` shows the library beside its floors, and `peers.svg` beside other libraries, if there are any in the file.
 * `summary.svg` has three figures of `peers.svg`, for README.md. With `--page` the tables of that page are filled, too.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { floorChart, peersChart } from "./charts.ts";
import { floorBars, peerCharts, type Saved, TITLES } from "./data.ts";
import { withTables } from "./tables.ts";
import { themed } from "./theme.ts";

/** The figures of `summary.svg`. */
const SUMMARY = ["rtt p50", "pipelined 100", "burst 1 KB", "broadcast"];

/** The charts by the names of their files. */
export async function draw(saved: Saved): Promise<Record<string, string>> {
  const { machine, date, options, samples } = saved;
  const subtitle = [
    `${options.rounds === 1 ? "One round" : `Medians of ${options.rounds} rounds`}, ${date.slice(0, 10)}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.os.split(" ")[0]}`,
    machine.versions.join(", "),
  ];
  const bars = floorBars(samples);
  const charts = peerCharts(samples);
  const summary = charts.filter(({ title }) => SUMMARY.some((name) => TITLES[name] === title));
  return {
    ...bars.length > 0 ? { "floor.svg": await render(floorChart(bars, subtitle)) } : {},
    ...charts.length > 0 ? { "peers.svg": await render(peersChart(charts, subtitle)) } : {},
    ...summary.length > 0 ? { "summary.svg": await render(peersChart(summary, subtitle)) } : {},
  };
}

async function render(specification: TopLevelSpec): Promise<string> {
  const view = new vega.View(vega.parse(compile(specification).spec), { renderer: "none" });
  return `${themed(await view.toSVG())}\n`;
}

if (import.meta.main) {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const { values, positionals: [file] } = parseArgs({
    allowPositionals: true,
    options: { out: { type: "string", default: here }, page: { type: "string" } },
  });
  if (file === undefined) throw new TypeError("Cannot draw: which file? `deno task bench:report FILE`");
  const saved = JSON.parse(await Deno.readTextFile(file)) as Saved;
  if (values.page !== undefined) {
    await Deno.writeTextFile(values.page, withTables(await Deno.readTextFile(values.page), saved.samples));
  }
  for (const [name, svg] of Object.entries(await draw(saved))) {
    await Deno.writeTextFile(`${values.out.replace(/\/$/, "")}/${name}`, svg);
    console.log(name);
  }
}
