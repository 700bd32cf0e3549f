/**
 * Sessions survive their connections: whatever cuts them, everything comes once and in order. The parts are picked with
 * `--part`.
 *
 * @module
 */

import type { Context, Scenario } from "./scenario.ts";
import { load } from "./resume/load.ts";
import {
  comeback,
  cross,
  full,
  hundreds,
  large,
  leavers,
  memory,
  oldLinks,
  overtaken,
  still,
  unspoken,
} from "./resume/parts.ts";

/** A part; returns its figures. */
type Part = (context: Context) => Promise<string>;

/** The parts by name. In the short form those of a row run at the same time. */
const ROWS: readonly Readonly<Record<string, Part>>[] = [
  { load, cross, overtaken, unspoken, oldLinks, large, leavers, full },
  { still },
  { hundreds, memory, comeback },
];
/** Parts that the short form leaves out: they measure, or take long. */
const LONG: readonly string[] = ["hundreds", "memory", "comeback"];

/** See the module. */
export const resume: Scenario = {
  name: "resume",
  limit: { short: 120_000, full: 1_800_000 },
  async run(context: Context): Promise<string> {
    const { parts, short, verdict } = context;
    let ran = 0;
    const one = async (name: string, part: Part): Promise<void> => {
      const before = verdict.failures.length;
      const start = performance.now();
      const figures = await part(context);
      const seconds = ((performance.now() - start) / 1_000).toFixed(1);
      context.say(verdict.failures.length === before, `${name}: ${figures}, ${seconds} s`);
      ran++;
    };
    for (const row of ROWS) {
      const wanted = Object.entries(row).filter(([name]) => parts?.includes(name) ?? !(short && LONG.includes(name)));
      if (short) await Promise.all(wanted.map(([name, part]) => one(name, part)));
      else for (const [name, part] of wanted) await one(name, part);
    }
    verdict.check(ran > 0, `there are ${ROWS.flatMap((row) => Object.keys(row)).join(", ")}`);
    return `${ran} parts`;
  },
};
