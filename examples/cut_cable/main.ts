/**
 * A client and a server that talk over a cable that is cut again and again: five times so that both ends are told, and once
 * without a word, so that the client has to notice by itself. Meanwhile both count up for each other, and the client asks
 * questions and streams bytes. With `resume` all of that goes on: nothing is lost, and nothing comes twice.
 *
 *     deno run -A examples/cut_cable/main.ts     bun run examples/cut_cable/main.ts     node examples/cut_cable/main.ts
 *
 * @module
 */

import { Client, json, messageType, Server, streamType } from "@veltix/core";
import { createHash } from "node:crypto";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Cable } from "./cable.ts";

const SNAPS = 5;
const CHUNK = 64 * 1024;
const UP = messageType(200, "up", json<number>());
const DOWN = messageType(201, "down", json<number>());
const DOUBLE = messageType(202, "double", json<number>(), json<number>());
const UPLOAD = streamType(203, "upload", { down: false, result: json<string>() });

/** Checks that numbers come one by one. */
class Counter {
  next = 0;
  wrong = 0;
  take(number: number): void {
    if (number !== this.next) this.wrong++;
    this.next = number + 1;
  }
}

const heard = { up: new Counter(), down: new Counter() };
await using server = new Server({ hostname: "127.0.0.1", port: 0, resume: true });
server.route(UP, ({ data }) => heard.up.take(data));
server.route(DOUBLE, ({ data }) => 2 * data);
server.stream(UPLOAD, async ({ readable }) => {
  const hash = createHash("sha256");
  for await (const bytes of readable) hash.update(bytes);
  return hash.digest("hex");
});
const again = { client: 0, server: 0 };
server.on("resumed", (_client, { replayedBytes }) => void (again.server += replayedBytes));
await server.start();
const [address] = server.addresses;
if (!("port" in address)) throw new Error("The server has no port");

const cable = new Cable(address.port);
// Cuts come one after the other here, so the waits between attempts should not grow to seconds.
const reconnect = { delay: 100, maxDelay: 500 };
await using client = new Client({ hostname: "127.0.0.1", port: await cable.laid(), reconnect, resume: true });
client.route(DOWN, ({ data }) => heard.down.take(data));
client.route(DOUBLE, ({ data }) => 2 * data);
client.on("suspended", ({ reason, error }) => {
  console.log(`   suspended: ${reason}${error instanceof Error ? ` (${error.message})` : ""}`);
});
client.on("disconnect", ({ resume }) => resume === "lost" && console.log("   the session is lost"));
await client.connect();
const [info] = server.clients;

const limit = setTimeout(() => {
  console.error("The cable was cut, and after half a minute the conversation has not come to its end");
  process.exit(1);
}, 30_000);

let over = false;
const said = { up: 0, down: 0, asked: 0, wrong: 0, streamed: 0 };

/** Counts up for the server. */
async function countUp(): Promise<void> {
  while (!over) {
    await client.ready(); // The stream and the requests take room, too.
    client.send(UP, said.up++);
    if (said.up % 100 === 0) await sleep(1);
  }
}

/** Counts up for the client. */
async function countDown(): Promise<void> {
  while (!over) {
    await info.ready();
    info.send(DOWN, said.down++);
    if (said.down % 100 === 0) await sleep(1);
  }
}

/** Asks one question after the other. */
async function ask(): Promise<void> {
  while (!over) {
    const answer = await client.request(DOUBLE, said.asked, { timeout: 60_000 });
    if (answer !== 2 * said.asked++) said.wrong++;
  }
}

/** Streams bytes. Resolves with their SHA-256 here and at the server. */
async function stream(): Promise<[here: string, there: string]> {
  const upload = client.open(UPLOAD);
  const writer = upload.writable.getWriter();
  const hash = createHash("sha256");
  while (!over) {
    const chunk = crypto.getRandomValues(new Uint8Array(CHUNK));
    hash.update(chunk);
    await writer.write(chunk);
    said.streamed += chunk.length;
    await sleep(1);
  }
  await writer.close();
  return [hash.digest("hex"), await upload.result];
}

/** Does something to the cable, and waits until the session goes on. */
async function survive(what: string, act: () => void): Promise<void> {
  console.log(what);
  const back = new Promise<void>((resolve) => {
    client.on("resumed", ({ ms, replayedBytes }) => {
      console.log(`   resumed after ${ms} ms, ${replayedBytes} bytes again`);
      again.client += replayedBytes;
      resolve();
    }, { once: true });
  });
  act();
  await back;
}

const work = Promise.all([stream(), countUp(), countDown(), ask()]);
for (let i = 1; i <= SNAPS; i++) {
  await sleep(200 + 200 * Math.random());
  await survive(`${i}. snap`, () => cable.cut());
}
await sleep(200);
await survive(`${SNAPS + 1}. silence: the client has to notice by itself`, () => cable.hush());
await sleep(200);
over = true;
const [[here, there]] = await work;
// A request keeps its order with what was sent before, so all of that has come when it is answered.
await Promise.all([client.request(DOUBLE, 0), info.request(DOUBLE, 0)]);

const missing = said.up - heard.up.next + said.down - heard.down.next;
const wrong = heard.up.wrong + heard.down.wrong + said.wrong;
console.log(`${said.up} messages up, ${said.down} down, ${said.asked} questions, ${said.streamed} bytes streamed`);
console.log(`over ${cable.connections} connections; ${again.client + again.server} bytes were sent again`);
console.log(`${missing} lost, ${wrong} twice, out of order or wrong`);
console.log(`SHA-256 here  ${here}`);
console.log(`SHA-256 there ${there}`);
await client.close();
cable.remove();
clearTimeout(limit);
if (missing + wrong > 0 || here !== there) process.exitCode = 1;
