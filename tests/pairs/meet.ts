/**
 * Clients and servers that meet in the tests of pairs: in one process, and in two.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { describeProblem, findRuntimes, ROOT, type Runtime } from "../../scripts/runtimes.ts";
import { Checks, CLIENT_CHECKS, type Result, SERVER_CHECKS, SURVIVES } from "./contract.ts";
import { type Protection, serverOf, wayTo } from "./protection.ts";
import { serve } from "./server.ts";
import { SURVIVORS } from "./survive.ts";
import { talk } from "./talk.ts";

/** Checks that all were made, in order; a failure says which and why. */
function assertAll(side: string, results: readonly Result[], checks: readonly string[], more: string = ""): void {
  const failed = results.find(({ ok }) => !ok);
  if (failed !== undefined) throw new Error(`The ${side} failed at "${failed.check}": ${failed.error}\n${more}`);
  assertEquals(results.map(({ check }) => check), [...checks], `The ${side} did not make all checks\n${more}`);
}

/** A program of a pair at work. */
interface Program {
  readonly results: Result[];
  /** The port that its first result tells; 0 when it ends without. */
  readonly port: Promise<number>;
  /** Settles when it ends. */
  readonly ended: Promise<{ readonly code: number | null; readonly noise: string }>;
  kill(): void;
}

function start(runtime: Runtime, protection: Protection, file: string, ...args: string[]): Program {
  const script = join(ROOT, "tests/pairs", file);
  const flags = runtime.name === "deno" ? ["run", "-A", "--no-check", script] : [script];
  const child = spawn(runtime.path!, [...flags, ...args], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1", VELTIX_PAIR: protection },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const results: Result[] = [];
  let noise = "";
  let line = "";
  let found = (_port: number): void => {};
  const port = new Promise<number>((resolve) => found = resolve);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (line + text).split("\n");
    line = lines.pop()!;
    for (const one of lines) {
      try {
        const result = JSON.parse(one) as Result;
        results.push(result);
        if (result.port !== undefined) found(result.port);
      } catch {
        noise += `${one}\n`;
      }
    }
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => noise += text);
  const ended = new Promise<{ code: number | null; noise: string }>((resolve) => {
    child.on("error", (error) => noise += error.message);
    child.on("close", (code) => {
      found(0);
      resolve({ code, noise: noise + line });
    });
  });
  return { results, port, ended, kill: () => void child.kill("SIGKILL") };
}

async function meet(client: Runtime, server: Runtime, protection: Protection): Promise<void> {
  const serving = start(server, protection, "server.ts");
  const port = await serving.port;
  if (port === 0) throw new Error(`The ${server.name} server did not start: ${(await serving.ended).noise}`);
  const talking = start(client, protection, "client.ts", String(port));
  const there = await talking.ended;
  const failed = talking.results.find(({ ok }) => !ok);
  // A server whose client failed is never told to close.
  if (failed !== undefined || there.code !== 0) serving.kill();
  const here = await serving.ended;
  const all = `${there.noise}${here.noise}`;
  assertAll(`${client.name} client`, talking.results, [
    ...SURVIVORS.includes(protection) ? [SURVIVES] : [],
    ...CLIENT_CHECKS,
  ], all);
  assertAll(`${server.name} server`, serving.results, SERVER_CHECKS, all);
  assertEquals([there.code, here.code, all], [0, 0, ""]);
}

/** Registers a test for each protection, in one process. */
export function meetInOne(protections: readonly Protection[]): void {
  for (const protection of protections) {
    it(`agree on everything in one process: ${protection}`, async () => {
      const [here, there]: Result[][] = [[], []];
      let found = (_port: number): void => {};
      const port = new Promise<number>((resolve) => found = resolve);
      const report = (result: Result): void => {
        here.push(result);
        found(result.port ?? 0);
      };
      const serving = serve(new Checks(report), serverOf(protection, { hostname: "127.0.0.1", port: 0 }));
      await talk(new Checks((result) => there.push(result)), wayTo(protection, await port)).catch(() => {});
      assertAll("client", there, CLIENT_CHECKS);
      await serving.catch(() => {});
      assertAll("server", here, SERVER_CHECKS);
    });
  }
}

/**
 * Registers a test for each pair of runtimes, in two processes. Each is tried with one protection, in which a runtime does
 * not meet itself; where nothing may be left out, with all of them, and in all pairs.
 *
 * @param protections All protections.
 * @param usual The one that is tried everywhere.
 * @param once True if each runtime meets only one other as a client, and another one as a server.
 */
export function meetInTwo(protections: readonly Protection[], usual: Protection, once: boolean): void {
  // One runtime is enough to start the others.
  if (!("Deno" in globalThis)) return;
  const runtimes = findRuntimes();
  const all = process.env.VELTIX_REQUIRE_ALL === "1";
  for (const protection of all ? protections : [usual]) {
    for (const [i, server] of runtimes.entries()) {
      for (const client of runtimes) {
        const name = `agree on everything in two: ${protection}, a ${client.name} client and a ${server.name} server`;
        const missing = [client, server].find(({ problem }) => problem !== undefined);
        if (!all && (client === server || once && client !== runtimes[(i + 1) % runtimes.length])) continue;
        if (missing === undefined) it(name, () => meet(client, server, protection));
        else it.skip(`${name}: ${describeProblem(missing)}`, () => {});
      }
    }
  }
}
