/**
 * A terminal that chats.
 *
 *     node examples/chat/client.ts NAME [PORT]     or bun …, or deno run -A …
 *
 * @module
 */

import { caller, Client, type DisconnectState, isErrorOf } from "@veltix/core";
import process from "node:process";
import { contract } from "./contract.ts";
import { colored, Screen } from "./screen.ts";

const HELP = "/enter ROOM, /rooms, /who, /quit";

const [name = `guest ${process.pid}`, port = "8080"] = process.argv.slice(2);
const client = new Client({ hostname: "127.0.0.1", port: Number(port), reconnect: true, resume: true });
const chat = caller(client, contract);
const screen = new Screen();
let room = "lobby";

client.route(contract.said, ({ data: { name, line } }) => screen.print(`${colored(name)}  ${line}`));

// A new session begins: the first one, or one after the server was started anew. It knows nothing of us yet.
client.on("connect", async () => {
  try {
    await chat.join(name);
    await enter(room);
  } catch (error) {
    if (!isErrorOf(error, contract.join)) throw error;
    fail(error);
  }
});
client.on("suspended", () => screen.note("The connection is lost; what you write is kept"));
client.on("resumed", () => screen.note("The connection is back"));
client.on("disconnect", ({ permanent, attempt, reason }: DisconnectState) => {
  if (permanent) screen.lines.close();
  else if (attempt === 0) screen.note(`The server is away (${reason}); trying again`);
});
client.on("error", (error) => screen.print(error instanceof Error ? error.message : String(error)));

/** Shows why there is no chat, and leaves. */
function fail({ message }: Error): void {
  screen.print(message);
  process.exitCode = 1;
  screen.lines.close();
}

/** Goes to a room, and shows who is there. */
async function enter(target: string): Promise<void> {
  const people = await chat.enter(target);
  room = target;
  screen.note(`You are in ${room}, with ${people.filter((one) => one !== name).join(", ") || "nobody else"}`);
  screen.prompt(`${room}> `);
}

/** Does what a line says. */
async function obey(line: string): Promise<void> {
  const [, command, rest] = /^\/(\S+)\s*(.*)$/.exec(line) ?? [];
  if (command === undefined) chat.say(line);
  else if (command === "who") screen.note(`Here: ${(await chat.enter(room)).join(", ")}`);
  else if (command === "rooms") {
    screen.note((await chat.rooms()).map(({ name, people }) => `${name} (${people})`).join(", "));
  } else if (command === "enter" && rest !== "") await enter(rest);
  else screen.note(HELP);
}

screen.note(HELP);
client.connect().catch(fail);
for await (const line of screen.lines) {
  if (line === "/quit") break;
  if (line === "") continue;
  await obey(line).catch((error: Error) => screen.print(error.message));
  screen.prompt(`${room}> `);
}
await client.close();
process.exit(); // Whatever standard input still waits for.
