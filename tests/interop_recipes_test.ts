/**
 * The recipes of `docs/interop.md`, run as they stand there, on the runtime of the test: only the ports are other ones.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { install, problemOf, PYTHON } from "./interop/install.ts";
import { RELEASES } from "./interop/releases.ts";
import { freePort } from "./processes/free_port.ts";
import { until } from "./processes/waiting.ts";

/** What `pip install veltix` gives. */
const NEWEST = RELEASES.at(-1)!.name;
/** How long a program may take for what is expected of it, in milliseconds. */
const LIMIT = 50_000;

const page = readFileSync(`${ROOT}docs/interop.md`, "utf8");
const problem = await problemOf([NEWEST]);
if (problem !== undefined) console.warn(`SKIPPED: ${problem}`);

describe("the recipes of docs/interop.md", { ignore: problem !== undefined }, () => {
  it("run: your Python server, our client", async () => {
    await using recipe = await Recipe.make();
    const server = await recipe.start("server.py");
    // Its log says it; to connect just to look may hold a Python server up.
    await until("the server listens", LIMIT, () => server.lines.some((line) => line.includes("started")));
    const client = await recipe.start("client.ts");
    assertEquals(await client.over(), [
      `the server is ${NEWEST}`,
      "everybody heard: hello from TypeScript",
      "2 + 3 = 5",
    ]);
  });

  it("run: our server, your Python clients", async () => {
    await using recipe = await Recipe.make();
    const server = await recipe.start("server.ts");
    await until("the server listens", LIMIT, () => connects(recipe.ports[0]));
    const lines = await (await recipe.start("client.py")).over();
    assertEquals(lines.filter((line) => !line.includes("INFO")), ["everybody heard: hello from Python", "2 + 3 = 5"]);
    await until("the server tells", LIMIT, () => server.lines.some((line) => line.endsWith(` is ${NEWEST}`)));
  });
});

/** The programs of one recipe, in a folder of their own. */
class Recipe {
  /** What stands for 8080 and 8081. */
  readonly ports: readonly number[];
  readonly #folder: string;
  readonly #programs: Program[] = [];

  private constructor(ports: readonly number[], folder: string) {
    this.ports = ports;
    this.#folder = folder;
  }

  static async make(): Promise<Recipe> {
    mkdirSync(`${ROOT}.tmp`, { recursive: true });
    return new Recipe([await freePort(), await freePort()], mkdtempSync(`${ROOT}.tmp/recipe-`));
  }

  /** Starts the block of the page that begins with this name. */
  async start(name: string): Promise<Program> {
    const [, code] = page.match(new RegExp(`\\x60{3}\\w+\\n(?://|#) ${name}\\n([^]*?)\\x60{3}`)) ?? [];
    assert(code !== undefined, `there is no ${name} in the page`);
    const path = `${this.#folder}/${name}`;
    writeFileSync(path, code.replaceAll("8080", `${this.ports[0]}`).replaceAll("8081", `${this.ports[1]}`));
    const runtime = "Deno" in globalThis
      ? [process.execPath, "run", "-A", "--no-check", "--quiet"]
      : [process.execPath];
    const program = new Program(
      name.endsWith(".py") ? [PYTHON, "-u", path] : [...runtime, path],
      await install(NEWEST),
    );
    this.#programs.push(program);
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.kill()));
    rmSync(this.#folder, { recursive: true });
  }
}

/** A program that runs. */
class Program {
  /** What it has printed. */
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  #errors = "";

  constructor([command, ...args]: readonly string[], folder: string) {
    const env = { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1", NO_COLOR: "1" };
    this.#process = spawn(command, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#closed = once(this.#process, "close");
    let rest = "";
    this.#process.stdout!.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      this.lines.push(...lines);
    });
    this.#process.stderr!.on("data", (chunk) => this.#errors += chunk);
  }

  /** Waits until it ends by itself; returns what it has printed. */
  async over(): Promise<string[]> {
    const late = setTimeout(() => this.#process.kill("SIGKILL"), LIMIT);
    const [code] = await this.#closed;
    clearTimeout(late);
    assertEquals(code, 0, `${this.lines.join("\n")}\n${this.#errors}`);
    return this.lines;
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#closed;
  }
}

async function connects(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const there = await once(socket, "connect").then(() => true, () => false);
  socket.destroy();
  return there;
}
