/** The page about telemetry names every attribute, metric and option, and no other. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import { ROOT } from "../scripts/runtimes.ts";
import { ATTRIBUTE, BUCKETS, METRIC, SCHEMA_URL } from "../src/opentelemetry/names.ts";
import { INSTRUMENT_OPTIONS } from "../src/opentelemetry/options.ts";

const page = readFileSync(`${ROOT}docs/telemetry.md`, "utf8");

/** The rows of the table with this first heading, as cells. */
function tableOf(heading: string): string[][] {
  const lines = page.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} `));
  assert(start >= 0, heading);
  const end = lines.findIndex((line, i) => i > start && !line.startsWith("|"));
  return lines.slice(start + 2, end).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const namesIn = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name);

describe("docs/telemetry.md", () => {
  it("has a row for every metric, with its instrument and unit", () => {
    assertEquals(
      tableOf("metric").map(([name, instrument, unit]) => [namesIn(name)[0], instrument, namesIn(unit)[0]]),
      Object.values(METRIC).map(({ name, instrument, unit }) => [name, instrument, unit]),
    );
  });

  it("names every attribute of spans and metrics, and no other", () => {
    const known: string[] = Object.values(ATTRIBUTE);
    const ofSpans = tableOf("attribute").flatMap(([names]) => namesIn(names));
    assertEquals(ofSpans.filter((name) => !known.includes(name)), []);
    const dotted = tableOf("metric").flatMap(([, , , attributes]) => namesIn(attributes)).filter((name) =>
      name.includes(".")
    );
    assertEquals(dotted.filter((name) => !known.includes(name)), []);
    assertEquals(known.filter((name) => !page.includes(`\`${name}\``)), []);
  });

  it("has a row for every option", () => {
    assertEquals(tableOf("option").map(([name]) => namesIn(name)[0]).sort(), Object.keys(INSTRUMENT_OPTIONS).sort());
  });

  it("names the version of the conventions, and their buckets", () => {
    assert(page.includes(`version\n${SCHEMA_URL.split("/").at(-1)} of the semantic conventions`));
    assertEquals([BUCKETS[0], BUCKETS.at(-1)], [0.005, 10]);
  });
});
