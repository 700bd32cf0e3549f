/** Standard input and output as connections: between this program and real child processes, either way round. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import process from "node:process";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Connection, fromStdio, type StdioProcess } from "../mod.ts";
import { ASK, clientOver, noise, serve, talk } from "./accept_support.ts";
import { limited, sleep } from "./processes/waiting.ts";
import { join } from "./wire_support.ts";

const CHILD = fileURLToPath(new URL("./stdio_child.ts", import.meta.url));
const FLAGS = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
/** How long a child may take, in milliseconds. */
const LIMIT = 50_000;

/** A child that plays a role. */
interface Child extends AsyncDisposable {
  readonly streams: StdioProcess;
  readonly exited: Promise<number | null>;
  /** Waits until the standard error has a text. Returns all of it. */
  says(text: string): Promise<string>;
  kill(signal: "SIGKILL" | "SIGUSR2"): void;
}

type Start = (role: string) => Child;

function watch(
  streams: StdioProcess,
  exited: Promise<number | null>,
  errors: AsyncIterable<Uint8Array>,
  kill: Child["kill"],
): Child {
  let said = "";
  let over = false;
  const listening = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of errors) said += decoder.decode(chunk, { stream: true });
  })().finally(() => over = true);
  return {
    streams,
    exited: limited("the exit of the child", LIMIT, exited),
    says: async (text) => {
      const end = performance.now() + LIMIT;
      while (!said.includes(text)) {
        if (over || performance.now() > end) throw new Error(`The child did not say "${text}", but: ${said}`);
        await sleep(5);
      }
      return said;
    },
    kill,
    async [Symbol.asyncDispose](): Promise<void> {
      kill("SIGKILL");
      await exited;
      await listening;
    },
  };
}

/** What a program for Deno starts children with. */
interface DenoApi {
  readonly Command: new (path: string, options: object) => { spawn(): DenoChild };
}
interface DenoChild extends StdioProcess {
  readonly status: Promise<{ readonly code: number }>;
  readonly stderr: ReadableStream<Uint8Array>;
  kill(signal: string): void;
}
/** What a program for Bun starts children with. */
interface BunApi {
  spawn(command: readonly string[], options: object): BunChild;
}
interface BunChild extends StdioProcess {
  readonly exited: Promise<number>;
  readonly stderr: ReadableStream<Uint8Array>;
  kill(signal: string): void;
}

const { Deno: deno, Bun: bun } = globalThis as unknown as { Deno?: DenoApi; Bun?: BunApi };

/** The ways to start a child here. */
const WAYS: Record<string, Start> = {
  "child_process.spawn()": (role) => {
    const child = spawn(process.execPath, [...FLAGS, CHILD, role], { stdio: "pipe" });
    const exited = new Promise<number | null>((resolve) => child.on("exit", resolve));
    // `kill` of the child itself closes its pipes on Deno.
    const runs = (): boolean => child.exitCode === null && child.signalCode === null;
    const kill = (signal: string): void => void (runs() && process.kill(child.pid!, signal));
    return watch(child, exited, child.stderr, kill);
  },
};
if (deno !== undefined) {
  WAYS["Deno.Command"] = (role) => {
    const pipes = { stdin: "piped", stdout: "piped", stderr: "piped" };
    const child = new deno.Command(process.execPath, { args: [...FLAGS, CHILD, role], ...pipes }).spawn();
    let over = false;
    const exited = child.status.then(({ code }) => (over = true, code));
    return watch(child, exited, child.stderr, (signal) => over || child.kill(signal));
  };
}
if (bun !== undefined) {
  WAYS["Bun.spawn()"] = (role) => {
    const pipes = { stdin: "pipe", stdout: "pipe", stderr: "pipe" };
    const child = bun.spawn([process.execPath, CHILD, role], pipes);
    return watch(child, child.exited, child.stderr, (signal) => child.kill(signal));
  };
}

/** Reads all that comes. */
async function readAll(connection: Connection): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await connection.read(); chunk !== null; chunk = await connection.read()) chunks.push(chunk);
  return join(...chunks);
}

for (const [way, start] of Object.entries(WAYS)) {
  describe(`a child of ${way}`, () => {
    it("may be a client of this program, and ends in order", async () => {
      await using served = await serve({ handshakeTimeout: LIMIT });
      await using child = start("client");
      served.server.accept(fromStdio(child.streams));
      const [client] = await limited("connecting", LIMIT, served.events.next("connect"));
      assertEquals(client.address, { path: "stdio" });
      assertEquals(await client.request(ASK, "child", { timeout: LIMIT }), "child!");
      const [, { reason }] = await limited("talking", LIMIT, served.events.next("disconnect"));
      assertEquals(reason, "going-away");
      assertEquals(await child.exited, 0);
      assertStringIncludes(await child.says("done"), "done");
      assertEquals(served.events.of("error"), []);
    });

    it("may be a server for this program, and ends in order", async () => {
      await using child = start("server");
      const client = clientOver(() => fromStdio(child.streams), { handshakeTimeout: LIMIT });
      await client.connect();
      await talk(client);
      await client.close();
      await child.says("lost: going-away");
      assertEquals(await child.exited, 0);
    });

    it("sends back 20 MB, and then both directions are over", async () => {
      await using child = start("echo");
      const connection = fromStdio(child.streams);
      const sent = noise(20_000_000);
      const buffer = new Uint8Array(70_000);
      const writing = (async () => {
        for (let at = 0; at < sent.length; at += buffer.length) {
          const part = sent.subarray(at, at + buffer.length);
          // The buffer is used again once its write has settled.
          buffer.set(part);
          await connection.write(buffer.subarray(0, part.length));
        }
        await connection.closeWrite();
      })();
      const back = await limited("the echo", LIMIT, readAll(connection));
      await writing;
      assertEquals(Buffer.compare(back, sent), 0, `${back.length} bytes`);
      assertEquals(await limited("the end", LIMIT, connection.closed), undefined);
      await child.says("over: undefined");
      assertEquals(await child.exited, 0);
    });

    // On Deno the end comes with the exit of the child.
    (deno === undefined ? it : it.skip)("may finish first, and read on", async () => {
      await using child = start("finishes");
      const connection = fromStdio(child.streams);
      assertEquals(await limited("what the child sends", LIMIT, readAll(connection)), noise(100_000));
      await connection.write(new Uint8Array(300_000));
      await connection.closeWrite();
      await child.says("read 300000");
      await child.says("over: undefined");
      assertEquals(await limited("the end", LIMIT, connection.closed), undefined);
      assertEquals(await child.exited, 0);
    });

    it("slows this program down while it does not read", async () => {
      await using child = start("deaf");
      const connection = fromStdio(child.streams);
      await child.says("waits");
      let written = 0;
      const size = 40_000_000;
      const writing = (async () => {
        for (; written < size; written += 100_000) await connection.write(new Uint8Array(100_000));
        await connection.closeWrite();
      })();
      let before = -1;
      while (before !== written) {
        before = written;
        await sleep(100);
      }
      assert(written < 10_000_000, `${written} bytes were taken`);
      child.kill("SIGUSR2");
      await limited("writing", LIMIT, writing);
      await child.says(`read ${size}`);
      assertEquals(await limited("the end of the child", LIMIT, connection.read()), null);
    });

    it("is slowed down while this program does not read, and runs on", async () => {
      await using child = start("floods");
      const connection = fromStdio(child.streams);
      const said = await child.says("wrote ");
      const written = Number(/wrote (\d+)/.exec(said)![1]);
      assert(written < 10_000_000, `${written} bytes were taken`);
      connection.abort();
      child.kill("SIGUSR2");
      assertEquals(await child.exited, 0);
    });

    it("may abort, which reads as the end", async () => {
      await using child = start("aborts");
      const connection = fromStdio(child.streams);
      await child.says("over: closed");
      // On Deno the end comes with the exit of the child.
      if (deno !== undefined) child.kill("SIGUSR2");
      assertEquals(await limited("the end", LIMIT, readAll(connection)), Uint8Array.of(1, 2, 3));
      child.kill("SIGUSR2");
      assertEquals(await child.exited, 0);
      connection.abort();
    });

    it("learns of an abort, and may end then", async () => {
      await using served = await serve({ handshakeTimeout: LIMIT });
      await using child = start("stays");
      const connection = fromStdio(child.streams);
      served.server.accept(connection);
      const [client] = await limited("connecting", LIMIT, served.events.next("connect"));
      assertEquals(await client.request(ASK, "child", { timeout: LIMIT }), "child!");
      connection.abort();
      await child.says("lost: ");
      assertEquals(await child.exited, 0);
    });

    // On Deno the program's own streams hold it.
    (deno === undefined ? it : it.skip)("may end while its connection is open, once unref() was called", async () => {
      await using child = start("unrefs");
      const connection = fromStdio(child.streams);
      assertEquals(await child.exited, 0);
      connection.abort();
    });

    it("may be killed, which this program learns", async () => {
      await using served = await serve({ handshakeTimeout: LIMIT });
      await using child = start("stays");
      served.server.accept(fromStdio(child.streams));
      const [client] = await limited("connecting", LIMIT, served.events.next("connect"));
      assertEquals(await client.request(ASK, "child", { timeout: LIMIT }), "child!");
      child.kill("SIGKILL");
      const [, { reason }] = await limited("the end", LIMIT, served.events.next("disconnect"));
      assert(["peer-closed", "network-error"].includes(reason), reason);
      assertEquals(served.events.of("error"), []);
    });
  });
}

describe("fromStdio()", () => {
  it("takes any two streams of Node", async () => {
    const [up, down] = [new PassThrough(), new PassThrough()];
    const here = fromStdio({ stdin: up, stdout: down });
    const there = fromStdio({ stdin: down, stdout: up }, { local: { path: "there" } });
    assertEquals([here.local, there.local, there.remote], [{ path: "stdio" }, { path: "there" }, { path: "stdio" }]);
    await here.write(Uint8Array.of(1, 2));
    assertEquals(await there.read(), Uint8Array.of(1, 2));
    await here.closeWrite();
    assertEquals(await there.read(), null);
    await there.write(Uint8Array.of(3));
    await there.closeWrite();
    assertEquals([await here.read(), await here.read()], [Uint8Array.of(3), null]);
    assertEquals([await here.closed, await there.closed], [undefined, undefined]);
  });

  it("takes any two Web Streams", async () => {
    const [up, down] = [new TransformStream(), new TransformStream()];
    const here = fromStdio({ stdin: up.writable, stdout: down.readable });
    const there = fromStdio({ stdin: down.writable, stdout: up.readable });
    const writing = here.write(Uint8Array.of(1, 2));
    assertEquals(await there.read(), Uint8Array.of(1, 2));
    await writing;
    here.abort();
    await there.read().catch(() => {});
    there.abort();
  });

  it("copies what it writes, because a stream may keep its chunks", async () => {
    const up = new PassThrough();
    const connection = fromStdio({ stdin: up, stdout: new PassThrough() });
    const buffer = Uint8Array.of(1);
    await connection.write(buffer);
    buffer[0] = 2;
    assertEquals(new Uint8Array(up.read()), Uint8Array.of(1));
    connection.abort();
  });

  it("ends both streams when it is aborted", async () => {
    const [up, down] = [new PassThrough(), new PassThrough()];
    const connection = fromStdio({ stdin: up, stdout: down });
    connection.abort();
    await connection.closed;
    assertEquals([up.destroyed, down.destroyed], [true, true]);
  });

  it("does not wait for a stream that has failed and does not say so to its writer", async () => {
    const listeners = new Map<string, (value?: unknown) => void>();
    const stdin = {
      on: (event: string, listener: (value?: unknown) => void) => void listeners.set(event, listener),
      write(): void {},
      end(): void {},
      destroy(): void {},
    };
    const connection = fromStdio({ stdin, stdout: new PassThrough() });
    const writing = connection.write(new Uint8Array(1)).catch((error) => error);
    listeners.get("error")!(Object.assign(new Error("broken"), { code: "EPIPE" }));
    assertEquals((await writing).code, "reset");
    assertEquals((await connection.write(new Uint8Array(1)).catch((error) => error)).code, "reset");
    connection.abort();
  });

  it("takes a FileSink of Bun, and notices that its reader is gone", async () => {
    const log: unknown[] = [];
    let gone = false;
    const stdin = {
      write: (bytes: Uint8Array) => gone || (log.push([...bytes]), bytes.length),
      flush: () => Promise.resolve(log.push("flush")),
      end: () => Promise.resolve(log.push("end")),
    };
    const connection = fromStdio({ stdin, stdout: new PassThrough() });
    await connection.write(Uint8Array.of(1, 2));
    assertEquals(log, [[1, 2], "flush"]);
    gone = true;
    assertEquals((await connection.write(Uint8Array.of(3)).catch((error) => error)).code, "reset");
    connection.abort();
    assertEquals(log.at(-1), "end");
  });

  it("fails as its streams fail", async () => {
    const [up, down] = [new PassThrough(), new PassThrough()];
    const connection = fromStdio({ stdin: up, stdout: down });
    const reading = connection.read().catch((error) => error);
    down.destroy(Object.assign(new Error("gone"), { code: "ECONNRESET" }));
    assertEquals((await reading).code, "reset");
    const other = fromStdio({ stdin: up, stdout: new PassThrough() });
    up.destroy(new Error("broken"));
    const error = await other.write(new Uint8Array(1)).catch((error) => error);
    assert(["network-error", "reset"].includes(error.code), `${error}`);
    other.abort();
  });

  it("lets a program end although the child runs, once unref() was called", () => {
    const freed: string[] = [];
    const stream = (name: string): PassThrough => Object.assign(new PassThrough(), { unref: () => freed.push(name) });
    const child = { stdin: stream("stdin"), stdout: stream("stdout"), unref: () => void freed.push("child") };
    const connection = fromStdio(child);
    connection.unref();
    assertEquals(freed.sort(), ["child", "stdin", "stdout"]);
    connection.abort();
  });

  it("does not take text", async () => {
    const down = new PassThrough({ encoding: "utf8" });
    const connection = fromStdio({ stdin: new PassThrough(), stdout: down });
    down.write("text");
    const error = await connection.read().catch((error) => error);
    assertStringIncludes(error.message, "a chunk is not bytes but string; set no encoding of the stream");
  });

  it("refuses what has no pipes, and names it", () => {
    const stdin = new PassThrough();
    const cases: [StdioProcess, string][] = [
      [{ stdin, stdout: null }, 'Cannot use "stdout" of the process: it must be a stream, not null; make it a pipe'],
      [{ stdin: null, stdout: new PassThrough() }, 'Cannot use "stdin" of the process: it must be a stream, not null'],
      [{ stdin: 5, stdout: new PassThrough() }, 'Cannot use "stdin" of the process: it must be a stream, not 5'],
      [{ stdin, stdout: undefined }, 'Cannot use "stdout" of the process: it must be a stream, not undefined'],
      [{ stdin, stdout: {} }, 'Cannot use "stdout" of the process: it must be a stream, not of type object'],
    ];
    for (const [given, message] of cases) assertThrows(() => fromStdio(given), TypeError, message);
    const { readable, writable } = new TransformStream();
    readable.getReader();
    assertThrows(
      () => fromStdio({ stdin: writable, stdout: readable }),
      TypeError,
      '"stdout" of the process: it is lo',
    );
  });
});
