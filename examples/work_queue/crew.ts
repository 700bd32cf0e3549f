/**
 * Worker processes: each that crashes is started anew.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("./worker.ts", import.meta.url));
const RUN = "Deno" in globalThis ? ["run", "-A"] : [];

/** The workers of a queue. */
export class Crew {
  /** How many crashes there were. */
  crashes = 0;
  readonly #workers = new Map<string, ChildProcess>();
  readonly #port: number;
  readonly #onCrash: (name: string, code: number | null) => void;
  #stopping = false;

  /**
   * @param port Where the queue is.
   * @param size How many workers there are.
   * @param onCrash Called with the name of each that has crashed, and its exit code.
   */
  constructor(port: number, size: number, onCrash: (name: string, code: number | null) => void) {
    this.#port = port;
    this.#onCrash = onCrash;
    for (let i = 1; i <= size; i++) this.#start(`worker ${i}`);
  }

  /** Lets the workers finish what they do. Resolves when all of them have ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#workers.values()].map((worker) => {
      const ended = new Promise((resolve) => worker.once("close", resolve));
      worker.stdin!.end();
      return worker.exitCode ?? ended;
    }));
  }

  #start(name: string): void {
    const worker = spawn(process.execPath, [...RUN, SCRIPT, `${this.#port}`, name], {
      stdio: ["pipe", "inherit", "inherit"],
      detached: true, // Ctrl+C ends this program, which then lets its workers finish.
    });
    this.#workers.set(name, worker);
    worker.stdin!.on("error", () => {}); // It has ended.
    worker.once("close", (code) => {
      if (code !== 0) this.crashes++;
      if (this.#stopping) return;
      this.#onCrash(name, code);
      this.#start(name);
    });
  }
}
