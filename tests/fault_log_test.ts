/** What peers can write into the log: clean lines without stacks, and few of them, whatever they send. */

import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, json, type Log, messageType, PayloadError, RemoteError, Server, type StandardSchema } from "../mod.ts";
import { Logger } from "../src/logger/mod.ts";
import { FaultLog } from "../src/app/fault_log.ts";
import { TimerWheel } from "../src/base/timer_wheel.ts";
import { Flag } from "../src/wire/frame.ts";
import { Kept, onConsole } from "./logger_support.ts";
import { HOST, Lines, memoryWorld, Raw, until, type World } from "./session_support.ts";
import { utf8 } from "./wire_support.ts";

const JSON_TYPE = messageType(200, "json", json<unknown>());
const FAILS = messageType(201, "fails", bytes);
const OTHER = messageType(202, "other", bytes);
const ASK = messageType(203, "ask", bytes, bytes);
const HOSTILE =
  "\x1b[2J\r\n[14:00:00.000] INFO  all is well\n    at forged (file:1:1)\u2028\u202e\x9b31m\ud800\u200e\x07";
/** Whatever must not come out of a console, but for the breaks between lines. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u2028\u2029\u202a-\u202e\u2066-\u2069]|\p{Cs}/u;

/** Its issue has the keys of the payload as path, and quotes it. */
const quoting: StandardSchema<unknown, unknown> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => ({
      issues: [{ message: `refused ${JSON.stringify(value)}`, path: Object.keys(value ?? {}) }],
    }),
  },
};
const QUOTED = messageType(204, "quoted", json(quoting));

interface Served extends AsyncDisposable {
  readonly server: Server;
  readonly world: World;
  /** A client by hand that is let in. */
  join(): Promise<Raw>;
}

async function serve(logger: Log | undefined, set: (server: Server) => void = () => {}): Promise<Served> {
  const world = memoryWorld();
  const server = new Server({ hostname: HOST, port: 0, transport: world.transport, logger });
  server.route(JSON_TYPE, () => {});
  server.route(QUOTED, () => {});
  server.route(FAILS, ({ content }) => {
    throw new TypeError(`failed with ${new TextDecoder().decode(content)}`);
  });
  server.route(OTHER, () => {
    throw new TypeError("failed elsewhere");
  });
  set(server);
  await server.start();
  return {
    server,
    world,
    join: () => Raw.connect(world, server.addresses[0], "native"),
    [Symbol.asyncDispose]: () => server.close({ drain: 0 }),
  };
}

/** Sends messages, and waits until all of them are handled. */
async function flood(raw: Raw, count: number, code: number, content: string): Promise<void> {
  await raw.send(...Array.from({ length: count }, () => ({ code, content })), { code: 0, requestId: 1, flags: 1 });
  assertEquals((await raw.frame())!.code, 1);
}

const texts = (log: Lines): unknown[] => log.lines.map(([level, text]) => `${level} ${text}`);

describe("the log", () => {
  it("has ten lines a second of a kind, then how many more there were, even if nothing more comes", async () => {
    const log = new Lines();
    await using served = await serve(log);
    const raw = await served.join();
    await flood(raw, 1_244, 200, "{");
    const [first, ...rest] = texts(log);
    assertStringIncludes(first as string, "error Cannot decode the JSON: it is malformed: ");
    assertEquals(rest, Array(9).fill(first));
    await served.world.clock.advance(900);
    assertEquals(log.lines.length, 10);
    await served.world.clock.advance(200);
    assertEquals(texts(log).slice(10), ["error … and 1,234 more: PayloadError invalid-payload"]);
    await flood(raw, 12, 200, "{");
    assertEquals(log.lines.length, 21);
    await served.world.clock.advance(1_100);
    assertEquals(texts(log).slice(21), ["error … and 2 more: PayloadError invalid-payload"]);
    await served.world.clock.advance(10_000);
    assertEquals(log.lines.length, 22);
    await raw[Symbol.asyncDispose]();
  });

  it("tells of each kind when its own second is over", async () => {
    const log = new Lines();
    await using served = await serve(log);
    const raw = await served.join();
    await flood(raw, 11, 200, "{");
    await served.world.clock.advance(500);
    await flood(raw, 12, 202, "");
    await served.world.clock.advance(600);
    assertEquals(texts(log).slice(20), ["error … and 1 more: PayloadError invalid-payload"]);
    await served.world.clock.advance(500);
    assertEquals(texts(log).slice(21), ['error … and 2 more: TypeError in "other"']);
    await raw[Symbol.asyncDispose]();
  });

  it("is told of what was left out when the server closes, which leaves no timer", async () => {
    const log = new Lines();
    const served = await serve(log);
    const raw = await served.join();
    await flood(raw, 15, 200, "{");
    await raw[Symbol.asyncDispose]();
    await served.server.close();
    assertEquals(texts(log).slice(10), ["error … and 5 more: PayloadError invalid-payload"]);
    assertEquals(served.world.clock.pending, 0);
  });

  it("tells kinds apart, so that one does not hide another", async () => {
    const log = new Lines();
    await using served = await serve(log);
    const raw = await served.join();
    await flood(raw, 100, 200, "{");
    await flood(raw, 100, 201, "it");
    await flood(raw, 1, 202, "");
    assertEquals(log.lines.length, 21);
    assertEquals(texts(log).at(-1), "error failed elsewhere");
    await served.world.clock.advance(1_100);
    assertEquals(texts(log).slice(21), [
      "error … and 90 more: PayloadError invalid-payload",
      'error … and 90 more: TypeError in "fails"',
    ]);
    await raw[Symbol.asyncDispose]();
  });

  it("has a bounded number of kinds, whatever is thrown", () => {
    const log = new Lines();
    const faults = new FaultLog(log);
    const { clock } = memoryWorld();
    const wheel = new TimerWheel(clock);
    faults.begin(wheel, clock);
    for (let i = 0; i < 5_000; i++) {
      faults.error("error", Object.assign(new Error("x"), { name: `${HOSTILE}${i}`, code: `code ${i}` }));
    }
    faults.end();
    assert(log.lines.length < 100, String(log.lines.length));
    assertEquals(texts(log).at(-1), "error … and 4,926 more: other errors");
    for (const line of texts(log)) assert(!UNPRINTABLE.test(String(line)), JSON.stringify(line));
    assertEquals(wheel.size, 0);
    wheel.close();
  });

  it("does not keep events from being told each time", async () => {
    const log = new Lines();
    let heard = 0;
    await using served = await serve(log, (server) => server.on("error", () => heard++));
    const raw = await served.join();
    await flood(raw, 500, 200, "{");
    assertEquals([heard, log.lines], [500, []]);
    await raw[Symbol.asyncDispose]();
  });

  it("is no longer for strangers: each kind of refusal has its ten lines", async () => {
    const log = Object.assign(new Lines(), {
      debug(...line: unknown[]): void {
        log.lines.push(["debug", ...line]);
      },
    });
    await using served = await serve(log);
    const { clock, transport } = served.world;
    for (let i = 0; i < 30; i++) {
      const stranger = await transport.connect(served.server.addresses[0]);
      await stranger.write(utf8(i % 2 === 0 ? "\x00\x05abcde" : "GET / HTTP/1.1\r\n\r\n"));
      await until(() => served.server.stats().rejected === i + 1);
      stranger.abort();
    }
    assertEquals(log.lines.filter(([level]) => level === "warn").length, 10);
    for (let i = 0; i < 30; i++) {
      (await transport.connect(served.server.addresses[0])).abort();
      await until(() => served.server.stats().rejected === 31 + i);
    }
    assertEquals(log.lines.filter(([level]) => level === "debug").length, 10);
    await clock.advance(1_100);
    const [warned, noted] = texts(log).slice(20);
    assertEquals(warned, "warn … and 20 more: HandshakeError handshake-failed");
    assertMatch(String(noted), /^debug … and 20 more: connections rejected: /);
  });

  it("gets a peer's fault as its text alone, and a fault of the program's own with what was thrown", async () => {
    const log = new Lines();
    await using served = await serve(log, (server) => {
      server.route(ASK, (message, client) => client.request(ASK, message.data));
    });
    const raw = await served.join();
    await flood(raw, 1, 200, "[1,");
    await flood(raw, 1, 204, "1");
    await raw.send({ code: 203, requestId: 5, flags: Flag.REQUEST });
    const asked = (await raw.frame())!;
    const content = JSON.stringify({ code: HOSTILE, message: `${HOSTILE}${"x".repeat(500)}` });
    await raw.send({ code: 203, requestId: asked.requestId as number, flags: Flag.REPLY | Flag.ERROR, content });
    assertEquals((await raw.frame())!.requestId, 5);
    await flood(raw, 1, 201, HOSTILE);
    assertEquals(log.lines.map((line) => line.length), [2, 2, 2, 3]);
    const clean = "?[2J??[14:00:00.000] INFO  all is well?    at forged (file:1:1)???31m???";
    assertEquals(texts(log)[1], "error The payload is invalid: refused 1");
    assertEquals(
      texts(log)[2],
      `error The peer answered with an error: ${clean.replace("J??", "J?")}${"x".repeat(129)}… (371 more characters) ` +
        `(${clean})`,
    );
    assertEquals(texts(log)[3], `error failed with ${clean.replace("?31m???", "?31m\ufffd??")}`);
    assertInstanceOf(log.lines[3][2], TypeError);
    await raw[Symbol.asyncDispose]();
  });

  it("shows at most 200 characters of what a schema says of a payload, of where, and of malformed JSON", async () => {
    const log = new Lines();
    await using served = await serve(log);
    const raw = await served.join();
    await flood(raw, 1, 204, JSON.stringify({ [`${HOSTILE}${"k".repeat(800_000)}`]: 1 }));
    await flood(raw, 1, 200, `"${"x".repeat(800_000)}`);
    for (const [, line] of log.lines) {
      assert(String(line).length < 600 && !UNPRINTABLE.test(String(line)), JSON.stringify(line));
    }
    assertMatch(
      String(log.lines[0][1]),
      /^The payload is invalid: .{200}… \(\d+ more characters\): refused .+ more char/u,
    );
    await raw[Symbol.asyncDispose]();
  });
});

describe("the default log, and a Logger", () => {
  for (const name of ["the default log", "a Logger"] as const) {
    it(`${name}: nothing that a peer sends commands the terminal or passes for a line or a stack of its own`, async () => {
      const kept = new Kept();
      const said = await onConsole(async () => {
        const logger = name === "a Logger"
          ? new Logger({ stream: kept, useColors: false, level: "warning" })
          : undefined;
        await using served = await serve(logger, (server) => {
          server.route(ASK, async (message, client) => {
            try {
              return await client.request(ASK, message.data);
            } catch (cause) {
              throw new Error(`asked in vain: ${(cause as Error).message}`, { cause });
            }
          });
        });
        const raw = await served.join();
        await flood(raw, 1, 200, HOSTILE);
        await flood(raw, 1, 204, JSON.stringify({ [HOSTILE]: 1 }));
        await flood(raw, 1, 201, HOSTILE);
        await raw.send({ code: 203, requestId: 5, flags: Flag.REQUEST });
        const asked = (await raw.frame())!;
        const content = JSON.stringify({ code: HOSTILE, message: HOSTILE });
        await raw.send({ code: 203, requestId: asked.requestId as number, flags: Flag.REPLY | Flag.ERROR, content });
        assertEquals((await raw.frame())!.requestId, 5);
        await raw[Symbol.asyncDispose]();
        const stranger = await served.world.transport.connect(served.server.addresses[0]);
        await stranger.write(utf8(`\x00\x05${HOSTILE}`));
        await until(() => served.server.stats().rejected === 1);
        stranger.abort();
      });
      const entries = name === "a Logger" ? kept.text.replace(/\n$/, "").split(/\n(?! {4})/) : said;
      assertEquals(entries.length, 5, entries.join("\n"));
      for (const entry of entries) {
        assert(!UNPRINTABLE.test(entry), JSON.stringify(entry));
        const [, ...below] = entry.split("\n");
        for (const line of below) assert(line.startsWith("    "), JSON.stringify(entry));
      }
      const stack = entries.map((entry) => /\n +at .*fault_log_test\.ts:\d+/.test(entry));
      assertEquals(stack, [false, false, true, true, false]);
      assert(!entries.some((entry) => /^ {8,}at forged/m.test(entry)), entries.join("\n"));
      const [decoded, , own, caused] = entries.map((entry) => entry.split("\n"));
      assertEquals(decoded.length, 1);
      assertStringIncludes(own.join("\n"), "TypeError");
      assertStringIncludes(caused.join("\n"), "\n    Caused by: RemoteError");
    });
  }

  it("show whatever is thrown, and are not stopped by it", async () => {
    const hostile = new Proxy({}, {
      get: () => {
        throw new Error("get");
      },
      getPrototypeOf: () => {
        throw new Error("getPrototypeOf");
      },
      ownKeys: () => {
        throw new Error("ownKeys");
      },
    });
    const round = new Error("round");
    round.cause = round;
    const thrown = [undefined, null, 5, HOSTILE, { a: HOSTILE }, hostile, round, Object.create(null), Symbol("s")];
    const said = await onConsole(async () => {
      await using served = await serve(undefined, (server) => {
        server.unroute(OTHER);
        let next = 0;
        server.route(OTHER, () => {
          throw thrown[next++];
        });
      });
      const raw = await served.join();
      await flood(raw, thrown.length, 202, "");
      await raw[Symbol.asyncDispose]();
    });
    const lines = said.map((line) => line.split("\n")[0]);
    assertEquals(lines.slice(0, 3), ["error: undefined", "error: null", "error: 5"]);
    assertEquals(lines[4].startsWith("error: of type object: {"), true);
    assertEquals(said.filter((line) => UNPRINTABLE.test(line)), []);
    assertEquals(said.find((line) => line.includes("round"))!.match(/Caused by/g)?.length, 8);
  });
});

describe("the text of a RemoteError", () => {
  it("keeps what several lines and some scripts need, and nothing that commands a terminal", async () => {
    const family = "\u{1f469}\u200d\u{1f469}\u200d\u{1f467}";
    await using served = await serve(new Lines());
    const raw = await served.join();
    const [info] = served.server.clients;
    const answer = async (reply: unknown): Promise<RemoteError> => {
      const asked = info.request(ASK, new Uint8Array(1)).then(() => undefined, (error) => error);
      const { requestId } = (await raw.frame())!;
      const content = JSON.stringify(reply);
      await raw.send({ code: 203, requestId: requestId as number, flags: Flag.REPLY | Flag.ERROR, content });
      return await asked;
    };
    const error = await answer({ code: `c\n${HOSTILE}`, message: `a\r\n\tb ${family} ${HOSTILE}` });
    assertInstanceOf(error, RemoteError);
    assert(error.message.startsWith(`a\n\tb ${family} ?[2J\n[14`), JSON.stringify(error.message));
    assert(!UNPRINTABLE.test(error.message.replaceAll("\t", "")) && !UNPRINTABLE.test(error.code));
    assert(!error.code.includes("\n"));
    assertEquals((await answer({ code: "c", message: "m".repeat(5_000) })).message.length, 2_000);
    const large = await answer({ code: "c", message: "m", details: "d".repeat(70_000) });
    assertEquals([large.name, large.code], ["ProtocolError", "protocol-error"]);
    await raw[Symbol.asyncDispose]();
  });
});

describe("the error of a payload", () => {
  it("that can't be decoded is a PayloadError by class and by name", () => {
    try {
      JSON_TYPE.payload.decode(utf8("{"));
    } catch (error) {
      assertInstanceOf(error, PayloadError);
      assertEquals([error.name, error.constructor.name], ["PayloadError", "PayloadError"]);
      return;
    }
    throw new Error("nothing was thrown");
  });
});
