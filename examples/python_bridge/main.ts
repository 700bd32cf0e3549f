/**
 * Two Python programs of different releases and a native client chat through one server in TypeScript:
 *
 *     deno run -A examples/python_bridge/main.ts
 *     deno run -A examples/python_bridge/main.ts --serve   keeps the server running, for people to join by hand
 *
 * It needs Python 3 with pip, which fetches the releases from PyPI once. The exit code is 0 when everybody was told every line.
 *
 * @module
 */

import { bold, cyan, dim, getColorEnabled, green, magenta, setColorEnabled, yellow } from "@std/fmt/colors";
import process from "node:process";
import { relative } from "node:path";
import { install, PYTHON } from "../../tests/interop/install.ts";
import { RELEASES } from "../../tests/interop/releases.ts";
import { CHAT, nativePerson, type Person, pythonPerson } from "./people.ts";
import { Room } from "./room.ts";

const OLD = "1.6.3";
const NEW = RELEASES.at(-1)!.name;
/** Where `--serve` listens; `../chat/client.ts` finds the first by itself. */
const PORTS = { new: 8_080, old: 8_081 };
const COLORS = [cyan, yellow, magenta];

const CONVERSATION = [
  ["Ann", `Hello! I am an old program: Python, veltix ${OLD}.`],
  ["Bob", `Python, too, but ${NEW}. Our releases refuse each other. How come you understand me?`],
  ["Cid", "The server speaks with each of you as you do, and native with me."],
  ["Ann", "Żółw, 乌龟, 🐢: does every letter arrive?"],
  ["Bob", "Żółw, 乌龟, 🐢: it does."],
  ["Cid", "Then I have nothing to add."],
] as const;

async function main(): Promise<void> {
  const serve = process.argv.includes("--serve");
  const doors = [
    { port: serve ? PORTS.old : 0, protocol: OLD },
    { port: serve ? PORTS.new : 0, protocol: NEW },
  ];
  const room = new Room(doors);
  const folders = await Promise.all([OLD, NEW].map(install));
  await room.server.start();
  const [oldPort, newPort] = room.server.addresses.map((address) => "port" in address ? address.port : 0);
  console.log(`${bold("One server in TypeScript")}, 127.0.0.1`);
  console.log(`  port ${oldPort}  for Python's veltix ${OLD}`);
  console.log(`  port ${newPort}  for Python's veltix ${NEW} and native clients\n`);
  if (serve) {
    const script = relative("", CHAT);
    console.log("Join by one of these, each in a terminal of its own; Ctrl-C ends the server:\n");
    console.log(`  PYTHONPATH=${relative("", folders[0])} ${PYTHON} ${script} Ann ${oldPort}`);
    console.log(`  PYTHONPATH=${relative("", folders[1])} ${PYTHON} ${script} Bob ${newPort}`);
    console.log(`  node examples/chat/client.ts Cid ${newPort}`);
    process.once("SIGINT", () => void room.server.close());
    await room.server.closed;
    return;
  }
  const people: Person[] = [];
  try {
    await chat(room, people, oldPort, newPort);
  } finally {
    for (const person of people) person.kill();
    await room.server.close({ drain: 0 });
  }
}

async function chat(room: Room, people: Person[], oldPort: number, newPort: number): Promise<void> {
  let told = 0;
  /** Waits until everybody but the speaker was told, and shows it. */
  const spread = async (name: string, line: string, note?: string): Promise<void> => {
    const others = people.filter((person) => person.name !== name);
    await Promise.all(others.map((other) => other.hears(`${name}: ${line}`)));
    told += others.length;
    const heard = others.map((other) => `${other.name} ✓`).join(" ");
    const color = COLORS[name.charCodeAt(0) % COLORS.length];
    const text = note === undefined ? line : dim(`${line}: ${note}`);
    console.log(`  ${color(bold(name))}  ${text}  ${dim(heard)}`.trimEnd());
  };

  const names = (): string[] => people.map(({ name }) => name);
  const arrivals = [
    () => pythonPerson("Ann", OLD, oldPort, names()),
    () => pythonPerson("Bob", NEW, newPort, names()),
    () => nativePerson("Cid", newPort),
  ];
  for (const arrive of arrivals) {
    const person = await arrive();
    people.push(person);
    await spread(person.name, "is here", `${person.program}; on the wire "${room.protocolOf(person.name)}"`);
  }
  for (const [name, line] of CONVERSATION) {
    people.find((person) => person.name === name)!.say(line);
    await spread(name, line);
  }
  while (people.length > 1) {
    const [person] = people;
    await person.leave();
    people.shift();
    await spread(person.name, "has left", "goodbye");
  }
  console.log(green(`\nEverybody was told every line: ${told} in all`));
}

setColorEnabled(getColorEnabled() && process.stdout.isTTY === true);
try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
