/**
 * Projects of users: folders far from the checkout, made from nothing, in which programs run with no more of this
 * process' environment than they need.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { type AddressInfo, createServer } from "node:net";
import { basename, delimiter, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ROOT, type RuntimeName } from "../runtimes.ts";
import { QUICK_START_PRINTS, quickStart } from "./quick_start.ts";

/** Longer than anything here takes, in milliseconds: downloads on a slow line, too. */
const TIME_LIMIT = 180_000;

/** The programs of users, by their names in `programs/`, without the README's quick start. */
export const PROGRAM_NAMES = [
  "protocols",
  "talk",
  "identity_file",
  "tls",
  "unix_socket",
  "worker",
  "log_file",
] as const;

/** What a program did. */
export interface Run {
  readonly status: number | null;
  readonly output: string;
}

/** What a project is made with. */
export interface ProjectOptions {
  readonly name: string;
  /** The URL of the registry that has the package. */
  readonly registry: string;
  /** The runtimes that its programs find, by their paths. */
  readonly runtimes: Readonly<Partial<Record<RuntimeName, string>>>;
}

/** A project of a user. */
export class Project {
  readonly #outer: string;
  readonly #env: Record<string, string>;
  /** Its own folder. */
  readonly folder: string;
  /** The port of its quick start. */
  readonly port: number;

  /** Makes the folder, with the programs of users in it. */
  static async create(options: ProjectOptions): Promise<Project> {
    return new Project(options, await freePort());
  }

  private constructor({ name, registry, runtimes }: ProjectOptions, port: number) {
    this.#outer = mkdtempSync(join(tmpdir(), `veltix-consumer-${name}-`));
    this.folder = join(this.#outer, "project");
    this.port = port;
    const bin = join(this.#outer, "bin");
    mkdirSync(this.folder);
    mkdirSync(bin);
    for (const [runtime, path] of Object.entries(runtimes)) {
      symlinkSync(path, join(bin, runtime));
      if (runtime === "bun") symlinkSync(path, join(bin, "bunx"));
    }
    this.#env = {
      PATH: [bin, process.env.PATH].join(delimiter),
      JSR_URL: registry,
      // Each run publishes the same version, so no cache may know it from an earlier one.
      DENO_DIR: this.cache,
      BUN_INSTALL_CACHE_DIR: this.cache,
    };
    this.write("main.ts", quickStart(port));
    const programs = fileURLToPath(new URL("programs/", import.meta.url));
    for (const file of readdirSync(programs)) copyFileSync(join(programs, file), join(this.folder, file));
    this.makeData("data");
  }

  /** The folder into which Deno and Bun download. */
  get cache(): string {
    return join(this.#outer, "cache");
  }

  /** Makes a folder for the files of programs, empty but for certificates. */
  makeData(path: string): void {
    const data = join(this.folder, path);
    rmSync(data, { recursive: true, force: true });
    mkdirSync(data, { recursive: true });
    for (const name of ["server.crt", "server.key", "ca.crt"]) {
      copyFileSync(join(ROOT, "tests/certificates", name), join(data, name));
    }
  }

  /** Writes a file; an object becomes JSON. */
  write(path: string, content: string | object): void {
    const full = join(this.folder, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, typeof content === "string" ? content : `${JSON.stringify(content, undefined, 2)}\n`);
  }

  /** Runs a program in the folder. */
  run(program: string, args: readonly string[]): Promise<Run> {
    return runProgram(program, args, this.folder, this.#env);
  }

  /**
   * Runs a program in the folder, which must end well.
   *
   * @returns What it printed.
   * @throws {Error} It does not.
   */
  async must(program: string, args: readonly string[]): Promise<string> {
    const { status, output } = await this.run(program, args);
    if (status === 0) return output;
    throw new Error(`${[basename(program), ...args].join(" ")}: exit code ${status}\n${output}`);
  }

  /**
   * Runs a program in the folder, which must fail.
   *
   * @param says What it must print.
   * @throws {Error} It does not.
   */
  async mustFail(program: string, args: readonly string[], ...says: string[]): Promise<void> {
    const { status, output } = await this.run(program, args);
    const missing = says.filter((text) => !output.includes(text));
    if (status !== null && status !== 0 && missing.length === 0) return;
    throw new Error(`It should fail and say "${says.join('", "')}", but its exit code is ${status}:\n${output}`);
  }

  /** Runs a program of {@linkcode PROGRAM_NAMES} or the quick start, and reads what it printed. */
  async program(name: string, program: string, args: readonly string[]): Promise<void> {
    const output = await this.must(program, args);
    const expected = name === "main" ? QUICK_START_PRINTS : ["done"];
    const lines = output.split("\n").filter((line) => line !== "");
    if (lines.join("\n") !== expected.join("\n")) {
      throw new Error(`${name} prints something else than ${JSON.stringify(expected)}:\n${output}`);
    }
  }

  /** Removes it. */
  remove(): void {
    rmSync(this.#outer, { recursive: true, force: true });
  }
}

/** Runs a program with an environment that has nothing of what npm and Deno tell the programs that they start. */
export function runProgram(
  program: string,
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Run> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...cleanEnvironment(), ...env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own ends with what the program started. Windows has none.
      detached: process.platform !== "win32",
    });
    let output = "";
    const timer = setTimeout(() => {
      output += `\nended: it took longer than ${TIME_LIMIT / 1_000} seconds`;
      if (process.platform === "win32") child.kill();
      else process.kill(-child.pid!, "SIGKILL");
    }, TIME_LIMIT);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => output += chunk);
    }
    const end = (status: number | null, last = ""): void => {
      clearTimeout(timer);
      resolve({ status, output: (output + last).trim() });
    };
    child.on("error", ({ message }) => end(null, message));
    child.on("close", (status) => end(status));
  });
}

/** Returns how many bytes the files of a folder have together, and how many files there are. */
export function folderSize(folder: string): { bytes: number; files: number } {
  const sizes = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => statSync(join(parentPath, name)).size);
  return { bytes: sizes.reduce((sum, size) => sum + size, 0), files: sizes.length };
}

/** What npm and Deno tell the programs that they start, and what leads programs to the caches of this machine. */
const NOT_PASSED_ON =
  /^(npm_(lifecycle|package|command|execpath|node_execpath|config_user_agent|config_local_prefix)|INIT_CWD$|NODE_(OPTIONS|PATH)$|DENO_DIR$|BUN_INSTALL|JSR_)/;

function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !NOT_PASSED_ON.test(name)) as [string, string][];
  return {
    // Older versions trust only their own certificates otherwise, and not that of a proxy that the system trusts.
    DENO_TLS_CA_STORE: "mozilla,system",
    ...Object.fromEntries(kept),
    NO_COLOR: "1",
    RUST_BACKTRACE: "0",
    DENO_NO_UPDATE_CHECK: "1",
    npm_config_fetch_retries: "1",
    npm_config_update_notifier: "false",
  };
}

/** Returns a port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
