/**
 * The dashboard, as a user starts it on this runtime. Its page in a browser is tried where the browsers are.
 *
 * @module
 */

import { Client } from "@veltix/core";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { it } from "@std/testing/bdd";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { CONTRACT, type Sample } from "../examples/dashboard/contract.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { describeOnPosix } from "./posix.ts";
import { outputOf } from "./processes/output.ts";

/** How long the program may take, in milliseconds. */
const LIMIT = 50_000;

function start(...args: string[]): ChildProcess {
  const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
  return spawn(process.execPath, [...flags, "examples/dashboard/main.ts", ...args], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT,
    killSignal: "SIGKILL",
  });
}

/** Returns the URL that the program prints. */
function urlOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout!.on("data", (part) => {
      const url = /http:\S+/.exec(`${part}`)?.[0];
      if (url !== undefined) resolve(url);
    });
    child.on("close", () => reject(new Error("The dashboard ended")));
  });
}

describeOnPosix("examples/dashboard", () => {
  it("serves a page, streams its numbers to it, and ends when it is told to", async () => {
    const child = start("0", "--devices", "3");
    const output = outputOf(child);
    const url = await urlOf(child);

    const page = await fetch(url).then((response) => response.text());
    for (const [, path] of page.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
      const response = await fetch(new URL(path, url));
      assertEquals([response.status, (await response.text()).length > 1_000], [200, true], path);
      assertMatch(response.headers.get("content-type") ?? "", path.endsWith(".js") ? /javascript/ : /css/);
    }
    assertEquals((await fetch(new URL("/nothing", url)).then(async (one) => [one.status, await one.text()]))[0], 404);
    // Bun asks for "/" then, the others for "//", which is no URL.
    assert((await fetch(`${url}/`).then(async (one) => (await one.text(), one.status))) < 500);

    await using client = new Client({ url: `${url.replace("http", "ws")}veltix` });
    await client.connect();
    const samples: Sample[] = [];
    for await (const sample of client.open(CONTRACT.samples)) {
      samples.push(sample);
      // A device comes within ten seconds, and has sent something a second later.
      if (sample.messagesPerSecond > 0 && sample.latency.highest > 0) break;
    }
    const last = samples.at(-1)!;
    assert(last.connections >= 2 && last.memory > 1_000_000 && last.latency.median <= last.latency.highest);
    await client.close();

    child.kill("SIGTERM");
    const { code, text } = await output;
    assertEquals(text, `The dashboard is at ${url}\nThe dashboard is closed\n`);
    // Deno reports no code of a child that it has sent a signal.
    assertEquals(code, "Deno" in globalThis ? null : 0);
  });
});
