/**
 * `deno task fuzz [--seed N] [--count N] [--from N] [--threads N]`: random, spoilt and hostile bytes for the decoder and both
 * ends of the handshakes. Every input comes from the seed and its number alone, so a failure is repeated by what its report
 * says. Exits with 1 at the first failure, and when one input takes more than ten seconds.
 *
 * @module
 */

import { availableParallelism } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Job, Report } from "./worker.ts";

const BATCH = 10_000;
const PROGRESS = 5_000;
const STALL = 10_000;

const text = { type: "string" } as const;
const { values } = parseArgs({ options: { seed: text, count: text, from: text, threads: text } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const from = Number(values.from ?? 0);
const count = Number(values.count ?? 10_000_000);
const threads = Math.min(Number(values.threads ?? availableParallelism()), Math.ceil(count / BATCH));
if (![seed, from, count, threads].every((value) => Number.isSafeInteger(value) && value >= 0) || threads === 0) {
  console.error("Cannot fuzz: --seed, --from, --count and --threads take whole numbers");
  process.exit(2);
}

const next = new Int32Array(new SharedArrayBuffer(4));
const current = new Float64Array(new SharedArrayBuffer(8 * threads)).fill(-1);
const start = performance.now();

function megabytes(): string {
  return `${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`;
}

function fail(index: number, what: string): never {
  console.error(`Input ${index} ${what}`);
  console.error(`Repeat it: deno task fuzz --seed ${seed} --from ${index} --count 1`);
  process.exit(1);
}

/** Looks now and then how far the threads are, and whether one of them hangs. */
function watch(): () => void {
  let before = current.slice();
  const progress = setInterval(() => {
    const done = Math.min(count, Atomics.load(next, 0) * BATCH);
    const rate = Math.round(done / (performance.now() - start));
    console.log(`${done.toLocaleString("en")} inputs, ${rate},000 a second, memory ${megabytes()}`);
  }, PROGRESS);
  const stall = setInterval(() => {
    current.forEach((index, thread) => {
      if (index >= 0 && index === before[thread]) fail(index, `hangs: it takes more than ${STALL / 1000} s`);
    });
    before = current.slice();
  }, STALL);
  return () => {
    clearInterval(progress);
    clearInterval(stall);
  };
}

function run(thread: number): Promise<void> {
  const workerData: Job = { seed, from, count, batch: BATCH, next, current, thread };
  return new Promise((resolve) => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData });
    worker.once("error", (error) => fail(current[thread], `ended its thread: ${error.stack}`));
    worker.once("message", (report: Report) => {
      if (report !== undefined) fail(report.index, `(${report.kind}) failed: ${report.error}`);
      resolve();
    });
  });
}

console.log(`seed ${seed}, inputs ${from} to ${from + count - 1}, ${threads} threads, memory ${megabytes()}`);
const stop = watch();
await Promise.all(Array.from({ length: threads }, (_, thread) => run(thread)));
stop();
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(`${count.toLocaleString("en")} inputs passed in ${seconds} s, memory ${megabytes()}`);
process.exit(0);
