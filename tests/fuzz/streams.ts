/**
 * `deno run -A tests/fuzz/streams.ts [--seed N] [--frames N]`, on Bun and Node as well: frames of streams for a server and for
 * a client, by a peer that keeps to the rules most of the time. It exits with 1 when an end hangs, leaves something behind, or
 * rejects a promise that nobody handles. The figures of memory are for the reader.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { Client, Server, streamType, type TcpEndpoint, text } from "@veltix/core";
import { memoryTransport } from "@veltix/core/memory";
import { Flag, SystemCode } from "../../src/wire/frame.ts";
import { Raw, type RawFrame, RawServer, type World } from "../session_support.ts";
import { utf8 } from "../wire_support.ts";
import { Random } from "../wire_support.ts";

const option = { type: "string" } as const;
const { values } = parseArgs({ options: { seed: option, frames: option } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const most = Number(values.frames ?? 10_000_000);
const random = new Random(seed);

/** Most that one peer sends before the next one comes. */
const CONNECTION = 2_000;
const BATCH = 100;
const STALL = 20_000;
const PROGRESS = 5_000;
const WINDOW = 2_048;
const CONFIG = {
  streamWindow: WINDOW,
  maxStreams: 16,
  maxStreamBytes: 40 * WINDOW,
  maxTotalStreamBytes: 80 * WINDOW,
  logger: { warn(): void {}, error(): void {} },
} as const;
const FEATURES = { streams: { window: 4_096, max: 1_000, least: 64 }, goaway: {} };
const BYTES = streamType(300, "bytes");
const ITEMS = streamType(301, "items", { up: text, down: text, result: text });
const FEED = streamType(302, "feed", { up: false, down: text });

/** Ends the process with what was wrong. */
function fail(what: string): never {
  console.error(`${what}\nRepeat it with --seed ${seed}`);
  process.exit(1);
}

/** Handles streams in all ways that there are. */
function handle(side: Pick<Server | Client, "stream">): void {
  (side as Server).stream(BYTES, async ({ readable, signal, writable }) => {
    const kind = random.below(6);
    if (kind === 0) return await readable.pipeTo(writable);
    if (kind === 1) return;
    if (kind === 2) throw new Error("thrown");
    if (kind === 3) return await writable.abort("aborted");
    if (kind === 4) {
      await readable.cancel("cancelled");
      await writable.getWriter().write(new Uint8Array(random.below(5_000)));
      return;
    }
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  (side as Server).stream(ITEMS, async ({ readable, writable }) => {
    const writer = writable.getWriter();
    for await (const item of readable) await writer.write(item);
    return "done";
  });
  (side as Server).stream(FEED, async function* (): AsyncGenerator<string> {
    for (let i = 0; i < 100; i++) yield `${i}`;
  });
}

/** A peer that sends frames of streams. Each side counts its ids by itself. */
class Fuzzer {
  /** The streams of this peer, by id, with what may still be sent. */
  readonly #own = new Map<number, { code: number; left: number; ended: boolean }>();
  #next = 1;
  /** The highest id that the other side may have used. */
  theirs = 1;

  frame(): RawFrame {
    if (random.below(400) === 0) return this.#any();
    const ids = [...this.#own.keys()];
    if (ids.length === 0 || ids.length < 12 && random.below(4) === 0) {
      const requestId = this.#next++;
      const ended = random.below(8) === 0;
      const code = random.pick([300, 301, 302]);
      this.#own.set(requestId, { code, left: WINDOW, ended });
      return { code, requestId, flags: Flag.REQUEST | Flag.STREAM | (ended ? Flag.END : 0) };
    }
    const requestId = random.pick(ids);
    const stream = this.#own.get(requestId)!;
    const kind = random.below(12);
    if (kind === 0) {
      this.#own.delete(requestId);
      return {
        code: SystemCode.CANCEL,
        requestId,
        content: random.pick(["", '{"code":"c","message":"m"}', "{", "\xff"]),
      };
    }
    if (kind === 1) return { code: SystemCode.STOP, requestId, content: random.pick(["", "{}", "null", '"a"']) };
    if (kind === 2) return { code: SystemCode.WINDOW, requestId, content: this.#number(1 + random.below(10_000)) };
    if (kind === 3) return this.#answer();
    if (stream.ended || stream.left < 256) {
      // It is not known what was read: an honest peer waits, this one forgets.
      this.#own.delete(requestId);
      return { code: SystemCode.CANCEL, requestId };
    }
    const size = 1 + random.below(Math.min(stream.left, random.pick([4, 300, 2_000])));
    stream.left -= Math.max(256, size);
    stream.ended = random.below(6) === 0;
    const content = random.bytes(size);
    if (stream.code === 301 && size > 4) content.set([0, 0, 0, random.pick([size - 4, 0, 1, 255])]);
    return { code: stream.code, requestId, flags: Flag.STREAM | (stream.ended ? Flag.END : 0), content };
  }

  /** Something about a stream of the other side. */
  #answer(): RawFrame {
    const requestId = 1 + random.below(this.theirs + 1);
    const flags = Flag.REPLY;
    const kind = random.below(5);
    if (kind === 0) return { code: SystemCode.STOP, requestId, flags };
    if (kind === 1) {
      return { code: SystemCode.WINDOW, requestId, flags, content: this.#number(1 + random.below(9_000)) };
    }
    if (kind === 2) {
      return {
        code: 300,
        requestId,
        flags: flags | Flag.STREAM | (random.below(4) === 0 ? Flag.END : 0),
        content: "a",
      };
    }
    if (kind === 3) return { code: 300, requestId, flags };
    return { code: 300, requestId, flags: flags | Flag.ERROR, content: random.pick(["", '{"code":"x"}', "[]"]) };
  }

  /** Anything at all. */
  #any(): RawFrame {
    const content = random.pick([
      new Uint8Array(0),
      random.bytes(random.below(9)),
      random.bytes(random.below(3_000)),
      utf8("{}"),
    ]);
    const code = random.pick([0, 1, 3, 5, 7, 8, 9, 300, 301, 302, 303]);
    return {
      code,
      flags: random.pick([0, 1, 2, 6, 8, 0x40, 0x41, 0x42, 0x48, 0x4a, 0x49, 0x44, 0xff]),
      requestId: random.below(40),
      content,
    };
  }

  #number(value: number): Uint8Array {
    const content = new Uint8Array(4);
    new DataView(content.buffer).setUint32(0, value);
    return content;
  }
}

let frames = 0;
let connections = 0;
let moved = performance.now();
let openFailed = 0;

/** Sends until the other side ends it, or for as long as a connection lasts. */
async function play(raw: Raw, act: () => void): Promise<void> {
  const fuzzer = new Fuzzer();
  let over = false;
  const reading = (async () => {
    try {
      for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) {
        if ((frame.flags & Flag.REQUEST) !== 0) fuzzer.theirs = Math.max(fuzzer.theirs, frame.requestId as number);
      }
    } catch {
      // It was reset.
    }
    over = true;
  })();
  for (let sent = 0; sent < CONNECTION && !over; sent += BATCH) {
    act();
    await raw.send(...Array.from({ length: BATCH }, () => fuzzer.frame())).catch(() => over = true);
    frames += BATCH;
    moved = performance.now();
    if (random.below(3) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await raw[Symbol.asyncDispose]();
  await reading;
  connections++;
}

function megabytes(): string {
  (globalThis as { gc?: () => void }).gc?.();
  return `${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`;
}

process.on(
  "unhandledRejection",
  (error) => fail(`A promise was rejected that nobody handles: ${(error as Error)?.stack ?? error}`),
);
process.on("uncaughtException", (error) => fail(`An error was thrown that nobody catches: ${error?.stack ?? error}`));

const world = { transport: memoryTransport() } as unknown as World;
const server = new Server({ hostname: "127.0.0.1", port: 0, transport: world.transport, ...CONFIG });
server.on("error", () => {});
handle(server);
await server.start();
const address = server.addresses[0] as TcpEndpoint;
const raws = await RawServer.listen(world);

console.log(`seed ${seed}, memory ${megabytes()}`);
const begin = performance.now();
const tell = (): void => {
  const rate = Math.round(frames / (performance.now() - begin));
  console.log(
    `${frames.toLocaleString("en")} frames, ${connections} connections, ${rate},000 a second, memory ${megabytes()}`,
  );
};
let told = performance.now();
const stall = setInterval(() => {
  if (performance.now() - moved > STALL) fail(`It hangs: nothing has moved for ${STALL / 1_000} s`);
}, 1_000);

while (frames < most) {
  // A client by hand, whom the server opens streams to.
  const raw = await Raw.connect(world, address, "native", { features: FEATURES });
  await play(raw, () => {
    for (const info of server.clients) use(info);
  });
  // A server by hand.
  const client = new Client({ ...raws.address, transport: world.transport, ...CONFIG });
  client.on("error", () => {});
  handle(client);
  const [other] = await Promise.all([raws.welcome("native", { features: FEATURES }), client.connect()]);
  await play(other, () => use(client));
  await client.close({ drain: 0 });
  if (performance.now() - told > PROGRESS) {
    told = performance.now();
    tell();
  }
}

/** Opens a stream and uses it in some way. */
function use(side: { open: Client["open"] }): void {
  try {
    const stream = side.open(BYTES);
    stream.result.catch(() => {});
    const kind = random.below(5);
    if (kind === 0) stream.abort("aborted");
    if (kind === 1) stream.readable.cancel("cancelled").catch(() => {});
    if (kind === 2) stream.readable.pipeTo(new WritableStream()).catch(() => {});
    if (kind > 2) stream.writable.getWriter().write(new Uint8Array(random.below(10_000))).catch(() => {});
  } catch {
    openFailed++;
  }
}

tell();
// All that was taken is free again: the windows of a whole server can be opened by two clients.
for (let tries = 0; server.clients.length > 0; tries++) {
  if (tries > 1_000) fail(`${server.clients.length} clients are left`);
  await new Promise((resolve) => setTimeout(resolve, 10));
}
const last = await Promise.all(
  [1, 2, 3, 4, 5].map(() => Raw.connect(world, address, "native", { features: FEATURES })),
);
for (const raw of last) {
  const open = Array.from(
    { length: 16 },
    (_, i) => ({ code: 302, flags: Flag.REQUEST | Flag.STREAM, requestId: i + 1 }),
  );
  await raw.send(...open, { code: SystemCode.PING, requestId: 99, flags: Flag.REQUEST });
}
for (const raw of last) {
  for (let frame = await raw.frame(); frame?.code !== SystemCode.PONG; frame = await raw.frame()) {
    if (frame === null) fail("The server ends a peer that only opens");
    if ((frame.flags & Flag.ERROR) !== 0) fail(`Not all was given back: ${new TextDecoder().decode(frame.content)}`);
  }
}
for (const raw of last) {
  await raw[Symbol.asyncDispose]();
}
clearInterval(stall);
await server.close({ drain: 0 });
await raws[Symbol.asyncDispose]();
console.log(
  `${frames.toLocaleString("en")} frames passed in ${
    ((performance.now() - begin) / 1_000).toFixed(1)
  } s, ${openFailed} openings refused here`,
);
process.exit(0);
