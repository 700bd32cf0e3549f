/**
 * Records of `veltix inspect`, and conversations that are played again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync, writeFileSync } from "node:fs";
import { Client, json, messageType, Server, streamType, text } from "@veltix/core";
import { run } from "../src/cli/mod.ts";
import { folder, KeptTerminal, runKept, startInspect } from "./inspect_support.ts";

const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<{ sum: number; time: number }>());
const CHAT = messageType(200, "chat", text);
const ASK = messageType(202, "ask", text, text);
const UPLOAD = streamType(300, "upload", { head: text, result: json<number>() });

interface Behaviour {
  readonly sum?: (a: number, b: number) => number;
  readonly suffix?: string;
  /** Answers no request before this resolves. */
  readonly mute?: Promise<void>;
}

/** A server, whose time differs at each call. */
async function startServer(
  protocol = "2.0",
  { mute, sum = (a, b) => a + b, suffix = "" }: Behaviour = {},
): Promise<
  { server: Server; address: string }
> {
  const server = new Server({ hostname: "127.0.0.1", port: 0, protocol, compression: true });
  let time = 1_000 * Math.random();
  server.route(ADD, async ({ data }) => {
    await mute;
    return { sum: sum(data.a, data.b), time: time++ };
  });
  server.route(CHAT, ({ data }, client) => void client.send(CHAT, `heard ${data}${suffix}`));
  server.stream(UPLOAD, async ({ readable }) => {
    let size = 0;
    for await (const chunk of readable) size += chunk.length;
    return size;
  });
  await server.start();
  return { server, address: `127.0.0.1:${(server.addresses[0] as { port: number }).port}` };
}

async function talk(port: number, protocol = "auto", answer = "yes"): Promise<void> {
  await using client = new Client({ port, protocol, compression: true });
  const heard = new Promise<string>((resolve) => client.route(CHAT, ({ data }) => resolve(data)));
  client.route(ASK, () => answer);
  await client.connect();
  assertEquals((await client.request(ADD, { a: 1, b: 2 })).sum, 3);
  client.send(CHAT, "hello");
  await heard;
  if (protocol !== "auto") return;
  const upload = client.open(UPLOAD, "a.txt");
  const writer = upload.writable.getWriter();
  await writer.write(new Uint8Array(150_000).fill(1));
  await writer.close();
  assertEquals(await upload.result, 150_000);
}

/** Records a conversation. */
async function record(file: string, protocol = "2.0", spoken = "auto"): Promise<void> {
  const { address, server } = await startServer(protocol);
  const running = await startInspect(address, "--record", file);
  await talk(running.port, spoken);
  await running.terminal.until((lines) => lines.some((line) => line.includes('"type":"close"')));
  await running.stop();
  await server.close();
}

/** Plays the client of a record against a server, and returns the exit code and what was printed. */
async function replay(file: string, address: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const { code, terminal } = await runKept([
    "inspect",
    "--replay",
    file,
    "--to",
    address,
    "--timeout",
    "40000",
    ...args,
  ]);
  return { code, text: [...terminal.lines, ...terminal.errors].join("\n") };
}

describe("a record", () => {
  it("has every byte with its direction, and reads like the wire", async () => {
    using place = folder();
    const file = place.file("talk.jsonl");
    await record(file);
    const [head, ...lines] = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
    assertEquals([head.type, head.version], ["record", 1]);
    assertEquals(lines.map(({ type }) => type).filter((type) => type !== "data"), ["open", "end", "end", "close"]);
    assert(lines.some(({ from, seen }) => from === "server" && String(seen).includes("reply")));
    const { code, terminal } = await runKept(["--json", "decode", file]);
    assertEquals(code, 0);
    assert(terminal.values.some(({ kind, json }) => kind === "request" && JSON.stringify(json) === '{"a":1,"b":2}'));
  });

  it("that is damaged is refused with the number of the line", async () => {
    using place = folder();
    const file = place.file("talk.jsonl");
    const head = '{"type":"record","version":1,"started":"2026-01-01T00:00:00Z","target":"x"}';
    for (
      const line of [
        "{",
        '{"type":"data","time":1,"connection":1,"from":"nobody","bytes":""}',
        '{"type":"data","time":1,"connection":1,"from":"client","bytes":"*"}',
      ]
    ) {
      writeFileSync(file, `${head}\n${line}\n`);
      const { code, text } = await replay(file, "1");
      assertEquals(code, 2);
      assert(text.includes("line 2"), text);
    }
    writeFileSync(file, head.replace('"version":1', '"version":2'));
    assert((await replay(file, "1")).text.includes("version 2"));
  });
});

describe("a replay", () => {
  it("against the same server is as recorded, but for what depends on the time", async () => {
    using place = folder();
    const file = place.file("talk.jsonl");
    await record(file);
    const { address, server } = await startServer();
    const without = await replay(file, address);
    assertEquals(without.code, 1);
    assert(/time differs/.test(without.text) && !/sum differs/.test(without.text), without.text);
    const { code, text } = await replay(file, address, "--ignore", "time");
    assertEquals(code, 0, text);
    assert(text.includes("as recorded"), text);
    await server.close();
  });

  it("against a server that answers differently says what is different, where", async () => {
    using place = folder();
    const file = place.file("talk.jsonl");
    await record(file);
    const { address, server } = await startServer("2.0", { sum: (a, b) => a * b, suffix: "!" });
    const { code, text } = await replay(file, address, "--ignore", "time");
    await server.close();
    assertEquals(code, 1);
    for (
      const part of ["reply of type 201, id 1: sum differs", "recorded 3", "got      2", 'got      "heard hello!"']
    ) {
      assert(text.includes(part), text);
    }
    assert(text.includes("2 differences"), text);
  });

  it("against nobody ends with the code for that", async () => {
    using place = folder();
    const file = place.file("talk.jsonl");
    await record(file);
    const { address, server } = await startServer();
    await server.close();
    assertEquals((await replay(file, address)).code, 3);
  });

  it("says what does not come", async () => {
    using place = folder();
    const file = place.file("talk.jsonl");
    await record(file);
    const { promise: mute, resolve } = Promise.withResolvers<void>();
    const { address, server } = await startServer("2.0", { mute });
    const { code, text } = await replay(file, address, "--timeout", "200");
    resolve();
    await server.close();
    assertEquals(code, 1);
    assert(text.includes("reply of type 201, id 1: it does not come"), text);
  });

  for (const release of ["1.3.0", "1.6.3", "1.7.5", "1.9.0"]) {
    it(`plays Python ${release}, with fresh ids`, async () => {
      using place = folder();
      const file = place.file("talk.jsonl");
      await record(file, release, release);
      const { address, server } = await startServer(release);
      const { code, text } = await replay(file, address, "--ignore", "time");
      await server.close();
      assertEquals(code, 0, text);
    });
  }

  it("plays the server for a live client, and finds what the client does differently", async () => {
    using place = folder();
    const file = place.file("talk.jsonl");
    await record(file);
    for (const sum of [3, 4]) {
      const terminal = new KeptTerminal();
      const args = ["--json", "inspect", "--replay", file, "--as-server", "--timeout", "40000"];
      const code = run(args, terminal);
      await terminal.until((lines) => lines.some((line) => line.includes('"listening"')));
      const port = Number(String(terminal.values[0].address).split(":").at(-1));
      {
        await using client = new Client({ port, compression: true });
        const heard = new Promise<string>((resolve) => client.route(CHAT, ({ data }) => resolve(data)));
        await client.connect();
        assertEquals((await client.request(ADD, { a: 1, b: sum - 1 })).sum, 3);
        client.send(CHAT, "hello");
        assertEquals(await heard, "heard hello");
        const upload = client.open(UPLOAD, "a.txt");
        const writer = upload.writable.getWriter();
        await writer.write(new Uint8Array(150_000).fill(1));
        await writer.close();
        assertEquals(await upload.result, 150_000);
      }
      assertEquals(await code, sum === 3 ? 0 : 1, terminal.lines.join("\n"));
      const [, result] = terminal.values as { differences: { what: string }[] }[];
      assertEquals(result.differences.map(({ what }) => what), sum === 3 ? [] : ["b differs"]);
    }
  });

  it("needs a side", async () => {
    using place = folder();
    const file = place.file("talk.jsonl");
    writeFileSync(file, '{"type":"record","version":1}\n');
    assertEquals((await runKept(["inspect", "--replay", file])).code, 2);
    assertEquals((await runKept(["inspect", "--replay", file, "--to", "1", "--as-server"])).code, 2);
    assertEquals((await runKept(["inspect"])).code, 2);
  });
});
