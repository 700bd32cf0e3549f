/**
 * Python programs that are killed at random moments, in the midst of traffic both ways: our side ends each connection with the
 * right reason, at once, and keeps nothing.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Client, ConnectionError, Server, type TcpEndpoint } from "@veltix/core";
import { existsSync, readdirSync } from "node:fs";
import { limited, sleep, until } from "../processes/waiting.ts";
import { Random } from "../wire_support.ts";
import { bulk, ECHO, LIMIT, SERIAL } from "./check.ts";
import { PythonPeer } from "./python_peer.ts";
import type { Release } from "./releases.ts";

/** What a killed program may look like: its system sends FIN, or RST where it had not read everything. */
const REASONS = ["peer-closed", "network-error"];
/** The longest wait before the kill, and the longest until it is noticed, in milliseconds. */
const MOMENT = 60;
const NOTICED = 20_000;

/**
 * Kills `count` programs, one after another, of all `releases` and both roles by turns; throws at the first wrong end. The same
 * `seed` gives the same moments.
 */
export async function killAtRandom(releases: readonly Release[], count: number, seed: number): Promise<void> {
  const before = descriptors();
  const random = new Random(seed);
  let killing = "";
  try {
    for (let i = 0; i < count; i++) {
      const release = releases[(i >> 1) % releases.length];
      const role = i % 2 === 0 ? "server" : "client";
      killing = `Kill ${i + 1}, of ${release.name} as ${role}`;
      await (role === "server" ? killServer : killClient)(release, random.below(MOMENT));
    }
    killing = "After all kills";
    // A runtime may close what is over a little later.
    await until("no descriptor is left", NOTICED, () => descriptors() <= before);
  } catch (error) {
    throw new Error(`${killing}, seed ${seed}: ${error}`, { cause: error });
  }
}

async function killServer(release: Release, moment: number): Promise<void> {
  const python = await PythonPeer.start(release, "server", { bufferSize: 65_536 });
  const protocol = release.handshake === "none" ? release.name : "auto";
  const recovery = release.tears || release.loses ? "resync" : undefined;
  const client = new Client({ port: python.port, protocol, recovery });
  const reasons: string[] = [];
  client.on("disconnect", ({ reason }) => reasons.push(reason));
  client.on("error", () => {});
  client.route(SERIAL, () => {});
  await client.connect();
  const ends = [...Array(3)].map(() => askOn((content) => client.request(ECHO, content)));
  const flood = python.call("number", { count: 100_000, size: 200 }).catch(() => {});
  await sleep(moment);
  await python.kill();
  await limited("the end is noticed", NOTICED, client.closed);
  for (const error of await limited("requests end", NOTICED, Promise.all(ends))) assertLost(error);
  assertEquals(client.state, "disconnected");
  await flood;
  assertMissedOnce(reasons);
}

async function killClient(release: Release, moment: number): Promise<void> {
  const recovery = release.tears || release.loses ? "resync" : undefined;
  const server = new Server({ port: 0, hostname: "127.0.0.1", protocol: release.name, recovery });
  const reasons: string[] = [];
  server.on("disconnect", (_, { reason }) => reasons.push(reason));
  server.on("error", () => {});
  server.route(SERIAL, () => {});
  await server.start();
  const [{ port }] = server.addresses as readonly TcpEndpoint[];
  const python = await PythonPeer.start(release, "clients", { port, bufferSize: 65_536 });
  assertEquals(await python.call("connect"), true);
  await until("it is there", LIMIT, () => server.clients.length === 1);
  const [info] = server.clients;
  const ends = [...Array(3)].map(() => askOn((content) => info.request(ECHO, content)));
  const flood = python.call("number", { count: 100_000, size: 200 }).catch(() => {});
  await sleep(moment);
  await python.kill();
  await until("the end is noticed", NOTICED, () => reasons.length > 0);
  for (const error of await limited("requests end", NOTICED, Promise.all(ends))) assertLost(error);
  assertEquals(server.clients.length, 0);
  await limited("the server closes", NOTICED, server.close());
  await flood;
  assertMissedOnce(reasons);
}

/** Asks again and again; returns what ended it. */
async function askOn(ask: (content: Uint8Array) => Promise<Uint8Array>): Promise<unknown> {
  for (let i = 0;; i++) {
    const content = bulk(i % 3_000);
    try {
      assertEquals(await ask(content), content);
    } catch (error) {
      return error;
    }
  }
}

/** One `disconnect`, with the right reason. */
function assertMissedOnce(reasons: readonly string[]): void {
  assert(reasons.length === 1 && REASONS.includes(reasons[0]), `disconnected ${reasons.length} times: ${reasons}`);
}

function assertLost(error: unknown): void {
  if (!(error instanceof ConnectionError)) throw error;
}

/** Open files and sockets of this process, where the system tells. */
function descriptors(): number {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}
