/**
 * The logger's file: what is in it, rotation, failures, and what is there when the logger or the program ends.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Logger, type LoggerConfig } from "@veltix/core/logger";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { atNoon, filesOf, inFolder, Kept, NOON_TEXT, onConsole } from "./logger_support.ts";

const size = (text: string): number => new TextEncoder().encode(text).length;
/** The numbers at the ends of the lines. */
const numbersIn = (text: string): number[] =>
  text.split("\n").slice(0, -1).map((line) => Number(line.split(" ").at(-1)));
const upTo = (last: number, first: number = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** The log in a folder. */
function logIn(folder: string, config: LoggerConfig = {}): { logger: Logger; path: string } {
  const path = join(folder, "server.log");
  return { logger: new Logger({ stream: null, showCaller: false, filePath: path, ...config }), path };
}

describe("the file of a Logger", () => {
  it("gets every line, always with time and level, never with colors, after what was in it", () =>
    inFolder((folder) => {
      writeFileSync(join(folder, "server.log"), "before\n");
      const stream = new Kept();
      const config: LoggerConfig = { stream, useColors: true, showTimestamp: false, showLevel: false };
      const { logger, path } = logIn(folder, config);
      atNoon(() => logger.info("one"));
      logger.debug("not logged");
      logger.disable();
      logger.info("not logged");
      logger.close();
      assertEquals(readFileSync(path, "utf8"), `before\n[${NOON_TEXT}] INFO  one\n`);
      assertEquals(stream.lines, ["\x1b[36mone\x1b[0m"]);
    }));

  it("has its folders made, at the start and when someone takes them away", () =>
    inFolder(async (folder) => {
      const path = join(folder, "logs", "today", "veltix.log");
      const said = await onConsole(() => {
        const { logger } = logIn(folder, { filePath: path, fileRotationSize: 200 });
        assert(existsSync(path));
        rmSync(join(folder, "logs"), { recursive: true });
        for (const i of upTo(30)) {
          logger.info(`line ${i}`);
          logger.flush();
        }
        logger.close();
      });
      assertEquals(numbersIn(readFileSync(path, "utf8")).at(-1), 30);
      assertEquals(said, []);
    }));

  it("is there from the start, unless the logger is disabled", () =>
    inFolder((folder) => {
      const { logger, path } = logIn(folder, { enabled: false });
      assert(!existsSync(path));
      logger.enable();
      logger.info("now");
      logger.close();
      assertMatch(readFileSync(path, "utf8"), /now\n$/);
      rmSync(path);
      const { logger: other } = logIn(folder);
      assert(existsSync(path));
      other.close();
    }));

  it("has every line when `using` ends, or after flush(), and none after close()", () =>
    inFolder((folder) => {
      const path = join(folder, "server.log");
      const stream = new Kept();
      {
        using logger = logIn(folder, { stream }).logger;
        for (const i of upTo(500)) logger.info(`line ${i}`);
        logger.flush();
        assertEquals(numbersIn(readFileSync(path, "utf8")), upTo(500));
        for (const i of upTo(1000, 501)) logger.info(`line ${i}`);
      }
      assertEquals(numbersIn(readFileSync(path, "utf8")), upTo(1000));
      const { logger } = logIn(folder, { stream });
      logger.close();
      logger.close();
      logger.info("line 1001");
      logger.flush();
      assertEquals(numbersIn(readFileSync(path, "utf8")), upTo(1000));
      assertMatch(stream.lines.at(-1) ?? "", /line 1001$/);
    }));

  it("has them within moments by itself", () =>
    inFolder(async (folder) => {
      const { logger, path } = logIn(folder);
      for (const i of upTo(100)) logger.info(`line ${i}`);
      const end = Date.now() + 50_000;
      while (numbersIn(readFileSync(path, "utf8")).length < 100 && Date.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assertEquals(numbersIn(readFileSync(path, "utf8")), upTo(100));
      logger.close();
    }));

  it("has every line when the program ends without closing it", () =>
    inFolder((folder) => {
      const path = join(folder, "server.log");
      const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
      const args = [...flags, join(ROOT, "tests/logger_exit.ts"), path];
      const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", timeout: 50_000 });
      assertEquals([status, stderr], [0, ""]);
      assertEquals(numbersIn(readFileSync(path, "utf8")), upTo(200));
    }));

  it("is another one after configure()", () =>
    inFolder((folder) => {
      const { logger } = logIn(folder);
      logger.info("line 1");
      const other = join(folder, "other.log");
      logger.configure({ stream: null, filePath: other });
      logger.info("line 2");
      logger.close();
      const files = filesOf(folder);
      assertEquals(Object.keys(files), ["other.log", "server.log"]);
      assertEquals(Object.values(files).map(numbersIn), [[2], [1]]);
    }));
});

describe("rotation", () => {
  it("keeps every file within its size and loses no line", () =>
    inFolder((folder) => {
      const { logger } = logIn(folder, { fileRotationSize: 1000, fileBackupCount: 100 });
      for (const i of upTo(200)) logger.info(`Grüße aus Köln ${i}`);
      logger.close();
      const files = filesOf(folder);
      const names = ["server.log", ...upTo(Object.keys(files).length - 1).map((i) => `server.log.${i}`)];
      assert(names.length > 5, `only ${names}`);
      assertEquals(numbersIn(names.map((name) => files[name]).reverse().join("")), upTo(200));
      for (const name of names) assert(size(files[name]) <= 1000, `${name} has ${size(files[name])} bytes`);
      // A line has up to 45 bytes: where 100 are left there was room.
      for (const name of names.slice(1)) assert(size(files[name]) > 900, `${name} has ${size(files[name])} bytes`);
    }));

  it("keeps as many former files as configured, the newest lines in them", () =>
    inFolder((folder) => {
      for (const first of [1, 101]) {
        const { logger } = logIn(folder, { fileRotationSize: 500, fileBackupCount: 3 });
        for (const i of upTo(first + 99, first)) logger.info(`line ${i}`);
        logger.close();
      }
      const files = filesOf(folder);
      assertEquals(Object.keys(files), ["server.log", "server.log.1", "server.log.2", "server.log.3"]);
      const numbers = numbersIn(Object.values(files).reverse().join(""));
      assertEquals(numbers, upTo(200, numbers[0]));
    }));

  it("counts what was in the file before", () =>
    inFolder((folder) => {
      writeFileSync(join(folder, "server.log"), "x".repeat(990));
      const { logger } = logIn(folder, { fileRotationSize: 1000 });
      logger.info("line 1");
      logger.close();
      assertEquals(Object.values(filesOf(folder)).map(size), [size("[00:00:00.000] INFO  line 1\n"), 990]);
    }));

  it("begins anew when someone has taken the file away", () =>
    inFolder((folder) => {
      const { logger, path } = logIn(folder, { fileRotationSize: 200 });
      logger.info("line 1");
      logger.flush();
      rmSync(path);
      for (const i of upTo(30, 2)) {
        logger.info(`line ${i}`);
        logger.flush();
      }
      logger.close();
      assertEquals(numbersIn(readFileSync(path, "utf8")).at(-1), 30);
      const text = Object.values(filesOf(folder)).join("");
      // What fitted into the file that nobody could see any more is lost with it: at most seven lines of 28 bytes.
      assert(numbersIn(text).length >= 23, text);
    }));
});

describe("a file that cannot be written", () => {
  it("is named once on the console, hinders nothing, and is written when it can be", () =>
    inFolder(async (folder) => {
      const stream = new Kept();
      // A file stands where its folder belongs.
      const path = join(folder, "missing", "server.log");
      writeFileSync(join(folder, "missing"), "");
      const said = await onConsole(() => {
        const { logger } = logIn(folder, { stream, filePath: path });
        logger.info("line 1");
        logger.flush();
        logger.error("line 2");
        logger.flush();
        assertEquals(stream.lines.length, 2);
        rmSync(join(folder, "missing"));
        logger.info("line 3");
        logger.flush();
        logger.close();
      });
      assertEquals(numbersIn(readFileSync(path, "utf8")), [3]);
      assertEquals(said.length, 1, said.join("\n"));
      assert(said[0].startsWith(`error: Cannot write the log file ${JSON.stringify(path)}: `), said[0]);
    }));

  it("may be a folder, or have one where a former file would go", () =>
    inFolder(async (folder) => {
      mkdirSync(join(folder, "server.log"));
      mkdirSync(join(folder, "other.log.1", "x"), { recursive: true });
      const said = await onConsole(() => {
        const { logger } = logIn(folder);
        logger.info("line 1");
        logger.close();
        const config: LoggerConfig = { filePath: join(folder, "other.log"), fileRotationSize: 100, fileBackupCount: 1 };
        const { logger: other } = logIn(folder, config);
        for (const i of upTo(10)) {
          other.info(`line ${i}`);
          other.flush();
        }
        other.close();
      });
      assertEquals(said.map((line) => line.match(/\w+\.log(?=")/)?.[0]), ["server.log", "other.log"]);
    }));
});
