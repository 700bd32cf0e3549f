/**
 * `deno task cli-page`: runs each command of the command line as a stranger would, in a terminal that `tmux` gives it, and
 * writes what it prints into `docs/cli.md`, between two markers. Times, ports, keys and the like are replaced by fixed
 * ones, so that the page changes only when the commands do.
 *
 * To add a command: a row in `RUNS`.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { binsOf, histogram, latencyOf, timeText } from "../src/cli/latency.ts";
import { makeContext } from "../src/cli/command.ts";
import { commandTree } from "../src/cli/completions/tree.ts";
import { makeProgram } from "../src/cli/program.ts";
import { connectionHelp, helpOf } from "./cli_help.ts";
import { processTerminal } from "../src/cli/terminal.ts";
import { ROOT } from "./runtimes.ts";

/** A command that is run for the page. In its text, `PORT` is that of the server, and `SECOND` another one. */
interface Run {
  /** The command, which its section belongs to. A command without a run has its help alone. */
  readonly of: string;
  /** What it shows, for readers. */
  readonly says: string;
  /** What is typed. */
  readonly types: string;
  /** A server that runs meanwhile, by what is typed; its outputs are not shown. */
  readonly server?: string;
  /** Presses Ctrl+C when the output matches. */
  readonly interrupt?: RegExp;
  /** What is typed in a second terminal when the output matches, before Ctrl+C. */
  readonly meanwhile?: { readonly when: RegExp; readonly types: string };
  /** The width of the terminal. @default 80 */
  readonly columns?: number;
}

const ECHO = "veltix serve --port PORT";

/** The runs, in the order of the page. Those of a command are together. */
const RUNS: readonly Run[] = [
  {
    of: "serve",
    says: "An echo server, and a client that comes and goes. Ctrl+C closes it.",
    types: "veltix serve --port PORT",
    meanwhile: { when: /Listening/, types: "veltix send PORT 200 hi" },
    interrupt: /- #1/,
  },
  {
    of: "serve",
    says: "The routes of a module, `greet.ts`.",
    types: "veltix serve greet.ts --port PORT",
    meanwhile: { when: /Listening/, types: "veltix request PORT 200 Ada" },
    interrupt: /- #1/,
  },
  { of: "ping", says: "Five in a row.", types: "veltix ping PORT -c 5 -i 0.1", server: ECHO },
  {
    of: "send",
    says: "A text, and bytes a thousand times.",
    types: "veltix send PORT 200 'hello'; veltix send PORT 201 --hex '00 ff' --count 1000",
    server: ECHO,
  },
  {
    of: "request",
    says: "JSON, with the size, the time and the metadata of the answer.",
    types: `veltix request PORT 200 '{"a":1}' --json-payload --meta user=ada -v`,
    server: ECHO,
  },
  {
    of: "request",
    says: "The same for a program.",
    types: `veltix request PORT 200 '{"a":1}' --json`,
    server: ECHO,
  },
  {
    of: "listen",
    says: "Messages of other clients, through a server that relays.",
    types: "veltix listen PORT --count 3",
    server: "veltix serve --relay --port PORT",
    meanwhile: {
      when: /Listening/,
      types: `veltix send PORT 200 'hello'; veltix send PORT 201 '{"x":1}'; veltix send PORT 202 --hex 1b5b324a`,
    },
  },
  {
    of: "inspect",
    says: "What a client and a server say to each other.",
    types: "veltix inspect PORT --listen SECOND --kind message,request,reply,ping,pong",
    server: ECHO,
    meanwhile: { when: /Listening/, types: "veltix request SECOND 200 'hello' --meta user=ada" },
    interrupt: /reply/,
  },
  {
    of: "decode",
    says: "A frame in hexadecimal digits, and the same with a bit that is wrong.",
    types:
      "echo 'cb 01 00 c8 00 00 00 05 00 00 00 07 cf 4a 76 68 68 65 6c 6c 6f' | veltix decode - --protocol native; " +
      "echo 'cb 01 00 c8 00 00 00 05 00 00 00 07 cf 4a 76 68 68 65 6c 6c 6e' | veltix decode - --protocol native",
  },
  { of: "doctor", says: "All is well.", types: "veltix doctor localhost:PORT", server: ECHO },
  {
    of: "doctor",
    says: "The server speaks TLS, and nobody vouches for its certificate.",
    types: "veltix doctor localhost:PORT; veltix doctor localhost:PORT --tls",
    server: "veltix serve --port PORT --cert server.crt --key server.key",
  },
  {
    of: "doctor",
    says: "A WebSocket, and pages that may not open one.",
    types: "veltix doctor ws://localhost:PORT/veltix --origin https://example.org",
    server: "veltix serve --port PORT --websocket /veltix",
  },
  { of: "doctor", says: "In a narrow terminal.", types: "veltix doctor localhost:PORT", columns: 40 },
  { of: "keygen", says: "A new identity.", types: "veltix keygen new.pem" },
  {
    of: "fingerprint",
    says: "An identity, and a certificate.",
    types: "veltix fingerprint; veltix fingerprint server.crt",
  },
  {
    of: "fingerprint",
    says: "An encrypted server.",
    types: "veltix fingerprint localhost:PORT",
    server: "veltix serve --port PORT --identity identity.pem",
  },
  { of: "completions", says: "The beginning of a script.", types: "veltix completions fish | head -3 | cut -c 1-80" },
  { of: "", says: "A command that is misspelled.", types: "veltix pign PORT; echo $?" },
];

const PAGE = `${ROOT}docs/cli.md`;
const BEGIN = "<!-- begin: deno task cli-page -->";
const END = "<!-- end: deno task cli-page -->";
/** The text that says that a command has ended. */
const DONE = "(ended)";
/** How long a command may take, in milliseconds. */
const LIMIT = 60_000;
/** The times that stand in for those that were measured, in milliseconds. */
const TIMES = [0.42, 0.39, 0.55, 0.41, 0.47];

const MODULE = `import { messageType, text } from "@veltix/core";

const GREET = messageType(200, "greet", text, text);
export default { greet: { type: GREET, handler: ({ data }) => \`Hello \${data}\` } };
`;

/** A server of tmux of its own, with a terminal for each command. */
class Terminals {
  readonly #socket = `veltix-page-${process.pid}`;
  readonly #folder: string;
  #count = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Opens a terminal with a command in it. Returns its name. */
  open(typed: string, columns: number): string {
    const name = `t${this.#count++}`;
    const cli = `${process.execPath} run -A -q --no-check ${ROOT}src/cli/mod.ts`;
    const script = `veltix() { ${cli} "$@"; }; ${typed}; printf '%s\\n' '${DONE}'; exec sleep 600`;
    writeFileSync(join(this.#folder, `.${name}.sh`), script);
    this.#tmux(
      "new-session",
      "-d",
      "-s",
      name,
      "-x",
      String(columns),
      "-y",
      "100",
      "-c",
      this.#folder,
      `bash .${name}.sh`,
    );
    return name;
  }

  /** Waits until the output of a terminal matches. Returns all of it, with lines that were broken joined. */
  async until(name: string, pattern: RegExp): Promise<string> {
    const end = performance.now() + LIMIT;
    for (;;) {
      const output = this.#tmux("capture-pane", "-p", "-J", "-t", name);
      if (pattern.test(output)) {
        return output.split(DONE)[0].split("\n").map((line) => line.trimEnd()).join("\n").trim();
      }
      if (performance.now() > end) throw new Error(`No ${pattern} within ${LIMIT} ms in: ${output}`);
      await sleep(50);
    }
  }

  /** Presses Ctrl+C. */
  interrupt(name: string): void {
    this.#tmux("send-keys", "-t", name, "C-c");
  }

  close(name: string): void {
    this.#tmux("kill-session", "-t", name);
  }

  [Symbol.dispose](): void {
    this.#tmux("kill-server");
  }

  #tmux(...args: string[]): string {
    const { error, status, stderr, stdout } = spawnSync("tmux", ["-L", this.#socket, "-f", "/dev/null", ...args], {
      encoding: "utf8",
      env: { ...process.env, TERM: "xterm-256color", LC_ALL: "C.UTF-8", NO_COLOR: undefined, FORCE_COLOR: undefined },
    });
    if (status !== 0 && args[0] !== "kill-server") throw new Error(`tmux ${args[0]}: ${error?.message ?? stderr}`);
    return stdout;
  }
}

/** Runs a command, and returns what its terminal shows. */
async function outputOf(terminals: Terminals, run: Run): Promise<string> {
  const [port, second] = [String(await freePort()), String(await freePort())];
  const typed = (text: string): string => text.replaceAll("PORT", port).replaceAll("SECOND", second);
  const columns = run.columns ?? 80;
  const server = run.server ?? (run.columns === undefined ? undefined : ECHO);
  const serving = server === undefined ? undefined : terminals.open(typed(server), 80);
  if (serving !== undefined) await terminals.until(serving, /Listening/);
  const name = terminals.open(typed(run.types), columns);
  const { interrupt, meanwhile } = run;
  if (meanwhile !== undefined) {
    await terminals.until(name, meanwhile.when);
    const other = terminals.open(typed(meanwhile.types), 80);
    await terminals.until(other, /\(ended\)/);
    terminals.close(other);
  }
  if (interrupt !== undefined) {
    await terminals.until(name, interrupt);
    terminals.interrupt(name);
    // The shell is interrupted, too, and does not go on.
    await sleep(1_000);
  }
  const output = await terminals.until(name, interrupt === undefined ? /\(ended\)/ : /Closing|damaged/);
  terminals.close(name);
  if (serving !== undefined) terminals.close(serving);
  return fixed(output, port, second);
}

/** Replaces what differs from run to run. */
function fixed(output: string, port: string, second: string): string {
  const { avg, max, min, p50, p95, p99, stddev } = latencyOf(TIMES)!;
  const three = (figures: readonly number[]): string => figures.map((ms) => ms.toFixed(3)).join("/");
  let seq = 0;
  const lines = output.replaceAll("^C", "").split("\n").flatMap((line) => {
    if (/^ *[\d.]+ – [\d.]+ ms +\d/.test(line)) return [];
    if (line.startsWith("rtt min")) return [`rtt min/avg/max/stddev = ${three([min, avg, max, stddev])} ms`];
    if (line.startsWith("rtt p50")) {
      return [`rtt p50/p95/p99 = ${three([p50, p95, p99])} ms`, ...histogram(binsOf(TIMES), 80)];
    }
    if (/seq=\d/.test(line)) {
      return [line.replace(/time=[\d.]+/, () => `time=${timeText(TIMES[seq++ % TIMES.length])}`)];
    }
    return [
      line.replaceAll(/\b\d+(\.\d+)? ms\b/g, "0.42 ms").replace(/"ms":[\d.]+/, '"ms":0.42').replace(
        /time [\d.]+ ms/,
        "time 402 ms",
      )
        .replace(/^\d\d:\d\d:\d\d\.\d{3}/, "12:00:00.000")
        .replace(/^ *\d+\.\d{3} #/, "   0.123 #"),
    ];
  });
  return lines.join("\n").replaceAll(port, "8080").replaceAll(second, "9000").replaceAll(
    /127\.0\.0\.1:\d{5}\b/g,
    "127.0.0.1:50000",
  );
}

/** Replaces the keys of an identity that is new in each run. */
function withFixedKeys(output: string): string {
  return output.replace(/vx1:[\w-]{43}/, `vx1:${"A".repeat(43)}`).replace(
    /[A-Z\d]{4}(?:-[A-Z\d]{4}){3}/,
    "AAAA-BBBB-CCCC-DDDD",
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function block(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}

/** Returns the generated part of the page. */
async function generated(terminals: Terminals): Promise<string> {
  using terminal = processTerminal();
  const program = makeProgram(makeContext({ ...terminal, columns: 80 }));
  const section = async (name: string): Promise<string[]> => {
    const command = name === "" ? program : program.commands.find((one) => one.name() === name)!;
    const parts = [name === "" ? "### `veltix`" : `### \`veltix ${name}\``, block(helpOf(command))];
    for (const run of RUNS.filter(({ of }) => of === name)) {
      console.error(`veltix ${name}: ${run.says}`);
      const output = await outputOf(terminals, run);
      const text = name === "keygen" ? withFixedKeys(output) : output;
      const typed = [run.meanwhile?.types, run.types].filter((text) => text !== undefined).map((text) =>
        text.replaceAll("PORT", "8080").replaceAll("SECOND", "9000")
      );
      const meanwhile = typed.length === 2 ? ` Meanwhile, elsewhere: \`${typed[0]}\`.` : "";
      parts.push(`${run.says}${meanwhile}`, block(`$ ${typed.at(-1)}\n${text}`));
    }
    return parts;
  };
  const names = commandTree(program).filter(({ path }) => path.length <= 1).map(({ path }) => path[0] ?? "");
  const sections: string[] = [];
  for (const name of names) sections.push(...await section(name));
  const some = program.commands.find((command) => connectionHelp(command) !== undefined)!;
  sections.push("### Options of a connection", block(connectionHelp(some)!));
  return sections.join("\n\n");
}

const folder = mkdtempSync(join(tmpdir(), "veltix-page-"));
try {
  writeFileSync(join(folder, "greet.ts"), MODULE);
  for (const [from, to] of [["server.crt"], ["server.key"], ["server-identity.pem", "identity.pem"]]) {
    copyFileSync(`${ROOT}tests/certificates/${from}`, join(folder, to ?? from));
    spawnSync("chmod", ["600", join(folder, to ?? from)]);
  }
  using terminals = new Terminals(folder);
  const page = readFileSync(PAGE, "utf8");
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error(`docs/cli.md has no "${BEGIN}" and "${END}"`);
  writeFileSync(PAGE, `${head}${BEGIN}\n\n${await generated(terminals)}\n\n${END}${tail}`);
  spawnSync(process.execPath, ["fmt", "-q", PAGE], { stdio: "inherit" });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
