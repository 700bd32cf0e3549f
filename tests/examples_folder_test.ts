/**
 * The example that sends a folder, as a user starts it on this runtime: a transfer that is cut in the middle, and one that
 * goes on with what an earlier attempt has left.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { it } from "@std/testing/bdd";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { file } from "../examples/folder/contract.ts";
import { receiveFiles } from "../examples/folder/receiver.ts";
import { RemoteError } from "../mod.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { describeOnPosix } from "./posix.ts";
import { outputOf } from "./processes/output.ts";
import { streamPeers } from "./streams_support.ts";

/** How long a program may take, in milliseconds. */
const LIMIT = 50_000;

/** Starts the example. */
function start(...args: string[]): ChildProcess {
  const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
  return spawn(process.execPath, [...flags, "examples/folder/main.ts", ...args], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT,
    killSignal: "SIGKILL",
  });
}

/** Returns the port that a receiver prints. */
function portOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout!.on("data", (part) => {
      const port = /at port (\d+)/.exec(`${part}`)?.[1];
      if (port !== undefined) resolve(port);
    });
    child.on("close", () => reject(new Error("The receiver ended")));
  });
}

function temporary(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "folder-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describeOnPosix("examples/folder", () => {
  it("goes on in the middle of a file after a cut", async () => {
    const { code, text } = await outputOf(start());
    const [head, ...lines] = text.trimEnd().split(/\r?\n/);
    assertEquals([head, lines.at(-1), code], ["3 files, 29 MB", "Both folders are the same", 0]);
    const lineOf = (name: string): string => lines.find((line) => line.startsWith(name)) ?? "";
    // The receiver had at least half of it.
    assertMatch(lineOf("film.mp4"), /^film\.mp4 {6}\[={12}[=#]{12}\] 100 % {2}24 MB {2}SHA-256 256aa94585d0…$/);
    assertMatch(lineOf("more/song.ogg"), /\[[=#]{24}\] 100 % {2}5 MB {2}SHA-256 3fd8036f9e52…$/);
    assertMatch(lineOf("more/note.txt"), /\[={24}\] 100 % {2}0 B {2}SHA-256 e3b0c44298fc…$/);
    const lost = lines.filter((line) => /the connection is closed \((network-error|peer-closed)\)$/.test(line));
    assert(lost.length > 0, text);
  });

  it("goes on with what an earlier process has left, and leaves nothing else", async () => {
    using folder = temporary();
    const [from, to] = [join(folder.path, "from"), join(folder.path, "to")];
    for (const path of [from, to]) mkdirSync(path);
    const content = new Uint8Array(1_000_000).map((_, i) => i * 7 + (i >> 9));
    writeFileSync(join(from, "a.bin"), content);
    writeFileSync(join(to, `a.bin.${sha256(content).slice(0, 16)}.part`), content.subarray(0, 750_000));
    const whole = content.subarray(0, 5_000);
    writeFileSync(join(from, "b.bin"), whole);
    writeFileSync(join(to, `b.bin.${sha256(whole).slice(0, 16)}.part`), whole);

    const receiver = start("receive", to, "0");
    const received = outputOf(receiver);
    const port = await portOf(receiver);
    const sent = await outputOf(start("send", from, port));
    receiver.kill("SIGINT");
    // Deno reports the signal in place of the exit code.
    assertEquals((await received).text.trim().split(/\r?\n/), [`Receiving at port ${port}; Ctrl-C ends it`, "Closed"]);
    assertEquals([sent.code, sent.text.includes(`a.bin [${"=".repeat(18)}######] 100 %`)], [0, true], sent.text);
    assert(sent.text.includes(`b.bin [${"=".repeat(24)}] 100 %`), sent.text);
    assertEquals(readdirSync(to), ["a.bin", "b.bin"]);
    assertEquals(sha256(readFileSync(join(to, "a.bin"))), sha256(content));
  });

  it("says what is wrong with a file that changed, and begins it anew", async () => {
    using folder = temporary();
    await using peers = await streamPeers();
    receiveFiles(peers.server, folder.path);
    const head = { path: "a/b.txt", sha256: sha256(new Uint8Array([1, 2])) };
    for (const [bytes, start] of [[[1, 3], 0], [[1, 2], 0]]) {
      const stream = peers.client.open(file, head);
      assertEquals((await stream.readable.getReader().read()).value, start);
      const writer = stream.writable.getWriter();
      await writer.write(Uint8Array.from(bytes as number[]));
      await writer.close();
      assertEquals(await stream.result, sha256(Uint8Array.from(bytes as number[])));
    }
    assertEquals(readdirSync(join(folder.path, "a")), ["b.txt"]);
  });

  it("takes no file outside of its folder", async () => {
    using folder = temporary();
    const inside = join(folder.path, "inside");
    mkdirSync(inside);
    await using peers = await streamPeers();
    receiveFiles(peers.server, inside);
    const empty = sha256(new Uint8Array(0));
    for (const path of ["../x", "a/../../x", join(folder.path, "x"), "../inside2/x", "", ".", "x\0", 5 as never]) {
      const stream = peers.client.open(file, { path, sha256: empty });
      await assertRejects(() => stream.result, RemoteError, "is no path below a folder");
    }
    await assertRejects(
      () => peers.client.open(file, { path: "x", sha256: "../../x" }).result,
      RemoteError,
      "its SHA-256 is none",
    );
    assertEquals([readdirSync(folder.path), readdirSync(inside)], [["inside"], []]);
    assert(!existsSync(join(folder.path, "x")));
  });
});
