/**
 * A child process whose standard input and output are one end of a connection, and that plays a role there. What it has to
 * say besides goes to the standard error.
 *
 * @module
 */

import process from "node:process";
import { Server } from "../mod.ts";
import { fromStdio } from "../src/adapters/stdio.ts";
import { answer, clientOver, noise, talk } from "./accept_support.ts";

const connection = fromStdio();
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const role = process.argv[2];

/** Reads all that comes. Returns how many bytes there were. */
async function drain(): Promise<number> {
  let size = 0;
  for (let chunk = await connection.read(); chunk !== null; chunk = await connection.read()) size += chunk.length;
  return size;
}

/** Says something, and waits for a signal. */
async function told(text: string): Promise<void> {
  // What is not read holds no program.
  const timer = setInterval(() => {}, 1_000);
  const signal = new Promise((resolve) => process.once("SIGUSR2", resolve));
  say(text);
  await signal;
  clearInterval(timer);
}

switch (role) {
  case "client": {
    const client = clientOver(() => connection, { handshakeTimeout: 60_000 });
    await client.connect();
    await talk(client);
    await client.close();
    say("done");
    break;
  }
  case "stays": {
    const client = clientOver(() => connection, { handshakeTimeout: 60_000 });
    client.on("disconnect", ({ reason }) => say(`lost: ${reason}`));
    await client.connect();
    break;
  }
  case "server": {
    const server = new Server({ listen: [], handshakeTimeout: 60_000 });
    answer(server);
    await server.start();
    server.on("disconnect", (_, { reason }) => {
      say(`lost: ${reason}`);
      void server.close();
    });
    server.accept(connection);
    break;
  }
  case "echo":
    for (let chunk = await connection.read(); chunk !== null; chunk = await connection.read()) {
      await connection.write(chunk);
    }
    await connection.closeWrite();
    say(`over: ${await connection.closed}`);
    break;
  case "finishes":
    await connection.write(noise(100_000));
    await connection.closeWrite();
    // It is harmless from then on.
    console.log("said to nobody");
    say(`read ${await drain()}`);
    say(`over: ${await connection.closed}`);
    break;
  case "deaf":
    await told("waits");
    say(`read ${await drain()}`);
    await connection.closeWrite();
    break;
  case "floods": {
    let written = 0;
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const flood = async (): Promise<void> => {
      for (;;) {
        await connection.write(new Uint8Array(65_536));
        written += 65_536;
      }
    };
    void flood().catch(() => {});
    let before = -1;
    // Once nothing more is taken, the program still runs.
    while (before !== written || turns < 100) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    clearInterval(timer);
    await told(`wrote ${written}`);
    connection.abort();
    break;
  }
  case "aborts":
    await connection.write(Uint8Array.of(1, 2, 3));
    connection.abort();
    await told(`over: ${(await connection.closed as { code?: string } | undefined)?.code}`);
    break;
  case "unrefs":
    connection.unref();
    connection.read().catch(() => {});
    break;
}
