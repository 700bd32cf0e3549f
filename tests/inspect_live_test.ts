/**
 * `veltix inspect` between real clients and servers.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { chmodSync, statSync, writeFileSync } from "node:fs";
import process from "node:process";
import { Client, json, messageType, Server, streamType, text } from "@veltix/core";
import { folder, startInspect } from "./inspect_support.ts";
import { itOnPosix } from "./posix.ts";

const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
const CHAT = messageType(200, "chat", text);
const UPLOAD = streamType(300, "upload", { head: text, result: json<number>() });

/** A text that is worth compressing. */
const LONG = Array.from({ length: 500 }, (_, i) => `veltix ${i}`).join(" ");

type Value = Record<string, unknown>;

/** The port of a server that listens at one address. */
function portOf(server: Server): number {
  return (server.addresses[0] as { port: number }).port;
}

/** A server that speaks everything, and an inspection in front of it. */
async function scene(protocol: string, args: string[], talk: (port: number) => Promise<void>): Promise<Value[]> {
  const server = new Server({ hostname: "127.0.0.1", port: 0, protocol, compression: true, resume: true });
  server.route(ADD, ({ data }) => data.a + data.b);
  server.route(CHAT, ({ data }, client) => void client.send(CHAT, `heard ${data}`));
  server.stream(UPLOAD, async ({ readable }) => {
    let size = 0;
    for await (const chunk of readable) size += chunk.length;
    return size;
  });
  await server.start();
  const running = await startInspect(`127.0.0.1:${portOf(server)}`, ...args);
  try {
    await talk(running.port);
    await running.terminal.until((lines) => lines.some((line) => line.includes('"type":"close"')));
  } finally {
    assertEquals(await running.stop(), 0);
    await server.close();
  }
  return running.terminal.values;
}

describe("veltix inspect", () => {
  it("shows the handshake and every frame of a native conversation", async () => {
    const values = await scene("2.0", [], async (port) => {
      await using client = new Client({ port, compression: true, reconnect: true, resume: true });
      const heard = new Promise<string>((resolve) => client.route(CHAT, ({ data }) => resolve(data)));
      await client.connect();
      assertEquals(await client.request(ADD, { a: 1, b: 2 }, { meta: { traceparent: "00-1" }, timeout: 40_000 }), 3);
      client.send(CHAT, LONG);
      assertEquals(await heard, `heard ${LONG}`);
      const upload = client.open(UPLOAD, "a.txt");
      const writer = upload.writable.getWriter();
      await writer.write(new Uint8Array(100_000));
      await writer.close();
      assertEquals(await upload.result, 100_000);
    });
    assertEquals(values.filter(({ type }) => type === "damage"), []);
    const handshakes = values.filter(({ type }) => type === "handshake");
    assertEquals(handshakes.map(({ from, step }) => [from, step]), [["server", 1], ["client", 2], ["server", 3]]);
    const native = (handshakes[2].message as { native: { features: { resume: Value } } }).native;
    assertEquals(native.features.resume.key, "(secret)");
    const frames = values.filter(({ type }) => type === "frame");
    const find = (kind: string, code?: number): Value =>
      frames.find((frame) => frame.kind === kind && (code === undefined || frame.code === code))!;
    const request = find("request", 201);
    assertEquals([request.from, request.json, request.id], ["client", { a: 1, b: 2 }, 1]);
    assertEquals((request.meta as Value).traceparent, "00-1");
    assert(Number((request.meta as Value).deadline) > 1000, JSON.stringify(request));
    assertEquals([find("reply", 201).from, find("reply", 201).json], ["server", 3]);
    const chat = find("message", 200);
    assertEquals([chat.text, chat.flagNames], [LONG, ["COMPRESSED"]]);
    assert(Number(chat.compressed) < LONG.length);
    assertEquals(find("open").text, "a.txt");
    assert(frames.some(({ kind }) => kind === "window") && frames.some(({ kind }) => kind === "piece"));
    assertEquals([find("reply", 300).json, find("goaway").name], [100_000, "GOAWAY"]);
    assertEquals(frames.filter(({ fault, trouble }) => fault !== undefined || trouble !== undefined), []);
  });

  for (const release of ["1.3.0", "1.6.0", "1.6.3", "1.6.10", "1.7.5", "1.9.0", "2.0.0", "3.3.0"]) {
    it(`shows every frame as of Python ${release}`, async () => {
      const values = await scene(release, [], async (port) => {
        await using client = new Client({ port, protocol: release });
        await client.connect();
        assertEquals(await client.request(ADD, { a: 1, b: 2 }), 3);
      });
      assertEquals(values.filter(({ type }) => type === "damage" || type === "unreadable"), []);
      const frames = values.filter(({ type, code }) => type === "frame" && code === 201);
      assertEquals(frames.map(({ from, json }) => [from, json]), [["client", { a: 1, b: 2 }], ["server", 3]]);
      assertEquals(frames[0].id, frames[1].id);
    });
  }

  it("says of TLS and of encrypted connections that they are, and passes them on", async () => {
    const { Identity } = await import("../src/encryption/mod.ts");
    const identity = await Identity.generate();
    const server = new Server({ hostname: "127.0.0.1", port: 0, encryption: { identity } });
    server.route(ADD, ({ data }) => data.a + data.b);
    await server.start();
    const running = await startInspect(`127.0.0.1:${portOf(server)}`);
    {
      await using client = new Client({ port: running.port, encryption: { trust: identity.publicKey } });
      await client.connect();
      assertEquals(await client.request(ADD, { a: 1, b: 2 }), 3);
    }
    await running.stop();
    await server.close();
    const seen = running.terminal.values.filter(({ what }) => what !== undefined);
    assert(seen.length > 3);
    assertEquals([...new Set(seen.map(({ type, what }) => `${type} ${what}`))], ["unreadable encrypted (Noise)"]);
    assertEquals(running.terminal.values.filter(({ type }) => type === "frame"), []);
  });

  it("reads what is within the messages of a WebSocket", async () => {
    const server = new Server({ listen: [{ hostname: "127.0.0.1", port: 0, webSocket: { path: "/veltix" } }] });
    server.route(ADD, ({ data }) => data.a + data.b);
    await server.start();
    const running = await startInspect(`ws://127.0.0.1:${portOf(server)}/veltix`);
    {
      await using client = new Client({ url: `ws://127.0.0.1:${running.port}/veltix` });
      await client.connect();
      assertEquals(await client.request(ADD, { a: 40, b: 2 }), 42);
    }
    await running.terminal.until((lines) => lines.some((line) => line.includes('"type":"close"')));
    await running.stop();
    await server.close();
    const { values } = running.terminal;
    assertEquals(values.filter(({ type }) => type === "damage"), []);
    const frames = values.filter(({ type, code }) => type === "frame" && code === 201);
    assertEquals(frames.map(({ json, kind }) => [kind, json]), [["request", { a: 40, b: 2 }], ["reply", 42]]);
  });

  itOnPosix("passes unix sockets on", async () => {
    using place = folder();
    const [front, back] = [place.file("front"), place.file("back")];
    const server = new Server({ path: back });
    server.route(ADD, ({ data }) => data.a + data.b);
    await server.start();
    const running = await startInspect(`unix:${back}`, "--listen", `unix:${front}`);
    {
      await using client = new Client({ path: front });
      await client.connect();
      assertEquals(await client.request(ADD, { a: 1, b: 2 }), 3);
    }
    await running.terminal.until((lines) => lines.some((line) => line.includes('"type":"close"')));
    await running.stop();
    await server.close();
    assertEquals(running.terminal.values.filter(({ kind }) => kind === "request").length, 1);
  });

  it("says that the server cannot be reached, and lets the client go", async () => {
    const server = new Server({ hostname: "127.0.0.1", port: 0 });
    await server.start();
    const port = portOf(server);
    await server.close();
    const running = await startInspect(`127.0.0.1:${port}`);
    const client = new Client({ port: running.port });
    await client.connect().then(() => Promise.reject(new Error("It connects")), () => {});
    await client.close();
    await running.terminal.until((lines) => lines.some((line) => line.includes('"unreachable"')));
    assertEquals(await running.stop(), 0);
  });

  it("passes nothing more on while the reader of its output is behind, and ends by Ctrl+C all the same", async () => {
    const server = new Server({ hostname: "127.0.0.1", port: 0 });
    await server.start();
    const handshakes = (lines: readonly string[]): number =>
      lines.filter((line) => line.includes('"type":"handshake"')).length;
    for (const interrupted of [false, true]) {
      const running = await startInspect(`127.0.0.1:${portOf(server)}`);
      const room = Promise.withResolvers<void>();
      // The reader falls behind once it was told of the server's greeting.
      Object.assign(running.terminal, {
        drained: () => handshakes(running.terminal.lines) === 0 ? Promise.resolve() : room.promise,
      });
      running.terminal.signal.addEventListener("abort", () => room.resolve());
      const client = new Client({ port: running.port });
      const connected = client.connect().then(() => true, () => false);
      await running.terminal.until((lines) => handshakes(lines) > 0);
      // The server's next message has time to come while other clients make a whole handshake.
      for (let i = 0; i < 3; i++) {
        await using direct = new Client({ port: portOf(server) });
        await direct.connect();
      }
      assert(handshakes(running.terminal.lines) < 3);
      if (!interrupted) room.resolve();
      else assertEquals(await running.stop(), 0);
      assertEquals(await connected, !interrupted);
      await client.close();
      await running.stop();
    }
    await server.close();
  });

  it("lets only their owner read a record and a capture, even in files that were there", async () => {
    using place = folder();
    const files = [place.file("record"), place.file("capture")];
    for (const file of files) {
      writeFileSync(file, "old");
      chmodSync(file, 0o644);
    }
    const running = await startInspect("127.0.0.1:1", "--record", files[0], "--pcap", files[1]);
    assertEquals(await running.stop(), 0);
    if (process.platform === "win32") return;
    for (const file of files) assertEquals((statSync(file).mode & 0o777).toString(8), "600", file);
  });
});
