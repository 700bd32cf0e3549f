/** The commands that talk: serve, ping, send, request and listen, with servers and clients of this process. */

import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bytes, Client, type Message, messageType, text } from "../mod.ts";
import { cli, type FakeTerminal, serverFor, start } from "./cli_support.ts";
import { itOnPosix } from "./posix.ts";

const ASK = messageType(200, "ask", text, text);
const RAW = messageType(300, "raw", bytes, bytes);
const TELL = messageType(210, "tell", text);
/** JSON that can be parsed, and overflows the stack of what prints it. */
const DEEP = "[".repeat(100_000) + "]".repeat(100_000);

/** Waits until `serve` listens, and returns its address. */
async function listening(terminal: FakeTerminal): Promise<string> {
  return (await terminal.says(/Listening at (\S+)/))[1];
}

/** A temporary folder. */
function folder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "veltix-cli-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

describe("veltix serve", () => {
  it("echoes requests and messages of any code, with their metadata, and closes gently by Ctrl+C", async () => {
    await using serve = start(["serve", "--port", "0"]);
    const at = await listening(serve.terminal);
    const port = Number(at.split(":")[1]);
    await using client = new Client({ port });
    const echoed = new Promise<Message<Uint8Array>>((resolve) => client.on("message", resolve));
    await client.connect();
    const { data, meta } = await client.exchange(RAW, Uint8Array.of(0, 255), { meta: { a: "b" } });
    assertEquals([[...data], { ...meta }], [[0, 255], { a: "b" }]);
    client.send(messageType(65_535), Uint8Array.of(7), { meta: { c: "d" } });
    const message = await echoed;
    assertEquals([message.type.code, [...message.content], { ...message.meta }], [65_535, [7], { c: "d" }]);
    const reason = new Promise((resolve) => client.on("disconnect", (state) => resolve(state.reason)));
    serve.terminal.interrupt();
    assertEquals([await serve.code, await reason], [0, "going-away"]);
    assertMatch(serve.terminal.output, /^\+ #1 127\.0\.0\.1:\d+ native$/m);
  });

  for (const protocol of ["1.3.0", "1.6.3", "1.9.0", "2.0.4"]) {
    it(`echoes to clients of Python's release ${protocol}`, async () => {
      await using serve = start(["serve", "--port", "0", "--protocol", protocol]);
      const at = await listening(serve.terminal);
      const { code, out } = await cli(["request", at, "200", "hello", "--protocol", protocol]);
      assertEquals([code, out], [0, "hello\n"]);
    });
  }

  it("relays each message to all other clients, and not to its sender", async () => {
    await using serve = start(["serve", "--relay", "--port", "0"]);
    const port = Number((await listening(serve.terminal)).split(":")[1]);
    const clients = [1, 2, 3].map(() => new Client({ port }));
    const heard: string[] = [];
    const both = Promise.withResolvers<void>();
    clients.forEach((client, i) =>
      client.on("message", ({ meta, text }) => {
        if (heard.push(`${i} ${text} ${meta.from}`) === 2) both.resolve();
      })
    );
    for (const client of clients) await client.connect();
    await serve.terminal.says(/\+ #3/);
    clients[0].send(RAW, new TextEncoder().encode("hi"), { meta: { from: "0" } });
    await both.promise;
    await clients[0].ping();
    assertEquals(heard.sort(), ["1 hi 0", "2 hi 0"]);
    for (const client of clients) await client.close();
  });

  it("runs a module: a function, routes, or a contract with its handlers; and refuses anything else", async () => {
    using dir = folder();
    const mod = new URL("../mod.ts", import.meta.url).href;
    const imports = `import { messageType, text } from ${JSON.stringify(mod)};
      const ASK = messageType(200, "ask", text, text);`;
    const modules = {
      "function.mjs": `${imports} export default (server) => server.route(ASK, ({ data }) => data.toUpperCase());`,
      "routes.mjs": `${imports} export default { ask: { type: ASK, handler: ({ data }) => data.toUpperCase() } };`,
      "contract.mjs":
        `${imports} export default { contract: { ask: ASK }, handlers: { ask: ({ data }) => data.toUpperCase() } };`,
    };
    for (const [name, source] of Object.entries(modules)) {
      writeFileSync(join(dir.path, name), source);
      await using serve = start(["serve", join(dir.path, name), "--port", "0"]);
      const at = await listening(serve.terminal);
      assertEquals((await cli(["request", at, "200", "abc"])).out, "ABC\n", name);
    }
    for (const source of ["export default 1;", "export const a = 1;", "export default { a: 1 };"]) {
      writeFileSync(join(dir.path, `bad${source.length}.mjs`), source);
      const { code, err } = await cli(["serve", join(dir.path, `bad${source.length}.mjs`), "--port", "0"]);
      assertEquals(code, 2);
      assertMatch(err, /must export by default/);
    }
    assertEquals((await cli(["serve", join(dir.path, "none.mjs"), "--port", "0"])).code, 1);
  });

  itOnPosix("listens at a unix socket, with TLS, with encryption, and for WebSockets", async () => {
    using dir = folder();
    const certificates = fileURLToPath(new URL("./certificates/", import.meta.url));
    const identity = join(dir.path, "identity.pem");
    const made = await cli(["keygen", identity, "--json"]);
    const [{ publicKey }] = made.json as { publicKey: string }[];
    const unix = join(dir.path, "s.sock");
    const tls = ["--cert", `${certificates}server.crt`, "--key", `${certificates}server.key`];
    const ca = ["--ca", `${certificates}ca.crt`];
    const cases: readonly [serve: string[], address: (at: string) => string, request: string[]][] = [
      [["--path", unix], () => `unix:${unix}`, []],
      [["--port", "0", ...tls], (at) => at, ca],
      [["--port", "0", "--identity", identity], (at) => at, ["--trust", publicKey]],
      [["--port", "0", "--websocket", "/veltix"], (at) => `ws://${at}/veltix`, []],
    ];
    for (const [options, address, request] of cases) {
      await using serve = start(["serve", ...options]);
      const at = await listening(serve.terminal);
      const { code, err, out } = await cli(["request", address(at), "200", "x", ...request]);
      assertEquals([code, out, err], [0, "x\n", ""], options.join(" "));
    }
  });

  it("tells in JSON, a value a line, who comes and goes", async () => {
    await using serve = start(["serve", "--json", "--port", "0"]);
    const [, address] = await serve.terminal.says(/"addresses":\["([^"]+)"\]/);
    assertEquals((await cli(["ping", address, "-c", "1"])).code, 0);
    await serve.terminal.says(/"disconnect"/);
    assertEquals((await cli(["ping", address, "-c", "1", "--tls"])).code, 3);
    await serve.terminal.says(/"rejected"/);
    const events = serve.terminal.json as Record<string, unknown>[];
    assertEquals(events.map(({ event }) => event), ["listening", "connect", "disconnect", "rejected"]);
    assertEquals(Object.keys(events[1]), ["event", "id", "address", "protocol", "security"]);
  });

  it("says that a port is taken, with exit code 3", async () => {
    const { at, server } = await serverFor(() => {});
    await using _ = server;
    const { code, err } = await cli(["serve", "--port", at.split(":")[1]]);
    assertEquals(code, 3);
    assertMatch(err, /^veltix: Cannot listen/);
  });
});

describe("veltix request", () => {
  it("prints what the answer is: text, JSON or hexadecimal digits, or as it is told", async () => {
    const { at, server } = await serverFor((server) => server.on("message", ({ content, reply }) => reply(content)));
    await using _ = server;
    for (
      const [args, out] of [
        [["héllo"], "héllo\n"],
        [['{"b": [1, 2]}', "--json-payload"], '{"b":[1,2]}\n'],
        [["00ff 7f", "--hex"], "00ff7f\n"],
        [["abc", "--as", "hex"], "616263\n"],
        [["1b5b", "--hex", "--as", "text"], "?[\n"],
        [["abc", "--as", "raw"], "abc"],
        [[], "\n"],
        [["-5"], "-5\n"],
      ] as const
    ) {
      const outcome = await cli(["request", at, "200", ...args]);
      assertEquals([outcome.code, outcome.out, outcome.err], [0, out, ""]);
    }
    assertEquals((await cli(["request", at, "200", "-"], { input: "from a pipe" })).out, "from a pipe\n");
    assertEquals((await cli(["request", at, "200", "--", "--json"])).out, "--json\n");
  });

  it("has code, size, kind, value, metadata and time in JSON, and shows them with --verbose", async () => {
    const { at, server } = await serverFor((server) =>
      server.route(ASK, ({ data, meta, setReplyMeta }) => {
        setReplyMeta({ got: meta.a, evil: "\x1b[2J" });
        return data;
      })
    );
    await using _ = server;
    const { json: [answer] } = await cli(["request", at, "200", "1", "--meta", "a=b=c", "--json"]);
    const { ms, ...rest } = answer as { ms: number };
    assertEquals(rest, { code: 200, size: 1, kind: "json", value: 1, meta: { got: "b=c", evil: "\x1b[2J" } });
    assert(ms >= 0);
    const { err, out } = await cli(["request", at, "200", "1", "--meta", "a=b", "-v"]);
    assertEquals(out, "1\n");
    assertMatch(err, /^1 B in [\d.]+ ms, json\ngot: b\nevil: \?\[2J\n$/);
  });

  it("prints nothing that a terminal would obey with --json, of payload, metadata and error", async () => {
    const evil = "\u009b2J\x7f\u202e";
    const { at, server } = await serverFor((server) => {
      server.route(ASK, ({ data, setReplyMeta }) => {
        if (data === "fail") throw new Error(`one\ntwo${evil}`);
        setReplyMeta({ evil });
        return evil;
      });
      server.on("error", () => {});
      server.on("connect", (client) => client.send(TELL, evil, { meta: { evil } }));
    });
    await using _ = server;
    const answer = await cli(["request", at, "200", "x", "--json", "--as", "text"]);
    const message = await cli(["listen", at, "--json", "--count", "1", "--as", "text"]);
    const failure = await cli(["request", at, "200", "fail", "--json"]);
    for (const { json: [printed], out } of [answer, message]) {
      assertFalse(/[\x7f-\x9f\u202e]/.test(out), JSON.stringify(out));
      const { value, meta } = printed as { value: unknown; meta: unknown };
      assertEquals([value, meta], [evil, { evil }]);
    }
    assertEquals(failure.code, 5);
    assertMatch(JSON.parse(failure.err).message, /one two\?2J\?\?$/);
  });

  it("prints JSON that is nested too deep as text", async () => {
    const { at, server } = await serverFor((server) => {
      server.route(ASK, () => DEEP);
      server.on("connect", (client) => client.send(TELL, DEEP));
    });
    await using _ = server;
    for (const json of [[], ["--json"]]) {
      const answer = await cli(["request", at, "200", "x", ...json]);
      assertEquals([answer.code, answer.err], [0, ""]);
      assert(answer.out.includes(DEEP));
      const message = await cli(["listen", at, "--count", "1", "-q", ...json]);
      assertEquals([message.code, message.err], [0, ""]);
      assert(message.out.includes(DEEP));
    }
  });

  it("ends with 5 if the server answers with an error, with 4 if not in time, with 3 if nobody is there", async () => {
    const { at, server } = await serverFor((server) => {
      server.route(ASK, ({ data, signal }) => {
        if (data === "fail") throw new Error("not today");
        return new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve("")));
      });
      server.on("error", () => {});
    });
    await using _ = server;
    const failing = await cli(["request", at, "200", "fail"]);
    assertEquals([failing.code, failing.out], [5, ""]);
    const late = await cli(["request", at, "200", "wait", "--timeout", "10"]);
    assertEquals(late.code, 4, late.err);
    await server.close();
    assertEquals((await cli(["request", at, "200", "x"])).code, 3);
  });

  it("reads the payload from a file, byte by byte as it is", async () => {
    const { at, server } = await serverFor((server) => server.on("message", ({ content, reply }) => reply(content)));
    await using _ = server;
    using dir = folder();
    const file = join(dir.path, "payload");
    writeFileSync(file, Uint8Array.from({ length: 256 }, (_, i) => i));
    const { out } = await cli(["request", at, "200", "--file", file]);
    assertEquals(out.trim(), readFileSync(file).toString("hex"));
  });

  it("is interrupted by Ctrl+C while it waits, with exit code 130", async () => {
    const { at, server } = await serverFor((server) =>
      server.route(ASK, ({ signal }) => {
        running.terminal.interrupt();
        return new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve("")));
      })
    );
    await using _ = server;
    const running = start(["request", at, "200", "x"]);
    assertEquals([await running.code, running.terminal.output, running.terminal.errors], [130, "", ""]);
  });
});

describe("veltix send", () => {
  it("sends a message several times with its metadata, and waits until they have been received", async () => {
    const seen: string[] = [];
    const { at, server } = await serverFor((server) =>
      server.on("message", ({ meta, text, type }) => void seen.push(`${type.code} ${text} ${meta.n}`))
    );
    await using _ = server;
    const { code, json: [result] } = await cli(["send", at, "1000", "x", "--count", "600", "--meta", "n=1", "--json"]);
    assertEquals([code, seen.length, seen[599]], [0, 600, "1000 x 1"]);
    assertEquals(result, { code: 1000, sent: 600, replaced: 0, bytes: 600 });
  });

  it("counts what was replaced with --latest", async () => {
    let last = 0;
    const { at, server } = await serverFor((server) => server.on("message", () => void last++));
    await using _ = server;
    const { json: [result] } = await cli(["send", at, "200", "x", "--count", "500", "--latest", "k", "--json"]);
    const { replaced, sent } = result as { replaced: number; sent: number };
    assertEquals([sent + replaced, last], [500, sent]);
    assert(replaced > 0);
  });
});

describe("veltix listen", () => {
  it("prints each message as a line that fits the terminal, and ends after --count", async () => {
    const { at, server } = await serverFor((server) =>
      server.on("connect", (client) => {
        client.send(RAW, new TextEncoder().encode(`"${"long ".repeat(40)}"`));
        client.send(RAW, Uint8Array.of(0x1b, 0x5b, 0x32, 0x4a));
        client.send(ASK, "a\nb");
      })
    );
    await using _ = server;
    const { code, out } = await cli(["listen", at, "--count", "3", "--no-color"], { interactive: true, columns: 60 });
    assertEquals(code, 0);
    const lines = out.trimEnd().split("\n");
    assertEquals(lines.length, 3);
    assert(lines.every((line) => line.length <= 60), out);
    assertMatch(lines[0], /^\d\d:\d\d:\d\d\.\d{3} {4}300 {5}202 B {2}"long .*…$/);
    assertMatch(lines[1], / 4 B {2}1b5b324a$/);
    assertMatch(lines[2], / 200 {7}3 B {2}a⏎b$/);
  });

  it("filters by code, tells JSON lines, and cuts nothing in a pipe", async () => {
    const long = "long ".repeat(40);
    const { at, server } = await serverFor((server) =>
      server.on("connect", (client) => {
        client.send(RAW, Uint8Array.of(1));
        client.send(ASK, long, { meta: { a: "b" } });
      })
    );
    await using _ = server;
    const { json: [message, ...more] } = await cli(["listen", at, "--count", "1", "--code", "200", "--json"]);
    const { time, ...rest } = message as { time: string };
    assertEquals(more, []);
    assertEquals(rest, { code: 200, size: 200, wantsReply: false, kind: "text", value: long, meta: { a: "b" } });
    assertEquals(new Date(time).toISOString(), time);
    assertStringIncludes((await cli(["listen", at, "--count", "1", "--code", "200"])).out, `${long}\n`);
  });

  it("answers requests with --reply", async () => {
    const answer = Promise.withResolvers<string>();
    const { at, server } = await serverFor((server) =>
      server.on("connect", (client) => client.request(ASK, "who?").then(answer.resolve, answer.reject))
    );
    await using _ = server;
    await using listen = start(["listen", at, "--reply", "me"]);
    assertEquals(await answer.promise, "me");
    listen.terminal.interrupt();
    assertEquals(await listen.code, 0);
  });

  it("ends with exit code 3 when the server leaves, and says why", async () => {
    const { at, server } = await serverFor((server) =>
      server.on("connect", (client) => void client.close("manual", { message: "we are moving" }))
    );
    await using _ = server;
    const { code, err } = await cli(["listen", at]);
    assertEquals(code, 3);
    assertMatch(err, /is over: we are moving/);
  });
});

describe("veltix ping", () => {
  it("prints a line for each and the figures of ping(8), and a histogram only in a terminal", async () => {
    const { at, server } = await serverFor(() => {});
    await using _ = server;
    const args = ["ping", at, "-c", "5", "-i", "0.001"];
    const piped = await cli(args);
    assertEquals([piped.code, piped.err], [0, ""]);
    assertEquals(piped.out.match(/^answer from .*: seq=\d time=[\d.]+ ms$/gm)?.length, 5);
    assertMatch(
      piped.out,
      /^5 sent, 5 received, 0% loss, time \d+ ms\nrtt min\/avg\/max\/stddev = [\d.]+\/[\d.]+\/[\d.]+\/[\d.]+ ms\nrtt p50\/p95\/p99 = /m,
    );
    assert(!piped.out.includes("█"));
    const shown = await cli(args, { interactive: true });
    assert(shown.out.includes("█"));
    assert(shown.out.split("\n").every((line) => line.length <= 90));
    assertEquals((await cli([...args, "-q"])).out.split("\n").length, 5);
  });

  it("has a JSON value for each and one for all", async () => {
    const { at, server } = await serverFor(() => {});
    await using _ = server;
    const { json: values } = await cli(["ping", at, "-c", "2", "-i", "0.001", "--json"]);
    assertEquals(Object.keys(values[0] as object), ["seq", "ms"]);
    assertEquals(
      Object.keys(values[2] as object),
      ["sent", "received", "lossPercent", "min", "avg", "p50", "p95", "p99", "max", "stddev"],
    );
  });

  it("goes on until Ctrl+C, and then prints the figures", async () => {
    const { at, server } = await serverFor(() => {});
    await using _ = server;
    await using ping = start(["ping", at, "-i", "0.001"]);
    await ping.terminal.says(/seq=3/);
    ping.terminal.interrupt();
    assertEquals(await ping.code, 0);
    assertMatch(ping.terminal.output, / 0% loss/);
  });

  it("counts what was lost, and ends with 4 if nothing was answered", async () => {
    // Servers of release 1.3 send no greeting, so one that says nothing at all can be connected to.
    const silent = createServer((socket) => void socket.on("error", () => {}).resume());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      const at = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
      const args = ["ping", at, "-c", "2", "-i", "0.001", "--timeout", "10", "--protocol", "1.3.0"];
      const { code, err, out } = await cli(args);
      assertEquals([code, err], [4, `veltix: ${at} has not answered\n`]);
      assertMatch(out, /^no answer from .*: seq=1\nno answer from .*: seq=2$/m);
      assertMatch(out, /^2 sent, 0 received, 100% loss/m);
      assertEquals((await cli([...args, "--json"])).json[0], { seq: 1, timeout: true });
    } finally {
      await new Promise((resolve) => silent.close(resolve));
    }
  });

  it("prints the figures and then what went wrong when the connection is lost", async () => {
    const { at, server } = await serverFor(() => {});
    await using ping = start(["ping", at, "-i", "0.001"]);
    await ping.terminal.says(/seq=1/);
    await server.close({ drain: 0 });
    assertEquals(await ping.code, 3);
    assertMatch(ping.terminal.output, /ping statistics/);
    assertMatch(ping.terminal.errors, /^veltix: /);
  });
});
