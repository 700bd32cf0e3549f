/**
 * `deno task interop:noise [--messages N] [--runtime deno,bun,node]`: our encryption against the Python package
 * `noiseprotocol`, unchanged, as client and as server, with both suites, on each runtime. Ends with `N passed, N failed`.
 *
 * @module
 */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { bringRuntimes, describeProblem, ROOT, RUNTIME_NAMES, type RuntimeName } from "../../scripts/runtimes.ts";
import { nodeTransport } from "../../src/adapters/node.ts";
import { encryption } from "../../src/encryption/encrypt.ts";
import { Identity } from "../../src/encryption/identity.ts";
import { PeerKey } from "../../src/encryption/public_key.ts";
import type { TcpEndpoint } from "../../src/base/address.ts";
import type { Connection } from "../../src/transport.ts";
import { PYTHON } from "./install.ts";

const PACKAGES = ["noiseprotocol==0.3.1", "cryptography==46.0.3"];
const FOLDER = `${ROOT}.tmp/python/noise`;
const PEER = fileURLToPath(new URL("./noise_peer.py", import.meta.url));
const SUITES = [1, 2];
const LIMIT = 120_000;
const utf8 = new TextEncoder();
/** Nobody else waits. */
const TURNS = { step: () => undefined, begin: () => 0, end: () => {} };

const { values } = parseArgs({
  options: { messages: { type: "string" }, runtime: { type: "string" }, here: { type: "boolean" } },
});
const messages = Number(values.messages ?? 10_000);
process.exitCode = values.here ? await here() : await everywhere();

/** Runs the checks on each runtime. */
async function everywhere(): Promise<number> {
  const required = process.env.VELTIX_REQUIRE_ALL === "1";
  let passed = 0;
  let failed = 0;
  try {
    await install();
  } catch (error) {
    console.log(`${required ? "FAILED" : "SKIPPED"}: cannot install ${PACKAGES.join(" and ")}: ${error}`);
    console.log(`0 passed, ${required ? 1 : 0} failed`);
    return required ? 1 : 0;
  }
  const names = (values.runtime?.split(",") ?? RUNTIME_NAMES) as RuntimeName[];
  for (const runtime of bringRuntimes(names)) {
    if (runtime.path === undefined) {
      console.log(`SKIPPED: ${describeProblem(runtime)}`);
      continue;
    }
    const file = fileURLToPath(import.meta.url);
    const args = [
      ...runtime.name === "deno" ? ["run", "-A", "--no-check"] : [],
      file,
      "--here",
      "--messages",
      `${messages}`,
    ];
    const { stdout } = await promisify(execFile)(runtime.path, args, { timeout: LIMIT }).catch((error) => error);
    console.log(`${runtime.name}\n${String(stdout).trimEnd()}`);
    const [, ok = "0", bad = "1"] = /(\d+) passed, (\d+) failed\s*$/.exec(String(stdout)) ?? [];
    passed += Number(ok);
    failed += Number(bad);
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}

/** Runs the checks on this runtime. */
async function here(): Promise<number> {
  let failed = 0;
  for (const suite of SUITES) {
    for (const [role, check] of [["server", withServer], ["client", withClient]] as const) {
      try {
        await check(suite);
        console.log(`  ok     suite ${suite}, Python is the ${role}: ${messages} messages each way`);
      } catch (error) {
        failed++;
        console.log(`  FAILED suite ${suite}, Python is the ${role}: ${(error as Error).stack}`);
      }
    }
  }
  console.log(`${2 * SUITES.length - failed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}

/** Python listens, and sends back what comes. */
async function withServer(suite: number): Promise<void> {
  const peer = start("server", suite);
  const [port, key] = (await peer.line()).split(" ");
  const trust = new PeerKey(Uint8Array.from(key.match(/../g)!, (hex) => parseInt(hex, 16))).publicKey;
  const client = encryption().client({ trust, identity: await Identity.generate() });
  const to = { hostname: "127.0.0.1", port: Number(port) };
  const raw = await nodeTransport().connect(to);
  const connection = await client.connect(
    raw,
    to,
    (greeting) => utf8.encode(`answer to ${new TextDecoder().decode(greeting)}`),
  );
  const sizes = Array.from({ length: messages }, (_, i) => 1 + i * 7 % 900);
  const reading = readAll(connection);
  let sum = 0;
  for (const size of sizes) {
    await connection.write(new Uint8Array(size).fill(size));
    sum += size;
  }
  await connection.closeWrite();
  const got = await reading;
  if (got.length !== sum) throw new Error(`${got.length} of ${sum} bytes came back`);
  let at = 0;
  for (const size of sizes) {
    for (let i = 0; i < size; i++) if (got[at++] !== (size & 255)) throw new Error(`byte ${at} is wrong`);
  }
  if (await peer.line() !== `done ${messages}`) throw new Error("Python received another number of records");
  await peer.over;
}

/** Python connects, and checks what comes back. */
async function withClient(suite: number): Promise<void> {
  const server = encryption().server({ identity: await Identity.generate() });
  const listener = await nodeTransport().listen({ hostname: "127.0.0.1", port: 0 });
  const peer = start("client", suite, (listener.address as TcpEndpoint).port);
  for await (const raw of listener) {
    await listener.close();
    const { connection, first } = await server.accept(raw, utf8.encode("greeting"), TURNS);
    if (new TextDecoder().decode(first) !== "answer to greeting") throw new Error("The first bytes are wrong");
    for (;;) {
      const chunk = await connection.read();
      if (chunk === null) break;
      await connection.write(chunk);
    }
    await connection.closeWrite();
  }
  if (await peer.line() !== `done ${messages}`) throw new Error("Python did not end in order");
  await peer.over;
}

async function readAll(connection: Connection): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = await connection.read();
    if (chunk === null) break;
    chunks.push(chunk);
  }
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Starts the Python end. `line` resolves with its next line, and rejects with what it complained of. */
function start(role: string, suite: number, port?: number): { line(): Promise<string>; over: Promise<void> } {
  const args = [PEER, role, `${suite}`, `${messages}`, ...port === undefined ? [] : [`${port}`]];
  const child: ChildProcess = spawn(PYTHON, args, { env: { ...process.env, PYTHONPATH: FOLDER } });
  let complaint = "";
  child.stderr!.on("data", (text) => complaint += text);
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const over = new Promise<void>((resolve) => child.on("close", () => resolve()));
  return {
    over,
    async line(): Promise<string> {
      const { value, done } = await lines.next();
      if (done) {
        await over;
        throw new Error(`Python ended: ${complaint}`);
      }
      return value;
    },
  };
}

async function install(): Promise<void> {
  if (existsSync(FOLDER)) return;
  mkdirSync(`${ROOT}.tmp/python`, { recursive: true });
  const made = mkdtempSync(`${ROOT}.tmp/noise-`);
  try {
    const options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"];
    await promisify(execFile)(PYTHON, ["-m", "pip", "install", ...options, "--target", made, ...PACKAGES], {
      timeout: LIMIT,
    });
    renameSync(made, FOLDER);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
