/**
 * The examples of WebSockets beside HTTP servers and frameworks, as a user starts them on this runtime.
 *
 * @module
 */

import { Client } from "@veltix/core";
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { UPPER } from "../examples/frameworks/contract.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { RUNTIME_INDEX } from "./wire_support.ts";

/** How long a program may take, in milliseconds. */
const LIMIT = 50_000;
/** The examples of each runtime. */
const EXAMPLES = [
  ["bun", "node", "hono"],
  ["deno", "node", "hono"],
  ["node", "hono", "express", "fastify"],
][RUNTIME_INDEX];

function start(example: string): ChildProcess {
  const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
  return spawn(process.execPath, [...flags, `examples/frameworks/${example}.ts`, "0"], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "inherit"],
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
    child.on("close", () => reject(new Error("The program ended")));
  });
}

describe("examples/frameworks", () => {
  for (const example of EXAMPLES) {
    it(`${example} serves a page, and WebSockets beside it`, async () => {
      const child = start(example);
      const ended = new Promise((resolve) => child.on("close", resolve));
      try {
        const url = await urlOf(child);
        assertEquals(await fetch(url).then((response) => response.text()), "A page\n");
        await using client = new Client({ url: `${url.replace("http", "ws")}veltix?room=7` });
        await client.connect();
        assertEquals(await client.request(UPPER, "hello"), "HELLO");
        await using other = new Client({ url: `${url.replace("http", "ws")}other` });
        assertEquals(await other.connect().then(() => "connected", () => "refused"), "refused");
      } finally {
        child.kill("SIGKILL");
        await ended;
      }
    });
  }
});
