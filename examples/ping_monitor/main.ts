/**
 * Watches servers: how long they take to answer, and how many pings they leave unanswered, live in the terminal.
 *
 *     node examples/ping_monitor/main.ts                            four servers of its own, three with bad cables
 *     node examples/ping_monitor/main.ts HOST:PORT wss://HOST/PATH …
 *         [--interval MS]   the time between two pings, 250 by default
 *         [--count N]       ends after so many
 *
 * It runs on Bun and Deno, too. The exit code is 1 if a server has answered no ping.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { rehearse } from "./rehearsal.ts";
import { tableOf } from "./table.ts";
import { Target } from "./target.ts";

const REDRAW = 100;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { interval: { type: "string", default: "250" }, count: { type: "string", default: "Infinity" } },
});

/** Returns the server that an argument names. */
function targetOf(text: string): Target {
  if (/^wss?:/.test(text)) return new Target(text, { url: text });
  const [, hostname, port] = /^(.*):(\d+)$/.exec(text) ?? [];
  if (hostname === undefined) throw new TypeError(`Cannot watch "${text}": it is no HOST:PORT and no URL`);
  return new Target(text, { hostname: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port) });
}

/** Shows the table until `signal` is aborted. Without a terminal, it is printed once, at the end. */
async function show(targets: readonly Target[], signal: AbortSignal): Promise<void> {
  const { stdout } = process;
  if (stdout.isTTY) {
    stdout.write("\x1b[?25l\x1b[?7l"); // No cursor, and lines that are too long end at the edge.
    while (!signal.aborted) {
      const lines = tableOf(targets);
      stdout.write(`${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[${lines.length}A`);
      await sleep(REDRAW, undefined, { signal }).catch(() => {});
    }
    stdout.write("\x1b[?25h\x1b[?7h\x1b[J");
  } else if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  for (const line of tableOf(targets)) console.log(line);
}

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());
const stopped = new AbortController();

await using rehearsal = positionals.length === 0 ? await rehearse() : undefined;
const targets = rehearsal?.targets ?? positionals.map(targetOf);
if (rehearsal !== undefined) {
  console.log("Four servers on this machine, three at the end of bad cables; Ctrl+C ends it");
}
const shown = show(targets, stopped.signal);
await Promise.all(targets.map((one) => one.watch(Number(values.interval), Number(values.count), stop.signal)));
stopped.abort();
await shown;
if (targets.some(({ sent, lost }) => lost === sent)) process.exitCode = 1;
