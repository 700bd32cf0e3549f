/** The command line itself: help, mistakes, colors, exit codes and what errors look like. */

import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jsonLine, Output } from "../src/cli/output.ts";
import { binsOf, histogram, latencyOf, percentile } from "../src/cli/latency.ts";
import { payloadLine, shownPayload } from "../src/cli/show_payload.ts";
import { addressOf } from "../src/cli/target.ts";
import { CommandError, EXIT_CODE_MEANINGS, ExitCode } from "../src/cli/exit_codes.ts";
import { exitCodeOf, failureOf } from "../src/cli/failure.ts";
import { ConfigError, ConnectionError, HandshakeError, ProtocolError, RemoteError, TimeoutError } from "../mod.ts";
import { cli, FakeTerminal, serverFor } from "./cli_support.ts";

describe("veltix", () => {
  it("--help lists the commands and every exit code, on the standard output", async () => {
    const { code, err, out } = await cli(["--help"]);
    assertEquals([code, err], [0, ""]);
    for (
      const name of ["serve", "ping", "send", "request", "listen", "doctor", "keygen", "fingerprint", "completions"]
    ) {
      assertMatch(out, new RegExp(`^  ${name} `, "m"));
    }
    for (const [number] of EXIT_CODE_MEANINGS) assertMatch(out, new RegExp(`^  ${number} +\\w`, "m"));
    assertEquals(EXIT_CODE_MEANINGS.map(([number]) => number), Object.values(ExitCode));
  });

  it("wraps its help to the width of the terminal", async () => {
    // A narrower terminal has no room for two columns.
    for (const columns of [80, 120]) {
      const { out } = await cli(["ping", "--help"], { columns });
      const long = out.split("\n").filter((line) => line.length > columns && line.trim().includes(" "));
      assertEquals(long.filter((line) => !line.startsWith("Usage")), []);
    }
  });

  it("suggests the command that was meant, on the standard error output, with exit code 2", async () => {
    const { code, err, out } = await cli(["pign"]);
    assertEquals([code, out], [2, ""]);
    assertMatch(err, /^veltix: unknown command 'pign'\n\(Did you mean ping\?\)/);
  });

  for (
    const [what, args, says] of [
      ["an unknown option", ["ping", "--cuont", "1", "8080"], /unknown option '--cuont'\n\(Did you mean --count\?\)/],
      ["a missing argument", ["ping"], /missing required argument 'address'/],
      ["a number that is none", ["ping", "8080", "-c", "many"], /'-c, --count <n>' argument 'many' is invalid/],
      ["a code below those of programs", ["send", "8080", "7", "x"], /whole number from 200 to 65535/],
      ["an address that is none", ["ping", "nowhere"], /^veltix: "nowhere" is no address: write HOST:PORT/],
      ["a port that is none", ["ping", "host:70000"], /is no address/],
      ["a file that is not there", ["ping", "8080", "--ca", "/does/not/exist"], /^veltix: Cannot read \/does\/not/],
      ["a release that is none", ["ping", "8080", "--protocol", "9.9"], /protocol|release/],
      ["an identity without trust", ["ping", "8080", "--identity", "x.pem"], /--identity needs --trust/],
      ["a key that is none", ["ping", "8080", "--trust", "vx1:x"], /^veltix: --trust: Invalid public key/],
      ["two payloads", ["send", "8080", "200", "x", "--file", "y"], /not both/],
      ["two kinds of payload", ["send", "8080", "200", "x", "--hex", "--text"], /cannot be used with/],
      ["half a byte", ["send", "8080", "200", "abc", "--hex"], /two for each byte/],
      ["JSON that is none", ["send", "8080", "200", "{", "--json-payload"], /^veltix: The payload must be JSON/],
      ["metadata without a name", ["send", "8080", "200", "x", "--meta", "=x"], /NAME=VALUE/],
      ["a module and --echo", ["serve", "x.ts", "--echo"], /only one of them/],
      ["--echo and --relay", ["serve", "--relay", "--echo"], /cannot be used with/],
      ["--cert without --key", ["serve", "--cert", "x"], /go together/],
    ] as const
  ) {
    it(`refuses ${what} with exit code 2, says what is wrong, and shows no stack`, async () => {
      const { code, err, out } = await cli(args);
      assertEquals([code, out], [2, ""]);
      assertMatch(err, says);
      assertFalse(/^\s+at /m.test(err), err);
    });
  }

  it("refuses an unknown option in a file of options, of a client and of a server", async () => {
    const folder = mkdtempSync(join(tmpdir(), "veltix-cli-"));
    try {
      const file = join(folder, "config.json");
      writeFileSync(file, '{"heartbeet": 1}');
      for (const args of [["ping", "9"], ["serve", "--port", "0"]]) {
        const { code, err } = await cli([...args, "--config", file]);
        assertEquals(code, 2, err);
        assertStringIncludes(err, "heartbeet");
      }
      writeFileSync(file, "[1]");
      assertMatch((await cli(["ping", "9", "--config", file])).err, /must be a JSON object/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("tells a failure as JSON with --json, and with its stack if asked", async () => {
    const { code, err, out } = await cli(["ping", "1", "--json"]);
    assertEquals([code, out], [3, ""]);
    const failure = JSON.parse(err);
    assertEquals([failure.error, typeof failure.message, failure.stack], ["refused", "string", undefined]);
    for (
      const [args, says] of [
        [["--json", "pign"], /^unknown command 'pign' \(Did you mean ping\?\)$/],
        [["ping", "--json", "--cuont", "1", "8080"], /^unknown option '--cuont' \(Did you mean --count\?\)$/],
        [["ping", "--cuont", "1", "8080", "--json"], /^unknown option '--cuont'/],
        [["ping", "--json"], /^missing required argument 'address'$/],
        [["ping", "8080", "-c", "many", "--json"], /'-c, --count <n>' argument 'many' is invalid/],
        [["send", "8080", "200", "x", "--hex", "--text", "--json"], /cannot be used with/],
        [["ping", "nowhere", "--json"], /^"nowhere" is no address/],
        [["--json"], /^no command is given/],
      ] as const
    ) {
      const wrong = await cli(args);
      assertEquals([wrong.code, wrong.out, wrong.err.split("\n").length], [2, "", 2], wrong.err);
      const value = JSON.parse(wrong.err);
      assertEquals(Object.keys(value), ["error", "message"]);
      assertEquals(value.error, "usage");
      assertMatch(value.message, says);
    }
    // What comes after -- is no option.
    assertMatch((await cli(["ping", "--", "nowhere", "--json"])).err, /^veltix: /);
    for (const [args, env] of [[["ping", "1", "--verbose"], {}], [["ping", "1"], { VELTIX_DEBUG: "1" }]] as const) {
      assertMatch((await cli(args, { env })).err, /^\s+at /m);
    }
  });
});

describe("jsonLine()", () => {
  it("escapes what a terminal would obey, and is the same value", () => {
    const value = { ["n\u009b2J"]: ["\x1b[2J\x7f\u202e\u2028\u{e0041}é✓", 1, null], more: { deep: "\u200d" } };
    const line = jsonLine(value);
    assertEquals(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line), false, line);
    assertEquals(JSON.parse(line), value);
    assert(line.includes("é✓") && line.includes("\\u009b2J") && line.includes("\\udb40\\udc41"), line);
  });
});

describe("exitCodeOf()", () => {
  it("tells what went wrong", () => {
    const cases: readonly [error: unknown, code: number][] = [
      [new CommandError(ExitCode.REMOTE, "x"), 5],
      [new TimeoutError("timeout", "x"), 4],
      [new RemoteError("x", "x"), 5],
      [new ConnectionError("refused", "x"), 3],
      [new HandshakeError("unauthorized", "x"), 3],
      [new ProtocolError("corrupt", "x"), 3],
      [new ConfigError("invalid-config", "x"), 2],
      [new RangeError("x"), 2],
      [new Error("x"), 1],
      ["thrown", 1],
      [undefined, 1],
    ];
    for (const [error, code] of cases) assertEquals(exitCodeOf(error), code, String(error));
  });
});

describe("failureOf()", () => {
  it("makes one clear line of a missing permission of Deno", () => {
    const error = Object.assign(
      new Error('Requires net access to "127.0.0.1:9", run again with the --allow-net flag'),
      {
        name: "NotCapable",
      },
    );
    assertEquals(
      failureOf(error).message,
      'Deno does not allow net access to "127.0.0.1:9": start it with --allow-net, or with -A for all permissions',
    );
  });

  it("shows nothing that a terminal would obey", () => {
    assertEquals(failureOf(new Error("a\x1b[2Jb\x07")).message, "a?[2Jb?");
    const coded = Object.assign(new Error("x"), { code: "bad\u009b2J" });
    assertEquals(failureOf(coded).code, "bad?2J");
  });

  it("is one line, whatever lines a peer has written", () => {
    const error = new RemoteError("x", "one\r\n✓ Ping ok\n\u2028veltix: all is well\n");
    const { message, stack } = failureOf(error);
    assertEquals(message.split(/\s*\n/).length, 1);
    assertMatch(message, /one ✓ Ping ok veltix: all is well$/);
    assertEquals(/^(✓|veltix)/m.test(stack ?? ""), false, stack);
  });
});

describe("Output", () => {
  it("has colors only where a terminal shows them, and neither --no-color nor NO_COLOR is there", () => {
    const color = (interactive: boolean, options: object = {}, env: Record<string, string> = {}): boolean =>
      new Output(new FakeTerminal({ interactive, env }), options).color;
    assertEquals([color(true), color(false), color(true, { color: false })], [true, false, false]);
    assertEquals([color(true, {}, { NO_COLOR: "1" }), color(true, { json: true })], [false, false]);
    assertEquals([color(false, {}, { FORCE_COLOR: "1" }), color(true, {}, { NO_COLOR: "" })], [true, true]);
  });

  it("shows progress to people only, within the width, and takes it away", () => {
    const terminal = new FakeTerminal({ interactive: true, columns: 10 });
    const output = new Output(terminal);
    output.progress("0123456789abc");
    assertEquals(terminal.errors, "\r\x1b[K012345678");
    output.result({}, () => "done");
    assertEquals([terminal.errors.endsWith("\r\x1b[K"), terminal.output], [true, "done\n"]);
    for (const options of [{ quiet: true }, { json: true }]) {
      const silent = new FakeTerminal({ interactive: true });
      new Output(silent, options).progress("x");
      assertEquals(silent.errors, "");
    }
    const pipe = new FakeTerminal();
    new Output(pipe).progress("x");
    new Output(pipe).hint("x");
    assertEquals(pipe.errors, "");
  });
});

describe("addressOf()", () => {
  it("reads every form", () => {
    assertEquals(addressOf("8080"), { hostname: "127.0.0.1", port: 8080 });
    assertEquals(addressOf("example.org:1"), { hostname: "example.org", port: 1 });
    assertEquals(addressOf("[::1]:65535"), { hostname: "::1", port: 65_535 });
    assertEquals(addressOf("tcp://a:2"), { hostname: "a", port: 2 });
    assertEquals([addressOf("unix:/a b"), addressOf("./a"), addressOf("/a")], [{ path: "/a b" }, { path: "./a" }, {
      path: "/a",
    }]);
    assertEquals(addressOf("wss://a/b"), { url: "wss://a/b" });
    assertEquals(addressOf("127.0.0.1:0", 0), { hostname: "127.0.0.1", port: 0 });
  });

  it("refuses what is none, as an error of use", () => {
    for (const wrong of ["", "host", "host:", "host:0", "host:65536", "ws://", "wss://[", "a b:1"]) {
      const error = assertThrows(() => addressOf(wrong), CommandError, "is no address");
      assertEquals(error.exitCode, ExitCode.USAGE);
    }
  });
});

describe("shownPayload()", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

  it("tells JSON, text and bytes apart", () => {
    assertEquals(shownPayload(bytes('{"a": 1}')), { kind: "json", value: { a: 1 }, text: '{"a":1}' });
    assertEquals(shownPayload(bytes("true")).kind, "json");
    assertEquals(shownPayload(bytes("{a}")), { kind: "text", value: "{a}", text: "{a}" });
    assertEquals(shownPayload(Uint8Array.of(0xff, 0x00)), { kind: "hex", value: "ff00", text: "ff00" });
    assertEquals(shownPayload(Uint8Array.of()), { kind: "empty", value: null, text: "" });
  });

  it("shows control characters and what changes the direction of text as harmless", () => {
    assertEquals(shownPayload(bytes("a\x1b[2J")).kind, "hex");
    assertEquals(shownPayload(bytes("a\x1b[2J"), "text").text, "a?[2J");
    assertEquals(shownPayload(bytes("a\u202eb")).text, "a?b");
    // What JSON does not escape by itself.
    assertEquals(shownPayload(bytes('"\u009b2J"')).text, '"?2J"');
  });

  it("shows what is nested too deep as text, and what only looks so as JSON", () => {
    for (const depth of [201, 100_000]) {
      const deep = "[".repeat(depth) + "]".repeat(depth);
      assertEquals(shownPayload(bytes(deep)), { kind: "text", value: deep, text: deep });
    }
    for (const json of ["[".repeat(200) + "]".repeat(200), `["${"[".repeat(300)}","\\"${"{".repeat(300)}"]`]) {
      assertEquals(shownPayload(bytes(json)).text, json);
    }
    const row = `[${Array(300).fill("[]").join(",")}]`;
    assertEquals(shownPayload(bytes(row)).text, row);
  });

  it("puts it on one line of a certain width", () => {
    assertEquals(payloadLine(shownPayload(bytes("a\nb\tc")), 80), "a⏎b c");
    assertEquals(payloadLine(shownPayload(bytes("0123456789")), 5), "0123…");
  });
});

describe("latencyOf()", () => {
  it("computes what a slow, obviously right reference does", () => {
    const times = Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1000 + 1);
    const { avg, max, min, p50, p95, p99, stddev } = latencyOf(times)!;
    assertEquals([min, p50, p95, p99, max, avg], [1, 500, 950, 990, 1000, 500.5]);
    assertEquals(stddev.toFixed(6), Math.sqrt((1000 ** 2 - 1) / 12).toFixed(6));
    assertEquals(latencyOf([]), undefined);
    assertEquals([percentile([3], 0), percentile([3], 100), percentile([1, 2], 51)], [3, 3, 2]);
  });
});

describe("binsOf()", () => {
  it("counts each time once, in ranges with round limits", () => {
    for (const times of [[1, 2, 3], [0.5, 0.5], [5], Array.from({ length: 500 }, (_, i) => i / 7), [1e-3, 900]]) {
      const bins = binsOf(times);
      assertEquals(bins.reduce((sum, { count }) => sum + count, 0), times.length);
      assert(bins.length <= 11, `${bins.length} ranges`);
      bins.slice(1).forEach(({ from }, i) => assertEquals(from.toFixed(9), bins[i].to.toFixed(9)));
    }
    assertEquals(binsOf([]), []);
  });

  it("is drawn within the width of the terminal", () => {
    for (const columns of [40, 80]) {
      const lines = histogram(binsOf([1, 1, 1, 2, 3, 9, 30]), columns);
      assert(lines.every((line) => line.length <= columns), lines.join("\n"));
      assert(lines[0].includes("█"));
    }
  });
});

describe("a payload with control characters", () => {
  it("does nothing to the terminal of a request", async () => {
    const { at, server } = await serverFor((server) => server.on("message", ({ reply }) => reply(Uint8Array.of(0x1b))));
    await using _ = server;
    const { code, out } = await cli(["request", at, "200"]);
    assertEquals([code, out], [0, "1b\n"]);
  });
});
