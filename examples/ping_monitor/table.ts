/**
 * The table: a line for each server, 78 columns wide.
 *
 * @module
 */

import process from "node:process";
import { styleText } from "node:util";
import type { Target } from "./target.ts";

const BARS = "▁▂▃▄▅▆▇█";
/** How many of the last pings a line shows. */
const SHOWN = 20;
const HEAD = `${"server".padEnd(20)} ${"".padEnd(4)} ${"loss".padStart(6)} ${
  ["p50", "p95", "p99"].map((name) => name.padStart(7)).join(" ")
}  the last ${SHOWN} pings`;

/** Returns the lines of the table. */
export function tableOf(targets: readonly Target[]): string[] {
  return [style("dim", HEAD), ...targets.map(lineOf)];
}

function lineOf(target: Target): string {
  const loss = target.sent === 0 ? 0 : 100 * target.lost / target.sent;
  const name = target.name.length > 20 ? `${target.name.slice(0, 19)}…` : target.name.padEnd(20);
  return [
    name,
    style(target.up ? "green" : "red", target.up ? "up  " : "away"),
    style(loss === 0 ? "dim" : "red", `${loss.toFixed(loss < 99.95 ? 1 : 0)} %`.padStart(6)),
    ...[0.5, 0.95, 0.99].map((part) => time(target.percentile(part)).padStart(7)),
    ` ${target.pings.slice(-SHOWN).map(bar).join("")}`,
  ].join(" ");
}

/** Returns a time with three digits. */
function time(ms: number | undefined): string {
  if (ms === undefined) return "–";
  return ms < 1 ? `${Math.round(1_000 * ms)} µs` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** Returns one letter for a ping: two of the eight heights more are ten times as long. */
function bar(ping: number | undefined): string {
  if (ping === undefined) return style("red", "×");
  const height = Math.floor(2 * Math.log10(ping / 0.1)); // The lowest is up to 0.3 ms, the highest from 316 ms on.
  return BARS[Math.min(BARS.length - 1, Math.max(0, height))];
}

function style(format: "dim" | "red" | "green", text: string): string {
  return styleText(format, text, { stream: process.stdout });
}
