/** Worker routes, in real threads. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { threadId } from "node:worker_threads";
import {
  bytes,
  Client,
  messageType,
  Server,
  type ServerConfig,
  type TcpEndpoint,
  type WorkerRouteOptions,
} from "../mod.ts";
import { ConfigError, MessageTypeError, PayloadError, RemoteError, WorkerError } from "../src/errors.ts";
import { isPeerFault } from "../src/app/log.ts";
import { memoryWorld, Raw, type RawFrame, Recorder, serve, turn } from "./session_support.ts";
import { join as joined, utf8 } from "./wire_support.ts";
import { BLOB, JOB, type Job, NOTE } from "./workers/contract.ts";

/** A thread starts within the first request, and plain `deno test` checks its types then. */
const PATIENT = { timeout: 60_000 } as const;
const moduleOf = (name: string): URL => new URL(`./workers/${name}.ts`, import.meta.url);

interface Setup extends AsyncDisposable {
  readonly server: Server;
  readonly client: Client;
  readonly events: Recorder;
  readonly ask: (what: Job["do"], value?: unknown) => Promise<unknown>;
}

/** A server whose jobs run in workers, and a client. */
async function setUp(options: WorkerRouteOptions = {}, config: ServerConfig = {}, module = "job"): Promise<Setup> {
  const server = new Server({ port: 0, hostname: "127.0.0.1", ...config });
  const events = new Recorder(server, ["error"]);
  server.workerRoute(JOB, moduleOf(module), options);
  await server.start();
  const client = new Client({ ...server.addresses[0] });
  await client.connect();
  return {
    server,
    client,
    events,
    ask: (what, value) => client.request(JOB, { do: what, value }, PATIENT),
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close({ drain: 0 });
      await server.close({ drain: 0 });
    },
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => new Error("it resolved"), (error) => error);
  return error.code ?? String(error);
}

/** Waits until a worker waits for a file. */
async function began(file: string): Promise<void> {
  while (!existsSync(`${file}.began`)) await turn();
}

/** A folder for files by which this thread tells others to go on. */
function folder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "veltix-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

describe("a worker route", () => {
  it("runs its handler in other threads, while this one goes on", async () => {
    using files = folder();
    await using setup = await setUp({ threads: 2 });
    const go = [join(files.path, "a"), join(files.path, "b")];
    const both = go.map((file) => setup.ask("wait", file));
    for (const file of go) await began(file);
    // Both threads stand still until this one has answered a hundred pings.
    for (let i = 0; i < 100; i++) await setup.client.ping();
    go.forEach((file) => writeFileSync(file, ""));
    const ids = await Promise.all(both);
    assertEquals(new Set([threadId, ...ids]).size, 3);
    assert(ids.includes(await setup.ask("thread")));
  });

  it("answers 1,000 requests over 4 threads, each with its own answer", async () => {
    await using setup = await setUp({ threads: 4 });
    const numbers = Array.from({ length: 1_000 }, (_, i) => i);
    const replies = await Promise.all(numbers.map((i) => setup.ask("double", i)));
    assertEquals(replies, numbers.map((i) => i * 2));
  });

  it("shows its worker what any handler sees, and who sent it", async () => {
    await using setup = await setUp();
    const seen = await setup.ask("look") as Record<string, unknown>;
    const { id, address } = setup.server.clients[0];
    const text = '{"do":"look"}';
    assertEquals(seen, {
      client: { id, address },
      code: 200,
      json: { do: "look" },
      requestId: seen.requestId,
      size: text.length,
      text,
      wantsReply: true,
    });
    assert(typeof seen.requestId === "number" && seen.requestId > 0);
  });

  it("has the metadata of its message, and sets that of the answer, of an error as well", async () => {
    await using setup = await setUp();
    const { client } = setup;
    const meta = { a: "b", ["__proto__"]: "c" };
    const answer = await client.exchange(JOB, { do: "meta" }, { meta, ...PATIENT });
    assertEquals(answer.data, { meta: Object.entries(meta), safe: true, timeLeft: true });
    assertEquals({ ...answer.meta }, { got: "b", own: "a,__proto__" });
    const error = await assertRejects(
      () => client.request(JOB, { do: "meta", value: "throw" }, { meta: { a: "x" }, ...PATIENT }),
      RemoteError,
    );
    assertEquals([error.code, { ...error.meta }], ["E_NO", { got: "x", own: "a" }]);
    const bytes = new Uint8Array(1_000_000).fill(5);
    setup.server.workerRoute(BLOB, moduleOf("blob"), { threads: 1 });
    assertEquals(
      await codeOf(client.request(BLOB, bytes, { meta: { a: "b".repeat(5_000) }, ...PATIENT })),
      "handler-failed",
    );
    const [, , { content }] = setup.events.of("error").at(-1)!;
    assertEquals([content.byteLength, content.buffer.byteLength], [0, 0], "the payload was given away whole");
  });

  it("is aborted by the deadline of its message, which is answered, and its thread is not ended", async () => {
    using files = folder();
    const world = memoryWorld();
    await using served = await serve(world);
    served.server.workerRoute(JOB, moduleOf("job"), { threads: 1 });
    const features = { meta: {} };
    await using raw = await Raw.connect(world, served.address, "native", { features });
    const json = utf8('{"deadline":"1000"}');
    const file = join(files.path, "go");
    const request = (requestId: number, job: Job, deadline = true): RawFrame => {
      const payload = utf8(JSON.stringify(job));
      const content = deadline ? joined(Uint8Array.of(0, json.length), json, payload) : payload;
      return { code: JOB.code, flags: deadline ? 0x21 : 0x01, requestId, content };
    };
    await raw.send(request(1, { do: "thread" }, false));
    const words = async (): Promise<unknown> => JSON.parse(new TextDecoder().decode((await raw.frame())!.content));
    const thread = await words();
    // The second waits for the thread, and never gets it.
    await raw.send(request(2, { do: "abort", value: file }), request(3, { do: "double", value: 1 }));
    await began(file);
    await world.clock.advance(1_020);
    for (let i = 0; i < 2; i++) assertEquals((await words() as { code: string }).code, "deadline-exceeded");
    const [error] = await served.events.next("error");
    assertEquals([error.code, error.message.startsWith("seen: ")], ["deadline-exceeded", true]);
    await raw.send(request(4, { do: "thread" }, false));
    assertEquals([await words(), served.events.of("error").length], [thread, 1]);
  });

  it("serves Python's protocol as well", async () => {
    await using setup = await setUp({}, { protocol: "1.6.3" });
    assertEquals(await setup.ask("double", 4), 8);
  });

  it("works on a client, whose messages come from no client", async () => {
    const server = new Server({ port: 0, hostname: "127.0.0.1" });
    await server.start();
    const client = new Client({ ...server.addresses[0] });
    client.workerRoute(JOB, moduleOf("job"), { threads: 1 });
    assertThrows(() => client.workerRoute(JOB, moduleOf("job")), MessageTypeError);
    await client.connect();
    const [info] = server.clients;
    assertEquals(await info.request(JOB, { do: "double", value: 5 }, PATIENT), 10);
    assertEquals((await info.request(JOB, { do: "look" }) as { client?: unknown }).client, undefined);
    assertEquals([client.unroute(JOB), client.unroute(JOB)], [true, false]);
    await client.close();
    await server.close();
  });

  it("takes messages that want no reply", async () => {
    await using setup = await setUp();
    setup.server.workerRoute(NOTE, moduleOf("note"));
    setup.client.send(NOTE, "hello");
    const [error] = await setup.events.next("error");
    assertEquals(error.message, `hello false ${setup.server.clients[0].id}`);
  });

  it("refuses wrong options and modules", () => {
    const server = new Server();
    const route = (module: unknown, options?: unknown): void =>
      server.workerRoute(JOB, module as string, options as WorkerRouteOptions);
    assertThrows(() => route("./job.ts"), TypeError, 'module must be an absolute URL, such as new URL("./worker.ts"');
    assertThrows(() => route(moduleOf("job"), { threads: 0 }), RangeError, "threads must be");
    assertThrows(() => route(moduleOf("job"), { timeout: "1" }), TypeError, "timeout must be");
    assertThrows(() => route(moduleOf("job"), { maxQueued: 0.5 }), RangeError, "maxQueued must be");
    assertThrows(() => route(moduleOf("job"), { count: 1 }), TypeError, 'Unknown option "count"');
    route(String(moduleOf("job")));
    const error = assertThrows(() => route(moduleOf("job")), MessageTypeError);
    assertEquals((error as MessageTypeError).code, "code-taken");
    server.unroute(JOB);
    route(moduleOf("job"));
  });
});

describe("a worker's reply", () => {
  it("is encoded only where the sender waits for it", async () => {
    await using setup = await setUp({ threads: 1 });
    setup.client.send(JOB, { do: "nothing" });
    assertEquals(await setup.ask("double", 1), 2);
    assertEquals(setup.events.of("error"), []);
    assertEquals(await codeOf(setup.ask("nothing")), "invalid-payload");
  });
});

describe("the bytes of a worker route", () => {
  it("are given away whole when they are large, and copied when they share their chunk", async () => {
    await using setup = await setUp();
    setup.server.workerRoute(BLOB, moduleOf("blob"), { threads: 1 });
    const large = new Uint8Array(1_000_000).fill(5);
    const [first, second] = [new Uint8Array([9, 1]), new Uint8Array([9, 2])];
    // In one write: the small ones lie in one chunk.
    const replies = [first, Uint8Array.of(5), second, large].map((payload) =>
      setup.client.request(BLOB, payload, PATIENT)
    );
    const results = await Promise.all(replies.map((reply) => reply.catch(({ code }) => code)));
    assertEquals(results, [first, "handler-failed", second, "handler-failed"]);
    const kept = setup.events.of("error").map(([, , { content }]) => [content.byteLength, content.buffer.byteLength]);
    assertEquals([kept[0][0], kept[1]], [1, [0, 0]]);
  });

  it("count under maxHandlerBytes, and are counted off although they were given away", async () => {
    using files = folder();
    await using setup = await setUp({}, { maxHandlerBytes: 2_000_000, maxQueuedBytes: 16_000_000 });
    const { client, server } = setup;
    server.workerRoute(BLOB, moduleOf("blob"), { threads: 3 });
    const go = join(files.path, "go");
    const large = new Uint8Array(900_000);
    large.set(new TextEncoder().encode(`\x06${go}`));
    const replies = Array.from({ length: 6 }, () => client.request(BLOB, large, PATIENT));
    const [sender] = server.clients;
    while (sender.stats().queuedMessages < 4) await turn();
    assertEquals(sender.stats().runningHandlers, 2);
    writeFileSync(go, "");
    for (const reply of replies) assertEquals((await reply).length, 900_000);
    // Two fit, as before.
    const HOLD = messageType(230, "hold", bytes);
    server.route(
      HOLD,
      ({ signal }) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
    );
    for (let i = 0; i < 3; i++) client.send(HOLD, large);
    while (sender.stats().queuedMessages < 1) await turn();
    assertEquals(sender.stats().runningHandlers, 2);
  });

  it("come back intact: parts of a buffer, none at all, shared memory, megabytes", async () => {
    await using setup = await setUp();
    setup.server.workerRoute(BLOB, moduleOf("blob"), { threads: 1 });
    const ask = (...first: number[]): Promise<Uint8Array> =>
      setup.client.request(BLOB, Uint8Array.from(first), PATIENT);
    for (let i = 0; i < 2; i++) {
      assertEquals(await ask(0), Uint8Array.of(1, 2));
      assertEquals((await ask(2)).length, 65_536);
      assertEquals(await ask(3), new Uint8Array(0));
      assertEquals(await ask(4), new Uint8Array(2));
      assertEquals(await ask(8, i), Uint8Array.of(8, i));
    }
    const large = Uint8Array.from({ length: 3_000_000 }, (_, i) => i + 10);
    assertEquals(await setup.client.request(BLOB, large, PATIENT), large);
    assertEquals(await ask(1), Uint8Array.of(7, 7, 7));
    assertEquals(await codeOf(ask(1)), "invalid-payload");
  });
});

describe("a failure in a worker", () => {
  it("that its type declares reaches the sender, and not the error event", async () => {
    await using setup = await setUp();
    setup.server.unroute(JOB);
    setup.server.workerRoute({ ...JOB, errors: ["E_MUCH"] } as typeof JOB, moduleOf("job"));
    assertEquals(await codeOf(setup.ask("throw")), "E_MUCH");
    assertEquals(setup.events.of("error"), []);
  });

  it("that is thrown reaches the sender by its code, and the error event by name and stack", async () => {
    await using setup = await setUp({ threads: 1 });
    const error = await assertRejects(() => setup.ask("throw"), RemoteError, "too much");
    assertEquals(error.code, "E_MUCH");
    const [told, client, message] = await setup.events.next("error");
    assertEquals([told.name, told.message, told.code, client.id, message.type.name], [
      "RangeError",
      "too much",
      "E_MUCH",
      1,
      "job",
    ]);
    assert(told.stack.includes("job.ts"), told.stack);
    const [one, two] = [await setup.ask("thread"), await setup.ask("thread")];
    assertEquals(one, two);
  });

  it("to decode a payload is a PayloadError", async () => {
    await using setup = await setUp();
    setup.server.workerRoute(NOTE, moduleOf("note"));
    setup.client.send({ ...NOTE, payload: BLOB.payload } as unknown as typeof BLOB, Uint8Array.of(0xff));
    const [error] = await setup.events.next("error");
    assertEquals([error.name, error.code], ["PayloadError", "invalid-payload"]);
    assert(error instanceof PayloadError && isPeerFault(error), "the log takes it for the peer's fault");
  });

  for (const way of ["throw later", "reject", "exit"] as const) {
    it(`that ends it (${way}) fails its request, and only that; the worker is replaced`, async () => {
      using files = folder();
      await using setup = await setUp({ threads: 2 });
      const go = join(files.path, "go");
      const other = setup.ask("wait", go);
      assertEquals(await codeOf(setup.ask(way)), "worker-crashed");
      const [error] = await setup.events.next("error");
      assert(error instanceof WorkerError && error.cause instanceof Error);
      const before = new Set([await setup.ask("thread")]);
      writeFileSync(go, "");
      before.add(await other);
      assertEquals(before.size, 2);
      assertEquals(await setup.ask("double", 1), 2);
    });
  }

  it("to come to an end is cut after timeout, and the worker replaced", async () => {
    await using setup = await setUp({ threads: 1, timeout: 1_000 });
    const [stuck, next] = [setup.ask("stick"), setup.ask("double", 2)];
    assertEquals([await codeOf(stuck), await next], ["timeout", 4]);
  });

  const faults = [
    ["does not exist", "missing", ConfigError, "invalid-config", "missing.ts"],
    ["throws", "throws", ConfigError, "invalid-config", "this module throws"],
    ["ends its thread", "exits", ConfigError, "invalid-config", "ended before it was loaded"],
    ["has another default export", "no_handler", ConfigError, "invalid-config", "workerHandler()"],
    ["handles another type", "blob", MessageTypeError, "type-mismatch", "code 201"],
  ] as const;
  for (const [name, module, kind, code, part] of faults) {
    it(`to load its module, which ${name}, fails each request and tells`, async () => {
      await using setup = await setUp({ threads: 1 }, {}, module);
      assertEquals(await Promise.all([codeOf(setup.ask("thread")), codeOf(setup.ask("thread"))]), [code, code]);
      const [error] = await setup.events.next("error");
      assert(error instanceof kind && error.message.includes(part), error.message);
    });
  }
});

describe("the end of a worker route", () => {
  /** A server whose sockets are those of threads. */
  async function watch(): Promise<{ port: number; next: () => Promise<Socket>; [Symbol.dispose](): void }> {
    const sockets: Socket[] = [];
    const waiting: ((socket: Socket) => void)[] = [];
    const listener = createServer((socket) => {
      socket.on("error", () => {}).resume();
      const waiter = waiting.shift();
      if (waiter === undefined) sockets.push(socket);
      else waiter(socket);
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    return {
      port: (listener.address() as { port: number }).port,
      next: () => new Promise((resolve) => sockets.length > 0 ? resolve(sockets.shift()!) : waiting.push(resolve)),
      [Symbol.dispose]: () => void listener.close(),
    };
  }

  const gone = (socket: Socket): Promise<void> => new Promise((resolve) => socket.on("close", () => resolve()));

  it("comes with unroute(), after what is under way", async () => {
    using files = folder();
    using watched = await watch();
    await using setup = await setUp({ threads: 1 });
    await setup.ask("connect", watched.port);
    const ended = gone(await watched.next());
    const go = join(files.path, "go");
    const last = setup.ask("wait", go);
    await began(go);
    setup.server.unroute(JOB);
    writeFileSync(go, "");
    assert(await last !== threadId);
    await ended;
    assertEquals(await codeOf(setup.ask("thread")), "no-route");
  });

  it("comes with close(), which waits for it; start() begins anew", async () => {
    using watched = await watch();
    const { server, client, ask } = await setUp({ threads: 1 });
    await ask("connect", watched.port);
    const ended = gone(await watched.next());
    await client.close();
    await server.close();
    await ended;
    await server.start();
    await using again = new Client({ ...server.addresses[0] as TcpEndpoint });
    await again.connect();
    assertEquals(await again.request(JOB, { do: "double", value: 8 }, PATIENT), 16);
    await again.close();
    await server.close();
  });

  it("comes with close() of a client, too", async () => {
    using watched = await watch();
    await using server = new Server({ port: 0, hostname: "127.0.0.1" });
    await server.start();
    const client = new Client({ ...server.addresses[0] });
    client.workerRoute(JOB, moduleOf("job"), { threads: 1 });
    await client.connect();
    await server.clients[0].request(JOB, { do: "connect", value: watched.port }, PATIENT);
    const ended = gone(await watched.next());
    await client.close();
    await ended;
  });

  it("lets running messages finish within drain", async () => {
    using files = folder();
    const { server, client, ask } = await setUp({ threads: 1 });
    const go = join(files.path, "go");
    const last = ask("wait", go);
    await began(go);
    const closed = server.close();
    for (let i = 0; i < 10; i++) await turn();
    writeFileSync(go, "");
    assert(await last !== threadId);
    await closed;
    await client.close();
  });

  it("cuts them after it, even in an endless loop, and says so", async () => {
    const { server, client, events, ask } = await setUp({ threads: 1 });
    await ask("thread");
    const last = codeOf(ask("loop"));
    await client.ping();
    await server.close({ drain: 10 });
    assertEquals(await last, "closed");
    const [error] = await events.next("error");
    assertEquals(error.code, "worker-stopped");
    await client.close();
  });

  it("of a connection reaches the signal of the worker", async () => {
    await using setup = await setUp({ threads: 1 });
    await setup.ask("thread");
    const last = setup.ask("abort").catch(() => {});
    await setup.client.ping();
    void setup.server.clients[0].close("manual", { drain: 0 });
    const [error] = await setup.events.next("error");
    assert(error.message.startsWith("seen: "), error.message);
    await last;
  });

  for (const way of ["close", "unref"]) {
    it(`leaves a program free to end after ${way}()`, async () => {
      const script = fileURLToPath(moduleOf("program"));
      const args = "Deno" in globalThis ? ["run", "-A", "--no-check", script, way] : [script, way];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text) => output += text);
      const code = await new Promise((resolve) => child.on("close", resolve));
      assertEquals([code, output.trim().split("\n")], [0, way === "close" ? ["42", "closed", "ends"] : ["42", "ends"]]);
    });
  }
});
