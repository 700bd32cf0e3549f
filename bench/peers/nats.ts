/**
 * NATS: `nats-server` between both ends, and the client library of the project. The server of a workload is a client that
 * answers; each connection of the workload is one to the broker.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
// @ts-types="./nats.d.ts"
import { connect, createInbox } from "nats";
import { freePort } from "../../tests/processes/free_port.ts";
import { until } from "../../tests/processes/waiting.ts";
import type { Peer, Served, Subject } from "../subject.ts";
import { residentBytesOf } from "../../src/cli/bench/usage.ts";

const MESSAGE = "message";
const ECHO = "echo";
const JOIN = "join";
const ALL = "all";

/** Bytes published between two round trips to the broker. */
const WINDOW = 1024 * 1024;
const TIMEOUT = 30_000;
const START_LIMIT = 5_000;

/** Ends the broker with the process that holds its standard input, however that one ends. */
const GUARDED = 'nats-server -c "$1/nats.conf" & echo $!; cat > /dev/null; kill $!; rm -r "$1"';

/** See the module. */
export const nats: Subject = {
  async serve(handlers): Promise<Served> {
    const port = await freePort();
    const { broker, id } = await startBroker(port);
    broker.unref();
    const connection = await connect({ port, reconnect: false });
    connection.subscribe(JOIN, {
      callback(_error, message): void {
        handlers.connected();
        message.respond();
      },
    });
    connection.subscribe(ECHO, { callback: (_error, message) => void message.respond(message.data) });
    connection.subscribe(MESSAGE, {
      callback(_error, message): void {
        if (handlers.message(message.data)) message.respond(message.data);
      },
    });
    await connection.flush();
    return {
      port,
      broadcast: (content) => connection.publish(ALL, content),
      helperMemory: () => residentBytesOf(id),
    };
  },
  async connect(port, receive): Promise<Peer> {
    const connection = await connect({ port, reconnect: false });
    const reply = createInbox();
    for (const subject of [ALL, reply]) {
      connection.subscribe(subject, { callback: (_error, message) => receive(message.data) });
    }
    await connection.request(JOIN, undefined, { timeout: TIMEOUT });
    let bytes = 0;
    return {
      send(content): boolean {
        connection.publish(MESSAGE, content, { reply });
        bytes += content.length;
        return bytes < WINDOW;
      },
      async ready(): Promise<void> {
        bytes = 0;
        // A flush ends at the broker; an echo comes from the other end, behind all that was published.
        await connection.request(ECHO, undefined, { timeout: TIMEOUT });
      },
      request: (content, done) =>
        void connection.request(ECHO, content, { timeout: TIMEOUT }).then((message) => done(message.data)),
      close: () => connection.close(),
    };
  },
};

async function startBroker(port: number): Promise<{ broker: ChildProcess; id: number }> {
  const folder = mkdtempSync(`${tmpdir()}/bench-nats-`);
  writeFileSync(`${folder}/nats.conf`, `host: 127.0.0.1\nport: ${port}\nmax_pending: 256MB\n`);
  const broker = spawn("sh", ["-c", GUARDED, "sh", folder], { stdio: ["pipe", "pipe", "ignore"] });
  const id = await new Promise<number>((resolve) => broker.stdout!.once("data", (chunk) => resolve(Number(chunk))));
  await until(`nats-server answers on port ${port}`, START_LIMIT, () => answers(port));
  return { broker, id };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    socket.once("data", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
