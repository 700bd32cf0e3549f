/** Resumption in `docs/protocol.md`: what the handshakes say, the frames of the example, and what a session survives. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import { Client, ConnectionError, messageType, text } from "../mod.ts";
import { clientResume, serverResume } from "../src/app/resume_config.ts";
import { encodeBase64Url } from "../src/base/base64.ts";
import type { CloseReason } from "../src/link/close_reason.ts";
import type { ChunkReader, Connection, Transport } from "../src/transport.ts";
import { protocol } from "../src/wire/protocols.ts";
import { Conversation } from "./resume_support.ts";
import { advanceUntil, memoryWorld, Recorder, serve } from "./session_support.ts";
import { hex, join } from "./wire_support.ts";

const page = readFileSync(new URL("../docs/protocol.md", import.meta.url), "utf8");
const guide = readFileSync(new URL("../docs/guide/resuming.md", import.meta.url), "utf8");
const chapter = page.split("\n## Resumption\n")[1].split("\n## ")[0];
const native = protocol("native");
const HI = messageType(200, "hi", text);

/** The lines of the block of text of the chapter that begins with this line. */
function block(first: string): string[] | undefined {
  return chapter.split("```text\n").slice(1).map((part) => part.split("```")[0].trimEnd().split("\n"))
    .find((lines) => lines[0].startsWith(first));
}

/** One connection: what each side has sent. */
class Tape {
  readonly client: Uint8Array[] = [];
  readonly server: Uint8Array[] = [];

  /** The parameters of `resume` in the three messages of the handshake, in order. */
  get parameters(): unknown[] {
    const [greeting, decision] = this.#messages(this.server, 2);
    const [answer] = this.#messages(this.client, 1);
    return [greeting.meta, answer.meta, decision].map(({ native }) => native.features.resume);
  }

  /** The frames of both sides that follow the handshake. */
  get frames(): { client: Uint8Array[]; server: Uint8Array[] } {
    return { client: framesIn(this.#rest(this.client, 1)), server: framesIn(this.#rest(this.server, 2)) };
  }

  // deno-lint-ignore no-explicit-any -- JSON of a handshake, as the other end reads it.
  #messages(chunks: Uint8Array[], count: number): any[] {
    const bytes = join(...chunks);
    let at = 0;
    return Array.from({ length: count }, () => {
      const size = bytes[at] * 256 + bytes[at + 1];
      return JSON.parse(new TextDecoder().decode(bytes.subarray(at + 2, at += 2 + size)));
    });
  }

  #rest(chunks: Uint8Array[], count: number): Uint8Array {
    const bytes = join(...chunks);
    let at = 0;
    for (let i = 0; i < count; i++) at += 2 + bytes[at] * 256 + bytes[at + 1];
    return bytes.subarray(at);
  }
}

function framesIn(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = native.headerSize + new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(4);
    frames.push(bytes.subarray(at, at += size));
  }
  return frames;
}

/** Returns a frame as the page shows it. */
function row(name: string, frame: Uint8Array): string {
  const at = [0, 1, 2, 4, 8, 12, 16];
  const parts = at.map((from, i) => hex(frame.subarray(from, at[i + 1])));
  return [name.padEnd(8), parts[0].padEnd(5), parts[1].padEnd(5), ...parts.slice(2)].join(" ").trimEnd();
}

/** A transport that tapes the connections that it opens. The last of them can be cut. */
function taping(transport: Transport): { transport: Transport; tapes: Tape[]; cut(): void } {
  const tapes: Tape[] = [];
  let last: Connection | undefined;
  return {
    tapes,
    cut: () => last!.abort(),
    transport: {
      ...transport,
      async connect(to, options): Promise<Connection> {
        const connection = last = await transport.connect(to, options);
        const tape = new Tape();
        tapes.push(tape);
        const write = connection.write.bind(connection);
        const readTo = connection.readTo!.bind(connection);
        return Object.assign(connection, {
          writeTo: undefined,
          write(bytes: Uint8Array): Promise<void> {
            tape.client.push(bytes.slice());
            return write(bytes);
          },
          readTo(reader: ChunkReader): void {
            readTo({
              received(chunk, error): void {
                if (chunk !== null) tape.server.push(chunk.slice());
                reader.received(chunk, error);
              },
            });
          },
        } as Partial<Connection>);
      },
    },
  };
}

/** Plays what the page tells: a new session with one message, its comeback, and one that is lost. */
async function play(): Promise<Tape[]> {
  const world = memoryWorld();
  const { transport, tapes, cut } = taping(world.transport);
  await using served = await serve(world, { resume: true });
  const { server, address } = served;
  server.route(HI, () => {});
  const on = new Recorder(server, ["suspended", "resumed"]);
  await using client = new Client({ ...address, transport, reconnect: true, resume: true });
  const mine = new Recorder(client, ["resumed", "disconnect", "connect"]);
  await client.connect();
  await world.clock.settle();
  client.send(HI, "hi");
  await world.clock.settle();
  await world.clock.advance(199);
  assertEquals(tapes[0].frames.server, []);
  // Timeouts fire up to two ticks of 10 ms late.
  await world.clock.advance(1 + 2 * 10);
  await world.clock.settle();

  cut();
  await on.next("suspended");
  await advanceUntil(world.clock, mine.next("resumed"));

  cut();
  const [client1] = await on.next("suspended");
  await client1.close("manual", { drain: 0 });
  const [{ resume }] = await advanceUntil(world.clock, mine.next("disconnect"));
  assertEquals(resume, "lost");
  assertEquals(mine.of("connect").length, 2);
  return tapes;
}

/** Replaces the random bytes of ids and keys by those of the page. */
function withNames(lines: string[]): string[] {
  const names = new Map<string, string>();
  const name = (text: string, bytes: number, first: number): string => {
    if (!names.has(text)) names.set(text, encodeBase64Url(new Uint8Array(bytes).fill(first)));
    return names.get(text)!;
  };
  return lines.map((line) => {
    const lost = line.includes('"lost"') ? 2 : 0;
    return line.replace(/"id":"([\w-]+)"/, (_, id) => `"id":"${name(id, 16, 1 + lost)}"`)
      .replace(/"key":"([\w-]+)"/, (_, key) => `"key":"${name(key, 32, 2 + lost)}"`);
  });
}

describe("docs/protocol.md on resumption", () => {
  it("shows what handshakes say, and the frames of a new session, as they are sent", async () => {
    const tapes = await play();
    const kinds = ["new session", "going on", "lost"];
    assertEquals(tapes.length, kinds.length);
    const said = kinds.flatMap((kind, i) => [
      kind,
      ...tapes[i].parameters.map((parameters, message) => `${message + 1} ${JSON.stringify(parameters)}`),
    ]);
    assertEquals(block("new session"), withNames(said));

    const { client, server } = tapes[0].frames;
    assertEquals([client.length, server.length], [2, 1]);
    const head = "sender   check flags code size     id       crc      content";
    assertEquals(block("sender"), [
      head,
      row("client", client[0]),
      row("client", client[1]),
      row("server", server[0]),
    ]);
  });

  it("tells what a session survives", async () => {
    const table = chapter.split("### Cut or over\n")[1].split("\n### ")[0];
    const reasons = { "goes on": 0, "is over": 0 };
    for (const line of table.split("\n").filter((line) => line.startsWith("|")).slice(2)) {
      const [, what, outcome] = line.split("|").map((cell) => cell.trim());
      assert(outcome === "goes on" || outcome === "is over", line);
      for (const [, reason] of what.matchAll(/`([a-z]+(?:-[a-z]+)*)`/g)) {
        if (reason === "keep") continue;
        await using talk = new Conversation();
        const { peer, suspensions } = talk.client;
        const error = new ConnectionError("reset", "The test cuts it");
        if (reason === "replaced") peer.session.suspend(reason);
        else peer.session.link.failed(error, reason as CloseReason);
        const seen = suspensions.length > 0 ? "goes on" : talk.client.over === undefined ? "nothing" : "is over";
        assertEquals([reason, seen], [reason, outcome]);
        reasons[outcome]++;
      }
    }
    assertEquals(reasons, { "goes on": 6, "is over": 6 });
  });
});

describe("docs/guide/resuming.md on resumption", () => {
  it("has the options of both sides with their defaults", () => {
    const table = guide.split("| option of `resume`")[1].split("\n\n")[0].split("\n").slice(2);
    const units: Record<string, number> = { MiB: 1024 * 1024, ms: 1 };
    const rows = table.map((line) => {
      const [, name, on, value] = line.split("|").map((cell) => cell.trim());
      const [figure, unit = "ms"] = value.split(" ");
      const number = Number(figure.replaceAll(",", "")) * units[unit];
      return { name: name.replaceAll("`", ""), on, value: value === "false" ? false : number };
    });
    const server = Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    assertEquals(server, { ...serverResume("resume", true)! });
    const client = Object.fromEntries(rows.filter(({ on }) => on === "both").map(({ name, value }) => [name, value]));
    assertEquals(client, { ...clientResume("resume", true)! });
  });
});
