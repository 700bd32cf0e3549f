/**
 * The logger: its lines, levels and configuration. What it does with files is in `logger_file_test.ts`.
 *
 * @module
 */

import { configure, getConfig, type LogRecord, reset } from "@logtape/logtape";
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, messageType, Server, text } from "@veltix/core";
import { LOG_LEVELS, Logger, type LoggerConfig, type LogLevel } from "@veltix/core/logger";
import { memoryTransport } from "@veltix/core/memory";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { join } from "node:path";
import { ROOT } from "../scripts/runtimes.ts";
import { plainPath } from "../src/logger/caller.ts";
import { atNoon, Kept, NOON_TEXT, onConsole } from "./logger_support.ts";

const METHODS = ["trace", "debug", "info", "success", "warn", "error", "critical"] as const;
const LEVELS = Object.keys(LOG_LEVELS) as LogLevel[];
const PLAIN: LoggerConfig = { showTimestamp: false, showCaller: false, level: "trace" };

/** The lines of a plain logger. */
function linesOf(fn: (logger: Logger) => void, config: LoggerConfig = {}): string[] {
  const stream = new Kept();
  fn(new Logger({ ...PLAIN, stream, ...config }));
  return stream.lines;
}

function logAll(logger: Logger): void {
  for (const method of METHODS) logger[method](method);
}

describe("the lines of a Logger", () => {
  it("look like Python's, with the time, the level and where they come from", () => {
    const stream = new Kept();
    const logger = new Logger({ level: "trace", stream });
    const line = Number(new Error().stack?.match(/logger_test\.ts:(\d+)/)?.[1]) + 2;
    atNoon(() => {
      logger.info("Server listening on 0.0.0.0:8080");
      logger.warn("Two lines further");
    });
    assertEquals(stream.lines, [
      `[${NOON_TEXT}] INFO  [logger_test.ts:${line}] Server listening on 0.0.0.0:8080`,
      `[${NOON_TEXT}] WARN  [logger_test.ts:${line + 1}] Two lines further`,
    ]);
  });

  it("name each level in five characters", () => {
    assertEquals(linesOf(logAll), [
      "TRACE trace",
      "DEBUG debug",
      "INFO  info",
      "OK    success",
      "WARN  warn",
      "ERROR error",
      "CRIT  critical",
    ]);
  });

  it("leave out what they are told to", () => {
    atNoon(() => {
      const log = (logger: Logger): void => logger.info("x");
      assertEquals(linesOf(log, { showLevel: false }), ["x"]);
      assertEquals(linesOf(log, { showTimestamp: true }), [`[${NOON_TEXT}] INFO  x`]);
      assertMatch(linesOf(log, { showLevel: false, showCaller: true })[0], /^\[logger_test\.ts:\d+\] x$/);
    });
  });

  it("have Python's colors on a terminal or when told so, and none otherwise", () => {
    const colors = [90, 37, 36, 32, 33, 31, 41];
    const colored = linesOf(logAll, { useColors: true });
    const plain = linesOf(logAll);
    assertEquals(colored, plain.map((line, index) => `\x1b[${colors[index]}m${line}\x1b[0m`));

    const { env } = process;
    const before = env.NO_COLOR;
    const onTerminal = (): string[] => {
      const terminal = new Kept(true);
      new Logger({ ...PLAIN, stream: terminal }).info("x");
      return terminal.lines;
    };
    try {
      delete env.NO_COLOR;
      assertEquals(onTerminal(), ["\x1b[36mINFO  x\x1b[0m"]);
      env.NO_COLOR = "1";
      assertEquals(onTerminal(), ["INFO  x"]);
    } finally {
      if (before === undefined) delete env.NO_COLOR;
      else env.NO_COLOR = before;
    }
  });

  it("show data after the message", () => {
    const [line, ...rest] = linesOf((logger) => logger.info("got", "text", 5, { a: 1 }, undefined, 10n, [true]));
    assertEquals([line, rest], ["INFO  got text 5 { a: 1 } undefined 10n [ true ]", []]);
  });

  it("show errors below, with code, stack, causes and parts", () => {
    const cause = Object.assign(new TypeError("inner"), { code: "E_INNER" });
    const parts = new AggregateError([new RangeError("one"), "two"], "many");
    const lines = linesOf((logger) => logger.error("Failed", new Error("outer", { cause }), 5, parts));
    assertEquals(lines.filter((line) => !line.startsWith("        at ")), [
      "ERROR Failed 5",
      "    Error: outer",
      "    Caused by: TypeError [E_INNER]: inner",
      "    AggregateError: many",
      "    Error 1 of 2: RangeError: one",
      "    Error 2 of 2: two",
    ]);
    assertMatch(lines[2], /^ {8}at .*logger_test\.ts:\d+:\d+\)?$/);
  });

  it("end with errors that go round in circles", () => {
    const error = new Error("round");
    error.cause = error;
    const lines = linesOf((logger) => logger.error("x", error));
    assertEquals(lines.filter((line) => line.includes("Caused by")).length, 8);
  });

  it("cannot be forged by what they show", () => {
    const forged = "\n[00:00:00.000] ERROR [server.ts:1] forged";
    const evil = `a\r${forged}\x1b[31m\x1b[2J\x9b31m\u2028\u202e\x07\x7f`;
    class Shown {
      [Symbol.for("nodejs.util.inspect.custom")](): string {
        return evil;
      }
      [Symbol.for("Deno.customInspect")](): string {
        return evil;
      }
    }
    const error = new Error(evil);
    error.name = evil;
    const stack = new Error("short");
    stack.stack = `${evil}\n    at ${evil}`;
    const values = [evil, { [evil]: evil }, new Shown(), error, stack, new Map([[evil, evil]])];
    const stream = new Kept();
    const logger = new Logger({ stream, useColors: false });
    for (const value of values) logger.info(evil, value, evil);
    const starts = stream.lines.filter((line) => !line.startsWith("    "));
    assertEquals(starts.length, values.length);
    for (const line of starts) assertMatch(line, /^\[[\d:.]{12}\] INFO {2}\[logger_test\.ts:\d+\] a\\r\\n\[00/);
    // deno-lint-ignore no-control-regex
    assertEquals(stream.text.match(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/g), null);
  });

  it("come whatever the data does, and no call throws", () => {
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
    const error = new Error("x");
    Object.defineProperty(error, "message", {
      get: () => {
        throw new Error("message");
      },
    });
    const lines = linesOf((logger) => {
      logger.info("proxy", hostile);
      logger.info("error", error);
      for (const wrong of [undefined, null, 5, { a: 1 }, Symbol("s")]) logger.info(wrong as unknown as string);
    });
    assertEquals(lines.length, 7);
    assertMatch(lines[0], /^INFO {2}proxy /);
    assertEquals(lines[1], "INFO  error (a value that cannot be shown)");
  });

  it("name the caller of every method, also of a bound one", () => {
    const stream = new Kept();
    const logger = new Logger({ level: "trace", showTimestamp: false, stream });
    const here = (): number => Number(new Error().stack?.split("\n")[2]?.match(/logger_test\.ts:(\d+)/)?.[1]);
    const expected: number[] = [];
    for (const method of METHODS) {
      expected.push(here() + 1);
      logger[method]("x");
    }
    const bound = logger.info.bind(logger);
    expected.push(here() + 1);
    bound("x");
    assertEquals(stream.lines.map((line) => Number(line.match(/\[logger_test\.ts:(\d+)\]/)?.[1])), expected);
  });
});

describe("the caller", () => {
  /** What stands in the brackets. */
  const callerIn = (fn: (logger: Logger) => void): string | undefined => {
    const [line] = linesOf(fn, { showCaller: true });
    return line.match(/^INFO {2}\[(.+?):\d+\] x$/)?.[1];
  };

  it("is the nearest one in a file, and the limit of stack traces stays as it was", () => {
    const { stackTraceLimit } = Error as { stackTraceLimit?: number };
    const called = (logger: Logger): void => ["x"].forEach((text) => void logger.info(text));
    assertEquals(callerIn(called), "logger_test.ts");
    const byRuntime = (logger: Logger): void =>
      void ["x"].map(() => 0).sort(() => 0).forEach(logger.info.bind(logger, "x"));
    assertMatch(linesOf(byRuntime, { showCaller: true })[0], /^INFO {2}\[logger_test\.ts:\d+\] x 0 0 \[ 0 \]$/);
    assertEquals((Error as { stackTraceLimit?: number }).stackTraceLimit, stackTraceLimit);
  });

  it("is not a Server or a Client, however the runtime writes the paths of their files", () => {
    for (const file of ["file:///C:/my%20app/src/app/log.ts", "C:\\my app\\src\\app\\log.ts"]) {
      assertMatch(plainPath(file), /C:\/my app\/src\/app\/log\.ts$/);
    }
    assertEquals(plainPath("/C:/my%20app/log.ts"), "C:/my app/log.ts");
    assertEquals(plainPath("/srv/100%/log.ts"), "/srv/100%/log.ts");
  });

  it("is left out, or found all the same, when the application changes how stack traces are written", () => {
    const holder = Error as { prepareStackTrace?: unknown };
    const before = Object.getOwnPropertyDescriptor(holder, "prepareStackTrace");
    const replaced = [() => 5, () => {
      throw new Error("no stack");
    }];
    try {
      for (const prepare of replaced) {
        Object.defineProperty(holder, "prepareStackTrace", { value: prepare, configurable: true, writable: true });
        assertMatch(linesOf((logger) => logger.info("x"), { showCaller: true }).join("\n"), /^INFO {2}(\[\S+\] )?x$/);
      }
    } finally {
      if (before === undefined) delete holder.prepareStackTrace;
      else Object.defineProperty(holder, "prepareStackTrace", before);
    }
  });
});

describe("the level of a Logger", () => {
  it("lets through what is at least as severe", () => {
    assertEquals(Object.values(LOG_LEVELS), [5, 10, 20, 25, 30, 40, 50]);
    LEVELS.forEach((level, index) => {
      const lines = linesOf(logAll, { level, showLevel: false });
      assertEquals(lines, METHODS.slice(index), level);
    });
    assertEquals(linesOf(logAll, { level: undefined, showLevel: false }), METHODS.slice(2));
  });

  it("changes at run time, and so does whether anything is logged", () => {
    const lines = linesOf((logger) => {
      logger.setLevel("error");
      assertEquals([logger.level, logger.enabled], ["error", true]);
      logAll(logger);
      logger.disable();
      assertEquals([logger.level, logger.enabled], ["error", false]);
      logAll(logger);
      logger.setLevel("critical");
      logAll(logger);
      logger.enable();
      logAll(logger);
      const error = assertThrows(() => logger.setLevel("warn" as LogLevel), RangeError);
      assertMatch(error.message, /^level must be one of trace, .*, critical, not "warn"$/);
      assertEquals(logger.level, "critical");
    });
    assertEquals(lines, ["ERROR error", "CRIT  critical", "CRIT  critical"]);
    assertEquals(linesOf(logAll, { enabled: false }), []);
  });

  it("asks nothing of data that is not logged", () => {
    const untouchable = new Proxy({}, {
      get: () => {
        throw new Error("touched");
      },
    });
    assertEquals(linesOf((logger) => logger.debug("x", untouchable), { level: "info" }), []);
  });

  it("counts what was logged, level by level", () => {
    linesOf((logger) => {
      logAll(logger);
      logger.warn("again");
      logger.disable();
      logAll(logger);
      const counts = { trace: 0, debug: 0, info: 1, success: 1, warning: 2, error: 1, critical: 1 };
      assertEquals(logger.stats(), counts);
      logger.stats().info = 99;
      assertEquals(logger.stats(), counts);
      logger.configure({ ...PLAIN, stream: null });
      assertEquals(Object.values(logger.stats()), [0, 0, 0, 0, 0, 0, 0]);
    }, { level: "info" });
  });
});

describe("the configuration of a Logger", () => {
  it("is refused where it is wrong", () => {
    const wrong: [config: unknown, type: typeof TypeError | typeof RangeError, message: string][] = [
      [5, TypeError, "The configuration of a Logger must be an object, not 5"],
      [null, TypeError, "The configuration of a Logger must be an object, not null"],
      [{ level: "warn" }, RangeError, "level must be one of"],
      [{ level: "toString" }, RangeError, "level must be one of"],
      [{ level: 10 }, TypeError, "level must be one of"],
      [{ colors: true }, TypeError, 'Unknown option "colors": the configuration of a Logger has enabled,'],
      [{ toString: true }, TypeError, 'Unknown option "toString"'],
      [{ enabled: 1 }, TypeError, "enabled must be true or false, not 1"],
      [{ filePath: "" }, TypeError, 'filePath must be a non-empty string, not ""'],
      [{ fileRotationSize: 0 }, RangeError, "fileRotationSize must be a whole number of at least 1, not 0"],
      [{ fileBackupCount: 1.5 }, RangeError, "fileBackupCount must be a whole number of at least 1, not 1.5"],
      [{ fileBackupCount: "5" }, TypeError, 'fileBackupCount must be a number, not "5"'],
      [{ stream: {} }, TypeError, "stream must have the method write, or be null"],
    ];
    const logger = new Logger({ level: "debug", stream: null });
    for (const [config, type, message] of wrong) {
      for (
        const make of [(config: LoggerConfig) => new Logger(config), (config: LoggerConfig) => logger.configure(config)]
      ) {
        const error = assertThrows(() => make(config as LoggerConfig), type);
        assert(error.message.startsWith(message), error.message);
      }
    }
    assertEquals(logger.level, "debug");
    new Logger({ level: undefined, stream: null });
  });

  it("is replaced as a whole", () => {
    const [first, second] = [new Kept(), new Kept()];
    const logger = new Logger({ ...PLAIN, stream: first });
    logger.debug("to the first");
    logger.configure({ stream: second, showTimestamp: false, showCaller: false });
    logger.debug("below the default level");
    logger.info("to the second");
    assertEquals([first.lines, second.lines], [["DEBUG to the first"], ["INFO  to the second"]]);
  });

  it("leads to the console by default, as it is, to the method of the level", async () => {
    const said = await onConsole(() => logAll(new Logger({ ...PLAIN, useColors: false })));
    assertEquals(said, [
      "debug: TRACE trace",
      "debug: DEBUG debug",
      "info: INFO  info",
      "info: OK    success",
      "warn: WARN  warn",
      "error: ERROR error",
      "error: CRIT  critical",
    ]);
    assertEquals(await onConsole(() => new Logger({ ...PLAIN, useColors: false }).info("100 %s %c", "%d")), [
      "info: INFO  100 %s %c %d",
    ]);
  });
});

describe("a stream", () => {
  it("that fails, now or later, is named once, and no call throws", async () => {
    const failing = [
      () => {
        throw new Error("broken");
      },
      () => Promise.reject(new Error("broken")),
    ];
    for (const write of failing) {
      const said = await onConsole(async () => {
        const logger = new Logger({ stream: { write } });
        logger.info("one");
        logger.info("two");
        await new Promise((resolve) => setTimeout(resolve));
      });
      assertEquals(said, ["error: Cannot write to the stream of the log: broken"]);
    }
  });

  it("that logs itself is not called again meanwhile", () => {
    const lines: string[] = [];
    const logger: Logger = new Logger({
      ...PLAIN,
      stream: {
        write(line): void {
          lines.push(line);
          logger.info("once more");
        },
      },
    });
    logger.info("first");
    logger.info("second");
    assertEquals(lines, ["INFO  first\n", "INFO  second\n"]);
  });
});

describe("several Loggers", () => {
  it("are independent of each other and of the application's LogTape", async () => {
    const records: LogRecord[] = [];
    await configure({
      sinks: { kept: (record) => void records.push(record) },
      loggers: [{ category: [], sinks: ["kept"], lowestLevel: "trace" }, { category: ["logtape", "meta"] }],
    });
    try {
      const config = getConfig();
      const [one, two] = [new Kept(), new Kept()];
      const first = new Logger({ ...PLAIN, stream: one });
      const second = new Logger({ ...PLAIN, stream: two, level: "error" });
      first.info("first");
      second.info("second");
      first.disable();
      second.error("second");
      first.error("first");
      second.setLevel("trace");
      first.close();
      second.close();
      assertEquals([one.lines, two.lines], [["INFO  first"], ["ERROR second"]]);
      assertEquals([first.level, first.enabled, second.enabled], ["trace", false, true]);
      assertStrictEquals(getConfig(), config);
      assertEquals(records.filter(({ category }) => category[0] !== "logtape"), []);
    } finally {
      await reset();
    }
  });
});

describe("Logger.getInstance()", () => {
  it("makes one logger, gives it each configuration that follows, and makes a new one when it was closed", () => {
    const [one, two] = [new Kept(), new Kept()];
    const logger = Logger.getInstance({ ...PLAIN, stream: one });
    assertStrictEquals(Logger.getInstance(), logger);
    assertNotStrictEquals(new Logger({ stream: null }), logger);
    logger.debug("first");
    assertStrictEquals(Logger.getInstance({ ...PLAIN, level: "info", stream: two }), logger);
    logger.debug("no longer");
    logger.info("second");
    assertEquals([one.lines, two.lines], [["DEBUG first"], ["INFO  second"]]);
    assertThrows(() => Logger.getInstance({ level: "loud" as LogLevel }), RangeError);
    assertEquals(Logger.getInstance().level, "info");

    new Logger({ stream: null }).close();
    assertStrictEquals(Logger.getInstance(), logger);
    logger.close();
    const next = Logger.getInstance({ stream: null });
    assertNotStrictEquals(next, logger);
    next.close();
  });
});

describe("a Logger in the library", () => {
  it("gets the errors of a Server and a Client that nobody listens to", async () => {
    const CHAT = messageType(200, "chat", text);
    const transport = memoryTransport();
    const stream = new Kept();
    const logger = new Logger({ stream, level: "warning", showTimestamp: false });
    await using server = new Server({ hostname: "127.0.0.1", port: 0, transport, logger });
    const failed = Promise.withResolvers<void>();
    server.route(CHAT, () => {
      failed.resolve();
      throw new Error("the handler is broken");
    });
    await server.start();
    await using client = new Client({ ...server.addresses[0], transport, logger });
    await client.connect();
    client.send(CHAT, "hello");
    await failed.promise;
    await client.close();
    await server.close();
    assertMatch(stream.lines[0], /^ERROR \[\w+\.ts:\d+\] .*the handler is broken/);
    assert(stream.lines.some((line) => line.startsWith("        at ") && line.includes("logger_test.ts")), stream.text);
    assertEquals(logger.stats().error, 1);
  });

  it("is nothing that the core imports, nor is LogTape", () => {
    const seen = new Set(["mod.ts"]);
    for (const path of seen) {
      const source = readFileSync(join(ROOT, path), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
      assert(!source.includes("@logtape/"), `${path} imports LogTape`);
      for (const [, specifier] of source.matchAll(/"(\.{1,2}\/[^"\n]+\.ts)"/g)) {
        const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
        assert(!target.startsWith("src/logger/"), `${path} imports ${target}`);
        if (existsSync(join(ROOT, target))) seen.add(target);
      }
    }
    assert(seen.size > 30, `only ${seen.size} files were found`);
  });

  it("names the file of the library that wrote a line, not the one that passed it on", async () => {
    const lines: string[] = [];
    const logger = new Logger({
      stream: { write: (text: string) => lines.push(text) },
      useColors: false,
      level: "debug",
    });
    await using server = new Server({ hostname: "127.0.0.1", port: 0, transport: memoryTransport(), logger });
    await server.start();
    assertMatch(lines[0], /INFO +\[lifecycle\.[jt]s:\d+\] Server listening on 127\.0\.0\.1:\d+/);
  });
});
