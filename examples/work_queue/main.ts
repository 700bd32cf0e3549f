/**
 * A queue of jobs for worker processes, and a producer that has more jobs than they can do at once.
 *
 *     node examples/work_queue/main.ts [--jobs N] [--workers N] [--size N] [--port PORT]     or bun …, or deno run -A …
 *
 * Ctrl+C ends it gently: no more jobs are taken, and those that were taken are finished.
 *
 * @module
 */

import { Client, RemoteError, Server } from "@veltix/core";
import process from "node:process";
import { parseArgs, styleText } from "node:util";
import { contract, type Job, type Outcome } from "./contract.ts";
import { Crew } from "./crew.ts";
import { WorkQueue } from "./queue.ts";

const number = (value: string): { type: "string"; default: string } => ({ type: "string", default: value });
const { values } = parseArgs({
  options: { jobs: number("400"), workers: number("3"), size: number("100000"), port: number("0") },
});
const [jobs, workers, size] = [values.jobs, values.workers, values.size].map(Number);
const REDRAW = 100;
const WIDTH = 30;

const server = new Server({ hostname: "127.0.0.1", port: Number(values.port) });
const queue = new WorkQueue(server);
await server.start();
const [address] = server.addresses;
const port = "port" in address ? address.port : 0;

/** Prints a line that stays, above the bar. */
function say(line: string): void {
  if (process.stdout.isTTY) process.stdout.write("\r\x1b[K");
  console.log(line);
}

/** Draws the bar. Without a terminal there is none. */
function draw(): void {
  if (!process.stdout.isTTY) return;
  const { taken, done, givenUp } = queue.counts;
  const cells = Math.round(WIDTH * (done + givenUp) / jobs);
  const bar = "#".repeat(cells).padEnd(Math.round(WIDTH * taken / jobs), "-").padEnd(WIDTH, ".");
  process.stdout.write(`\r[${bar}] ${done + givenUp} of ${jobs} jobs, ${queue.waiting} wait for a worker\x1b[K`);
}

/** Sends the jobs, as long as the queue takes some. A write settles when there is room for the next job. */
async function produce(writable: WritableStream<Job>): Promise<void> {
  const writer = writable.getWriter();
  try {
    for (let id = 1; id <= jobs; id++) await writer.write({ id, upTo: size });
    await writer.close();
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error; // Else the queue takes no more jobs.
  }
}

/** Reads outcomes until the last job is finished, and checks them. */
async function collect(outcomes: AsyncIterable<Outcome>): Promise<void> {
  const seen = new Set<number>();
  for await (const outcome of outcomes) {
    if (seen.has(outcome.id)) throw new Error(`Job ${outcome.id} has two outcomes`);
    seen.add(outcome.id);
    if ("error" in outcome) say(`job ${outcome.id} is given up after ${outcome.attempts} attempts: ${outcome.error}`);
  }
}

console.log(`The queue is at port ${port}, with ${workers} workers; Ctrl+C ends it`);
const crew = new Crew(port, workers, (name, code) => say(`${name} has crashed (${code}), and is started anew`));
/** Lets what was taken be finished. A second Ctrl+C ends the program at once, and the workers after their jobs. */
function finish(): void {
  say("Stopping: the jobs that were taken are finished");
  queue.stop();
}
process.once("SIGINT", finish);
process.once("SIGTERM", finish);
const drawing = setInterval(draw, REDRAW);

const client = new Client({ hostname: "127.0.0.1", port });
await client.connect();
const stream = client.open(contract.jobs);
await Promise.all([produce(stream.writable), collect(stream.readable)]);
clearInterval(drawing);
draw();

await crew.stop();
await client.close();
await server.close();
const { taken, done, givenUp, retries } = queue.counts;
const left = jobs === taken ? "" : `, ${jobs - taken} not taken`;
say(styleText("bold", `${done} jobs done, ${givenUp} given up${left}`, { stream: process.stdout }));
console.log(`${retries} attempts were repeated; ${crew.crashes} workers have crashed`);
if (done + givenUp !== taken) process.exitCode = 1;
