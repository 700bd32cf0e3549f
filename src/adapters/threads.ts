/**
 * Threads through `node:worker_threads`, which Deno, Bun and Node all have. It reports what a thread threw and how it
 * ended, ends a thread that is stuck in a loop, and transfers buffers. Node has no Web `Worker`. The one of Deno and
 * Bun is not faster.
 *
 * @module
 */

import type * as WorkerThreads from "node:worker_threads";
import { builtinModule } from "../base/builtin_module.ts";
import type { Thread, ThreadEvents, Threads } from "../thread_seam.ts";
import { checkBuiltin } from "./runtime.ts";
import { runtimeClock } from "./runtime_loop.ts";

const THREADS = builtinModule("node:worker_threads") as typeof WorkerThreads;

/**
 * Returns the threads of this runtime.
 *
 * @throws {ConfigError} `unsupported`, where there is no such module, as in browsers.
 */
export function workerThreads(): Threads {
  checkBuiltin("node:worker_threads", "workerRoute() cannot start threads", "use route()");
  return { cores: globalThis.navigator?.hardwareConcurrency ?? 1, clock: runtimeClock(), start };
}

/** The start of each script: it gets the script its data and the port to the program. */
const PORT = `const { parentPort, workerData } = globalThis.process.getBuiltinModule("node:worker_threads");\n`;

function start(source: string, data: unknown, events: ThreadEvents): Thread {
  const worker = new THREADS.Worker(PORT + source, { eval: true, workerData: data });
  let thrown: Error | undefined;
  let over = false;
  worker.on("message", (value) => events.message(value));
  worker.on("messageerror", (error) => thrown ??= error);
  // Anything can be thrown.
  worker.on("error", (error: unknown) => thrown ??= error instanceof Error ? error : new Error(String(error)));
  worker.on("exit", (code) => {
    if (over) return;
    over = true;
    events.exit(thrown ?? new Error(`The thread ended with exit code ${code}`));
  });
  // Only now: adding a listener for messages undoes `unref`.
  worker.unref();
  return {
    post(value, transfer): void {
      if (!over) worker.postMessage(value, [...transfer]);
    },
    async terminate(): Promise<void> {
      if (!over) await worker.terminate();
    },
  };
}
