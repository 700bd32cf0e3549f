/**
 * The dissector for Wireshark, by `tshark`: captures of every protocol, cut anywhere, whole and damaged. Where there is no
 * tshark the tests are skipped, unless `VELTIX_REQUIRE_ALL` is `1`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join as joinPath } from "node:path";
import process from "node:process";
import { Client, json, messageType, Server, streamType, text } from "@veltix/core";
import { DISSECTOR, upToDate } from "../scripts/wireshark.ts";
import { decodeSource } from "../src/cli/inspect/sources.ts";
import { loadKnowledge } from "../src/cli/inspect/knowledge.ts";
import { Packets } from "../src/cli/inspect/packets.ts";
import { captureHead, packetBlock } from "../src/cli/inspect/pcapng.ts";
import type { Seen, Sender } from "../src/cli/inspect/seen.ts";
import { textOf } from "../src/cli/inspect/payload.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { Flag } from "../src/wire/frame.ts";
import { type Protocol, protocol } from "../src/wire/protocols.ts";
import { folder, pieces, startInspect } from "./inspect_support.ts";
import { isMine, join, loadVectors, unhex, utf8 } from "./wire_support.ts";

const TSHARK = (process.env.PATH ?? "").split(delimiter).map((path) => joinPath(path, "tshark")).find(existsSync);
if (TSHARK === undefined && process.env.VELTIX_REQUIRE_ALL === "1") throw new Error("Cannot dissect: no tshark");
const test = TSHARK === undefined ? it.skip : it;
const WHY = TSHARK === undefined ? ": tshark is not installed" : "";

/** The port of servers in captures that are made here. */
const PORT = 17_777;
const AS_VELTIX = ["-d", `tcp.port==${PORT},veltix`];

function tshark(file: string, ...args: string[]): string {
  const { status, stderr, stdout } = spawnSync(TSHARK!, ["-X", `lua_script:${DISSECTOR}`, "-r", file, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  assertEquals(status, 0, stderr);
  // It warns of its own user. Anything else would be an error of the script.
  assertEquals(stderr.split("\n").filter((line) => line !== "" && !line.startsWith("Running as user")), []);
  return stdout;
}

type Layer = Record<string, unknown>;

/** Each message that tshark finds, in order. */
function dissect(file: string, ...args: string[]): Layer[] {
  const packets = JSON.parse(
    tshark(file, "-Y", "veltix", "-T", "json", "--no-duplicate-keys", "-J", "veltix", ...args),
  ) as { _source: { layers: { veltix: Layer[] } } }[];
  // One message in a packet is no list there.
  return packets.flatMap(({ _source: { layers: { veltix } } }) => veltix);
}

/** Writes a capture. */
function capture(file: string, parts: Iterable<readonly [from: Sender, bytes: Uint8Array]>): void {
  const blocks = [captureHead("a test")];
  let time = Date.UTC(2026, 0, 1) * 1000;
  const packets = new Packets(1, { path: "" }, { path: "" }, (packet) => blocks.push(packetBlock(packet, time++)));
  packets.open();
  for (const [from, bytes] of parts) packets.data(from, bytes);
  packets.end("client");
  packets.end("server");
  writeFileSync(file, join(...blocks));
}

/** Cuts what each end sends into segments of a size. */
function* segments(
  parts: readonly (readonly [Sender, Uint8Array])[],
  size: number,
): Generator<readonly [Sender, Uint8Array]> {
  for (let i = 0; i < parts.length;) {
    const [from] = parts[i];
    const chunks: Uint8Array[] = [];
    // What one end sends in a row is one stream of bytes, whose borders mean nothing.
    for (; i < parts.length && parts[i][0] === from; i++) chunks.push(parts[i][1]);
    for (const piece of pieces(join(...chunks), size)) yield [from, piece];
  }
}

/** What both show of a frame or a message of the handshake, in one form. */
function ofTshark(layer: Layer): Layer {
  const field = (name: string): string | undefined => layer[`veltix.${name}`] as string | undefined;
  if (field("handshake.step") !== undefined) {
    return { step: Number(field("handshake.step")), length: Number(field("handshake.length")) + 2 };
  }
  if (field("kind") === undefined) return { damaged: true };
  return {
    kind: field("kind"),
    code: Number(field("code")),
    flags: field("flags") === undefined ? undefined : Number(field("flags")),
    size: Number(field("size")),
    id: field("uuid") ?? Number(field("id")),
    check: field("check") === undefined ? undefined : Number(field("check")),
    digest: field("sha256")?.replaceAll(":", "") ?? field("crc32")!.slice(2),
    good: field("digest.status") === "1",
    sentAt: field("time") === undefined ? undefined : Date.parse(field("time")!.replace(/(\.\d{3})\d* UTC$/, "$1 UTC")),
    text: field("text"),
    value: [field("credit"), field("window"), field("ack")].map((value) => value && Number(value)).find(Boolean),
    inflated: field("inflated_size") === undefined ? undefined : Number(field("inflated_size")),
    release: field("hello.version"),
  };
}

function ofSeen(seen: Seen): Layer | undefined {
  if (seen.type === "handshake") return { step: seen.step, length: seen.bytes.length };
  if (seen.type === "damage") return { damaged: true };
  if (seen.type !== "frame") return undefined;
  const { fields, kind, payload } = seen;
  const found = textOf(payload.bytes);
  const shown = payload.value === undefined && payload.release === undefined && payload.compressed === undefined;
  return {
    kind,
    code: fields.code,
    flags: fields.flags,
    size: fields.size,
    id: fields.id,
    check: fields.check,
    digest: fields.digest,
    good: true,
    sentAt: fields.sentAt,
    text: shown && "text" in found ? found.text : undefined,
    value: payload.value === 0 ? undefined : payload.value,
    inflated: payload.compressed === undefined
      ? undefined
      : payload.bytes.length + (payload.meta === undefined ? 0 : 2 + JSON.stringify(payload.meta).length),
    release: payload.release,
  };
}

/** Compares tshark and `veltix decode` on a capture. Returns how many messages there are. */
async function compare(file: string, args: readonly string[] = [], spoken?: Protocol): Promise<number> {
  const knowledge = await loadKnowledge({ protocol: spoken });
  const found = [...decodeSource(new Uint8Array(readFileSync(file)), knowledge, "server")];
  const ours = found.map(({ seen }) => ofSeen(seen)).filter((one) => one !== undefined);
  assertEquals(dissect(file, ...args).map(ofTshark), ours);
  return ours.length;
}

/** Neither TCP nor the dissector has anything to complain of. */
function assertClean(file: string, ...args: string[]): void {
  const checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
  const filter = "tcp.analysis.flags || tcp.checksum.status == 0 || ip.checksum.status == 0 || _ws.malformed || " +
    "_ws.expert.severity >= 6291456";
  assertEquals(tshark(file, ...checks, "-Y", filter, ...args), "");
}

describe("tools/veltix.lua", () => {
  it("has tables that are up to date", () => {
    const text = readFileSync(DISSECTOR, "utf8");
    assert(upToDate(text) === text, "run deno run -A scripts/wireshark.ts");
  });

  it("has the fields that docs/inspect.md names", () => {
    const page = readFileSync(new URL("../docs/inspect.md", import.meta.url), "utf8");
    const script = readFileSync(DISSECTOR, "utf8");
    const names = [...page.matchAll(/`(veltix\.[a-z_.0-9]+)`/g)].map(([, name]) => name)
      .filter((name) => !["veltix.lua", "veltix.flags.request"].includes(name));
    assert(names.length > 20);
    assertEquals(names.filter((name) => !script.includes(`"${name}"`)), []);
  });

  loadVectors().forEach((vectors, i) => {
    if (!isMine(i)) return;
    const { frames, handshake, hello, release } = vectors;
    const { helloAck } = vectors as typeof vectors & { helloAck: string | null };
    const silent = protocol(release).handshake === "none";
    const args = [...AS_VELTIX, ...silent ? ["-o", `veltix.release:${release}`] : []];
    const parts = [
      ["server", hello],
      ["client", helloAck],
      ["server", handshake?.server],
      ["client", handshake?.client],
      ["server", (handshake as { ack?: string } | null)?.ack],
      ...frames.map(({ frameHex }) => ["server", frameHex]),
      ...frames.map(({ frameHex }) => ["client", frameHex]),
    ].filter((part): part is [Sender, string] => typeof part[1] === "string")
      .map(([from, digits]): [Sender, Uint8Array] => [from, unhex(digits)]);

    test(`shows every frame of Python ${release}, wherever segments are cut${WHY}`, async () => {
      using place = folder();
      const file = place.file("capture.pcapng");
      for (const size of [1, 61]) {
        capture(file, segments(parts, size));
        const count = await compare(file, args, silent ? protocol(release) : undefined);
        assertEquals(count, parts.length, `segments of ${size} bytes`);
      }
    });

    test(`finds out that a connection is Python ${release}${WHY}`, () => {
      using place = folder();
      const file = place.file("capture.pcapng");
      capture(file, parts);
      assertEquals(dissect(file).length, parts.length);
    });
  });

  test(`shows every frame of native connections, found by itself${WHY}`, async () => {
    using place = folder();
    const file = place.file("capture.pcapng");
    await talkNative(["--pcap", file]);
    assert(await compare(file) > 12);
    assertClean(file);
    // By its first pass alone it cannot know what comes later.
    const layers = dissect(file, "-2");
    assert(layers.some((layer) => layer["veltix.inflated_size"] !== undefined));
    assert(layers.some((layer) => layer["veltix.meta.deadline"] === "40000"));
    for (const kind of ["open", "piece", "window", "goaway", "error"]) {
      assert(layers.some((layer) => layer["veltix.kind"] === kind), kind);
    }
    const [request] = layers.filter((layer) => layer["veltix.kind"] === "request");
    const [reply] = layers.filter((layer) => layer["veltix.kind"] === "reply");
    assert(request["veltix.reply_in"] !== undefined, JSON.stringify(request));
    assert(reply["veltix.reply_to"] !== undefined, JSON.stringify(reply));
  });

  test(`marks damaged frames, and goes on behind them${WHY}`, () => {
    using place = folder();
    const file = place.file("capture.pcapng");
    const native = protocol("native");
    const frame = (content: string): Uint8Array =>
      encodeFrame(native, { code: 200, content: utf8(content), requestId: 0, flags: 0 });
    const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => i === at ? byte ^ 1 : byte);
    const stream = join(frame("one"), flip(frame("two"), 17), flip(frame("three"), 6), frame("four"));
    capture(file, [["server", stream]]);
    const layers = dissect(file, ...AS_VELTIX);
    assertEquals(
      layers.map((layer) => layer["veltix.text"]),
      ["one", "uwo", undefined, "four"].map((text, i) => i === 1 ? "tvo" : text),
    );
    assertEquals(layers.map((layer) => layer["veltix.digest.status"]), ["1", "0", undefined, "1"]);
    const messages = tshark(file, ...AS_VELTIX, "-T", "fields", "-e", "_ws.expert.message");
    assert(messages.includes("The CRC-32 does not match"), messages);
    assert(messages.includes("No frame: the check byte of the header does not match"), messages);
    const odd = { code: 200, content: utf8("x"), requestId: 1, flags: Flag.REQUEST | Flag.REPLY };
    capture(file, [["server", join(frame("one"), withFlags(odd))]]);
    const odds = tshark(file, ...AS_VELTIX, "-T", "fields", "-e", "_ws.expert.message");
    assert(odds.includes("REQUEST and REPLY are both set"), odds);
  });

  test(`says of encrypted connections that they are${WHY}`, () => {
    using place = folder();
    const file = place.file("capture.pcapng");
    capture(file, [["server", unhex("5658530113")], ["client", unhex("5658530113002000")]]);
    assert(tshark(file, ...AS_VELTIX).includes("Encrypted (Noise)"));
  });
});

/** A native frame whose flags the encoder would refuse. */
function withFlags(frame: { code: number; content: Uint8Array; requestId: number; flags: number }): Uint8Array {
  const native = protocol("native");
  const bytes = encodeFrame(native, { ...frame, flags: Flag.REQUEST });
  bytes[1] = frame.flags;
  let crc = 0xff;
  for (const byte of bytes.subarray(1, 12)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? crc << 1 & 0xff ^ 0x07 : crc << 1 & 0xff;
  }
  bytes[0] = crc;
  return bytes;
}

/** A native conversation with all features, through `veltix inspect`. */
async function talkNative(args: string[]): Promise<void> {
  const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
  const CHAT = messageType(202, "chat", text);
  const UPLOAD = streamType(300, "upload", { head: text, result: json<number>() });
  const server = new Server({ hostname: "127.0.0.1", port: 0, compression: true, resume: true });
  server.route(ADD, ({ data }) => data.a + data.b);
  server.route(CHAT, () => {});
  server.stream(UPLOAD, async ({ readable }) => {
    let size = 0;
    for await (const chunk of readable) size += chunk.length;
    return size;
  });
  await server.start();
  const { port } = server.addresses[0] as { port: number };
  const running = await startInspect(`127.0.0.1:${port}`, ...args);
  {
    await using client = new Client({ port: running.port, compression: true, reconnect: true, resume: true });
    await client.connect();
    assertEquals(await client.request(ADD, { a: 1, b: 2 }, { timeout: 40_000, meta: { name: "value" } }), 3);
    client.send(CHAT, Array.from({ length: 500 }, (_, i) => `veltix ${i}`).join(" "));
    const unknown = messageType(299, "unknown", text, text);
    await client.request(unknown, "?").then(() => Promise.reject(new Error("It answers")), () => {});
    const upload = client.open(UPLOAD, "a.txt");
    const writer = upload.writable.getWriter();
    await writer.write(new Uint8Array(200_000));
    await writer.close();
    assertEquals(await upload.result, 200_000);
  }
  await running.terminal.until((lines) => lines.some((line) => line.includes('"type":"close"')));
  await running.stop();
  await server.close();
}
