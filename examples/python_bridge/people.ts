/**
 * Who chats: a Python program with lines for standard input, or a client in this process.
 *
 * @module
 */

import { Client } from "@veltix/core";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { install, PYTHON } from "../../tests/interop/install.ts";
import { contract } from "../chat/contract.ts";

/** The Python program. */
export const CHAT = fileURLToPath(new URL("./chat.py", import.meta.url));
/** How long anybody may take, in milliseconds. */
const LIMIT = 15_000;

/** Somebody in the room. */
export interface Person {
  readonly name: string;
  /** What they run. */
  readonly program: string;
  say(line: string): void;
  /** Resolves when they have been told a line, such as `"Ann: Hello"`; rejects when that takes too long. */
  hears(line: string): Promise<void>;
  /** Says goodbye; resolves when they are gone. */
  leave(): Promise<void>;
  /** Ends the program, whatever it does. */
  kill(): void;
}

/** What somebody was told, until they are gone. */
class Ears {
  readonly #name: string;
  readonly #lines: string[] = [];
  #open = true;
  #look = (): void => {};

  constructor(name: string) {
    this.#name = name;
  }

  take(line: string): void {
    this.#lines.push(line);
    this.#look();
  }

  close(): void {
    this.#open = false;
    this.#look();
  }

  /** Takes the next line, which must be the wanted one. */
  async find(wanted: string): Promise<void> {
    let late: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      late = setTimeout(resolve, LIMIT);
      this.#look = () => (this.#lines.length > 0 || !this.#open) && resolve();
      this.#look();
    });
    clearTimeout(late);
    const line = this.#lines.shift();
    if (line === wanted) return;
    const what = line === undefined ? "nothing" : `"${line}"`;
    throw new Error(`${this.#name} was told ${what} in place of "${wanted}"${this.#open ? "" : ", and is gone"}`);
  }
}

/** Starts `chat.py` with a release of Python's Veltix; resolves when it has joined those who are there. */
export async function pythonPerson(name: string, release: string, port: number, there: string[]): Promise<Person> {
  const env = { ...process.env, PYTHONPATH: await install(release), PYTHONDONTWRITEBYTECODE: "1", PYTHONUTF8: "1" };
  const child: ChildProcess = spawn(PYTHON, [CHAT, name, `${port}`], { env, stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  const ears = new Ears(name);
  createInterface({ input: child.stdout! }).on("line", (line) => ears.take(line));
  child.stdin!.on("error", () => {}); // Its end shows below.
  ended.finally(() => ears.close()).catch(() => {});
  const person: Person = {
    name,
    program: `Python, veltix ${release}`,
    say: (line) => void child.stdin!.write(`${line}\n`),
    hears: (line) => ears.find(line),
    async leave(): Promise<void> {
      child.stdin!.end();
      const late = setTimeout(() => child.kill("SIGKILL"), LIMIT);
      await ended.finally(() => clearTimeout(late));
    },
    kill: () => void child.kill("SIGKILL"),
  };
  try {
    await person.hears(`You are ${name}. Here: ${[...there, name].join(", ")}`);
  } catch (error) {
    person.kill();
    throw error;
  }
  return person;
}

/** Connects a client of this library. */
export async function nativePerson(name: string, port: number): Promise<Person> {
  const client = new Client({ hostname: "127.0.0.1", port });
  const ears = new Ears(name);
  client.route(contract.said, ({ data }) => ears.take(`${data.name}: ${data.line}`));
  await client.connect();
  await client.request(contract.join, name);
  return {
    name,
    program: "TypeScript, native client",
    say: (line) => void client.send(contract.say, line),
    hears: (line) => ears.find(line),
    leave: () => client.close(),
    kill(): void {
      ears.close();
      void client.close({ drain: 0 });
    },
  };
}
