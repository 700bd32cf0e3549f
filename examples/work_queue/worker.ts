/**
 * A worker. Start as many as you like, also by hand and while the queue runs.
 *
 *     node examples/work_queue/worker.ts PORT [NAME]     or bun …, or deno run -A …
 *
 * Ctrl+C or SIGTERM end it gently: it finishes its job, and the queue gives it no other one.
 *
 * @module
 */

import { Client, errorOf } from "@veltix/core";
import process from "node:process";
import { setImmediate as turn } from "node:timers/promises";
import { contract, type Task } from "./contract.ts";

const [port, name = `worker ${process.pid}`] = process.argv.slice(2);
const client = new Client({ hostname: "127.0.0.1", port: Number(port), reconnect: true });

client.route(contract.work, async ({ data: task, signal }) => {
  misbehave(task);
  return await countPrimes(task.upTo, signal);
});
client.on("connect", () => client.send(contract.ready, name));

/** Counts prime numbers. A request that is given up ends it. */
async function countPrimes(upTo: number, signal: AbortSignal): Promise<number> {
  let count = 0;
  for (let n = 2; n <= upTo; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor++;
    if (divisor * divisor > n) count++;
    if (n % 20_000 !== 0) continue;
    await turn(); // The connection gets its turn, too: pings are answered, and `signal` is told.
    signal.throwIfAborted();
  }
  return count;
}

/** Makes some trouble, so that there is something to see. */
function misbehave({ id, attempt }: Task): void {
  if (id === 13) process.exit(13); // A job that kills each worker.
  if (id % 10 === 0 && attempt === 1) throw errorOf(contract.work, "out-of-luck", "Out of luck, try again");
}

let stopped = false;

/** Finishes what it does, and leaves. */
function stop(): void {
  stopped = true;
  void client.close({ drain: 30_000 });
}

process.once("SIGTERM", stop);
process.once("SIGINT", stop);
// A program that has started it, and has ended in whatever way, does not leave it behind.
if (!process.stdin.isTTY) process.stdin.on("end", stop).resume();
await client.connect().catch(({ message }: Error) => {
  if (stopped) return;
  console.error(message);
  process.exitCode = 1;
});
client.on("disconnect", ({ permanent }) => permanent && process.stdin.destroy());
