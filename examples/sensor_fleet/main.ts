/**
 * A hub and a fleet of simulated devices in a few processes, with a summary that is drawn live.
 *
 *     node examples/sensor_fleet/main.ts [--devices N] [--processes N]     or bun …, or deno run -A …
 *
 * @module
 */

import { Client, HandshakeError } from "@veltix/core";
import { Identity } from "@veltix/core/encryption";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Setup } from "./devices.ts";
import { type MadeDevice, makeDevices } from "./factory.ts";
import { Hub } from "./hub.ts";
import { Summary } from "./summary.ts";

const REDRAW = 1_000;
const SCRIPT = fileURLToPath(new URL("./devices.ts", import.meta.url));
const RUN = "Deno" in globalThis ? ["run", "-A"] : [];

const { values } = parseArgs({
  options: { devices: { type: "string", default: "1000" }, processes: { type: "string", default: "4" } },
});
const { stdout } = process;

/** Starts a process with some devices. It ends when its input does, also if this program is killed. */
function startDevices(setup: Setup): ChildProcess {
  const child = spawn(process.execPath, [...RUN, SCRIPT], { stdio: ["pipe", "inherit", "inherit"], detached: true });
  child.stdin!.on("error", () => {}); // It has ended.
  child.stdin!.write(`${JSON.stringify(setup)}\n`);
  return child;
}

/** Tries to get in with an identity that nobody knows. Returns what it is told. */
async function tryStranger(port: number, hub: string): Promise<string> {
  const identity = await Identity.generate();
  const stranger = new Client({ hostname: "127.0.0.1", port, encryption: { identity, trust: hub } });
  try {
    await stranger.connect();
    return "welcome";
  } catch (error) {
    if (!(error instanceof HandshakeError)) throw error;
    return error.code;
  } finally {
    await stranger.close();
  }
}

/** Shows the summary until the end. Without a terminal, it is printed once all devices have told something. */
async function show(summary: Summary, hub: Hub, count: number, signal: AbortSignal): Promise<void> {
  let printed = false;
  for (;;) {
    await sleep(stdout.isTTY ? REDRAW : REDRAW / 10, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    const weak = await hub.restartWeakest().catch(() => undefined); // It may just have left.
    const lines = summary.lines();
    if (stdout.isTTY) {
      if (weak !== undefined) console.log(`Device ${weak.id} in ${weak.site} has a new battery\x1b[K`);
      stdout.write(`${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[${lines.length}A`);
    } else if (!printed && hub.last.size === count) {
      printed = true;
      for (const line of lines) console.log(line);
    }
  }
  if (stdout.isTTY) { for (const line of summary.lines()) console.log(`${line}\x1b[K`); }
}

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());

const { made, known } = await makeDevices(Number(values.devices));
const identity = await Identity.generate();
const hub = new Hub(identity, known);
await hub.server.start();
const [address] = hub.server.addresses;
const port = "port" in address ? address.port : 0;
console.log(`The hub is at port ${port}; its fingerprint is ${identity.fingerprint}; Ctrl+C ends it`);
console.log(`A device that nobody knows is told: ${await tryStranger(port, identity.publicKey)}`);

const shares: MadeDevice[][] = Array.from({ length: Number(values.processes) }, () => []);
made.forEach((device, i) => shares[i % shares.length].push(device));
const children = shares.map((devices) => startDevices({ port, hub: identity.publicKey, devices }));
await show(new Summary(hub, [...known.values()]), hub, known.size, stop.signal);

await Promise.all(children.map((child) => {
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.stdin!.end();
  return child.exitCode ?? ended;
}));
await hub.server.close();
console.log("The fleet is switched off");
