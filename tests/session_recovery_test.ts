/** `recovery: "resync"` on a Server and a Client: peers of the Python releases with a magic whose frames come torn. */

import { anyLoop } from "../src/base/event_loop.ts";
import { Channel } from "../src/link/channel.ts";
import { FlushQueue } from "../src/link/flush_queue.ts";
import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, type ClientConfig, messageType, ProtocolError, type ServerConfig } from "../mod.ts";
import { put32 } from "../src/wire/integers.ts";
import { FrameSource } from "../src/link/frame_source.ts";
import type { SessionShared } from "../src/session/shared.ts";
import { BatchBudget } from "../src/link/batch_budget.ts";
import type { Clock } from "../src/base/clock.ts";
import type { TcpEndpoint } from "../src/base/address.ts";
import type { Connection } from "../src/transport.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { protocol } from "../src/wire/protocols.ts";
import { face, HOST, memoryWorld, Raw, type Recorder, serve, turn, until, type World } from "./session_support.ts";
import { join } from "./wire_support.ts";

const DATA = messageType(200, "data", bytes);
const RELEASES = ["1.7.0", "1.9.0", "2.0.0"] as const;
const HINT = 'set recovery: "resync" if this is a Python peer you trust';

/** What a test looks at, on either side. */
interface Met extends AsyncDisposable {
  readonly world: World;
  readonly raw: Raw;
  readonly events: Recorder;
  /** The payloads that came, as numbers: their first bytes and their sizes. */
  readonly got: string[];
  stats(): { readonly bytesSkipped?: number; readonly framesDropped?: number };
  /** The error of the next `error` event, and what the next `disconnect` event tells. */
  error(): Promise<Error & { code: string }>;
  disconnect(): Promise<{ reason: string; error?: Error }>;
  /** Closes the side that is tested. */
  close(): Promise<void>;
}

const note = ({ content }: { content: Uint8Array }): string => `${content[0]}×${content.length}`;

/** A server and a torn client. */
async function meetServer(release: string, config: ServerConfig): Promise<Met> {
  const world = memoryWorld();
  const got: string[] = [];
  const served = await serve(
    world,
    { protocol: release, ...config },
    (server) => server.route(DATA, (message) => void got.push(note(message))),
  );
  const raw = await Raw.connect(world, served.address, release);
  const [info] = await served.events.next("connect");
  return {
    world,
    raw,
    events: served.events,
    got,
    stats: () => info.stats(),
    error: async () => (await served.events.next("error"))[0],
    disconnect: async () => (await served.events.next("disconnect"))[1],
    close: () => served.server.close({ drain: 0 }),
    async [Symbol.asyncDispose](): Promise<void> {
      await raw[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** A client and a torn server. */
async function meetClient(release: string, config: ClientConfig): Promise<Met> {
  const world = memoryWorld();
  const got: string[] = [];
  const met = await face(world, release, {}, config);
  const { client, raw, events } = met;
  client.route(DATA, (message) => void got.push(note(message)));
  return {
    world,
    raw,
    events,
    got,
    stats: () => client.stats(),
    error: async () => (await events.next("error"))[0],
    disconnect: async () => (await events.next("disconnect"))[0],
    close: () => client.close({ drain: 0 }),
    [Symbol.asyncDispose]: () => met[Symbol.asyncDispose](),
  };
}

/** Waits for so many messages, or for what ends the connection. */
function came({ got, events }: Met, count: number): Promise<void> {
  return until(() => got.length >= count || events.of("error").some(([error]) => error.code === "protocol-error"));
}

const data = (raw: Raw, n: number, size = 50): Uint8Array =>
  raw.encode({ code: 200, content: new Uint8Array(size).fill(n) });

for (const [side, meet] of [["server", meetServer], ["client", meetClient]] as const) {
  for (const release of RELEASES) {
    describe(`a ${side} with a Python peer of ${release}`, () => {
      it('goes on behind torn frames with recovery: "resync", and tells what was skipped', async () => {
        await using met = await meet(release, { recovery: "resync" });
        const { raw } = met;
        const torn = data(raw, 2);
        await raw.connection.write(join(data(raw, 1), torn.subarray(0, 40), torn));
        for (const part of [torn.subarray(0, 30), torn.subarray(0, 60), torn, data(raw, 3)]) {
          await raw.connection.write(part);
          await turn();
        }
        await came(met, 4);
        assertEquals(met.got, ["1×50", "2×50", "2×50", "3×50"]);
        assertEquals(met.events.of("error").length, 2);
        for (const size of [40, 90]) {
          const error = await met.error();
          assertInstanceOf(error, ProtocolError);
          assertEquals(
            [error.code, error.message],
            ["corrupt", `Skipped ${size} bytes between two frames: no whole frame is in them`],
          );
        }
        const { bytesSkipped, framesDropped } = met.stats();
        assertEquals([bytesSkipped, framesDropped], [130, 0]);
        assertEquals(met.events.of("disconnect"), []);
      });

      it("closes without it, and the error names the option", async () => {
        await using met = await meet(release, {});
        const torn = data(met.raw, 1);
        await met.raw.connection.write(join(torn.subarray(0, 40), torn, data(met.raw, 2)));
        assertEquals(await met.raw.end(), "fin");
        assertEquals((await met.error()).message, "Dropped a frame of type 200, 50 bytes: its checksum does not match");
        assertStringIncludes((await met.error()).message, HINT);
        const { reason, error } = await met.disconnect();
        assertEquals([reason, met.got], ["protocol-error", []]);
        assertStringIncludes(error!.message, HINT);
        assertEquals(met.stats().bytesSkipped ?? 0, 0);
      });

      it("hands out no frame that stands in a good payload, in either mode", async () => {
        for (const recovery of ["close", "resync"] as const) {
          await using met = await meet(release, { recovery });
          const outer = met.raw.encode({ code: 200, content: join(new Uint8Array(3), data(met.raw, 9)) });
          await met.raw.connection.write(join(outer, data(met.raw, 1)));
          await came(met, 2);
          assertEquals(met.got, [`0×${3 + data(met.raw, 9).length}`, "1×50"]);
          assertEquals(met.stats().bytesSkipped, 0);
        }
      });

      it("closes protocol-error when more than maxMessageSize is skipped", async () => {
        await using met = await meet(release, { recovery: "resync", maxMessageSize: 1_000 });
        const { raw } = met;
        await raw.connection.write(join(data(raw, 1), new Uint8Array(1_000), data(raw, 2)));
        await came(met, 2);
        await raw.connection.write(join(new Uint8Array(1_001), data(raw, 3)));
        assertEquals(await raw.end(), "fin");
        const { reason, error } = await met.disconnect();
        assertEquals([reason, met.got], ["protocol-error", ["1×50", "2×50"]]);
        assertStringIncludes(error!.message, "more than 1000 bytes hold no whole frame");
      });

      it("takes a FIN in a gap for a FIN, and tells what was skipped after the last frame", async () => {
        await using met = await meet(release, { recovery: "resync" });
        await met.raw.connection.write(join(data(met.raw, 1), new Uint8Array(70)));
        await met.raw.connection.closeWrite();
        const error = await met.error();
        assertEquals(error.message, "Skipped 70 bytes after the last frame: no whole frame is in them");
        assertEquals([(await met.disconnect()).reason, met.got], ["peer-closed", ["1×50"]]);
      });

      it("sees that a connection ends inside a frame, behind a gap or not", async () => {
        for (const before of [0, 70]) {
          await using met = await meet(release, { recovery: "resync" });
          await met.raw.connection.write(
            join(data(met.raw, 1), new Uint8Array(before), data(met.raw, 2).subarray(0, 20)),
          );
          await met.raw.connection.closeWrite();
          const { reason, error } = await met.disconnect();
          assertEquals([reason, met.got], ["network-error", ["1×50"]]);
          assertStringIncludes(error!.message, "20 bytes into a frame");
          const told = met.events.of("error").filter(([{ code }]) => code === "corrupt");
          assertEquals(told.length, before === 0 ? 0 : 1);
        }
      });

      it("leaves a peer alone that is silent behind a gap, and tells of the gap when it closes", async () => {
        await using met = await meet(release, { recovery: "resync", heartbeat: false });
        const { raw, world } = met;
        // A frame overtaken by another, as 3.1.1 sends them.
        const torn = data(raw, 1, 2_000);
        await raw.connection.write(join(torn.subarray(0, 800), data(raw, 2), torn.subarray(800)));
        await until(() => met.stats().bytesSkipped === torn.length);
        await world.clock.advance(9_000);
        await world.clock.advance(20_000);
        assertEquals([met.got, met.events.of("disconnect"), met.events.of("error").length], [["2×50"], [], 1]);
        await met.close();
        await met.disconnect();
        const told = met.events.of("error").map(([{ message }]) => message);
        assertEquals(told, [
          "Skipped 800 bytes between two frames: no whole frame is in them",
          `Skipped ${torn.length - 800} bytes after the last frame: no whole frame is in them`,
        ]);
      });

      it("does not give up a peer whose gap goes on, only because each time a frame seems to begin", async () => {
        await using met = await meet(release, { recovery: "resync", heartbeat: false });
        const { raw, world } = met;
        for (let seconds = 0; seconds < 30; seconds++) {
          await raw.connection.write(new Uint8Array(3).fill(0x56));
          const wanted = 3 * seconds + 2;
          await until(() => met.stats().bytesSkipped === wanted || met.events.of("disconnect").length > 0);
          await world.clock.advance(1_000);
        }
        assertEquals(met.events.of("disconnect"), []);
      });

      it("gives up a peer that announces a frame inside a gap and does not bring it", async () => {
        await using met = await meet(release, { recovery: "resync", heartbeat: false });
        const { raw, world } = met;
        const announced = data(raw, 1).subarray(0, raw.protocol.headerSize).slice();
        put32(announced, raw.protocol.layout.size, 1_000_000);
        await raw.connection.write(join(new Uint8Array(5), announced, data(raw, 2)));
        await world.clock.settle();
        assertEquals(met.stats().bytesSkipped, 5);
        await world.clock.advance(9_000);
        assertEquals(met.events.of("disconnect"), []);
        await world.clock.advance(10_000);
        const { reason } = await met.disconnect();
        assertEquals([reason, met.got], ["heartbeat", []]);
      });
    });
  }
}

describe('recovery: "resync"', () => {
  it("tells of an open gap as soon as the peer says FIN, the connection breaks, or nothing more is taken", async () => {
    const spoken = protocol("2.0.0");
    const frame = encodeFrame(spoken, { code: 200, content: new Uint8Array(50), requestId: 1, flags: 0 });
    const never = new Promise<never>(() => {});
    for (
      const [end, ...wanted] of [
        [() => Promise.resolve(null), "FIN"],
        [() => Promise.reject(new Error("reset")), "reset"],
        [() => never],
      ] as [() => Promise<null>, ...string[]][]
    ) {
      const chunks = [join(frame, new Uint8Array(70))];
      const told: string[] = [];
      const source = new FrameSource(
        new Channel(
          { read: () => chunks.length > 0 ? Promise.resolve(chunks.pop()!) : end() } as unknown as Connection,
        ),
        spoken,
        1_000,
        "resync",
        { flags: 0, check: undefined },
        {
          clock: { now: () => 0 },
          budget: new BatchBudget({ clock: { now: () => 0 } as Clock, yield: () => {} }),
          flushes: new FlushQueue(anyLoop),
        } as unknown as SessionShared,
        {
          frame: ({ code }) => void told.push(`frame ${code}`),
          inbox: { full: false, room: () => Promise.resolve(), gathering: false, handOut: () => {} },
          skipped: ({ message }) => void told.push(message),
        },
        {
          finished: () => void told.push("FIN"),
          failed: ({ message }) => void told.push(message),
        },
      );
      source.run();
      if (wanted.length > 0) await source.over();
      else await turn();
      source.discard();
      const gap = "Skipped 70 bytes after the last frame: no whole frame is in them";
      assertEquals(told, ["frame 200", gap, ...wanted]);
    }
  });

  it("does not apply to native peers, whom a server of 2.0 has beside Python's", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { recovery: "resync" });
    await using raw = await Raw.connect(world, served.address, "native");
    await served.events.next("connect");
    const frame = raw.encode({ code: 200, content: new Uint8Array(50) });
    await raw.connection.write(join(frame.subarray(0, 40), frame));
    assertEquals(await raw.end(), "fin");
    const [, { reason }] = await served.events.next("disconnect");
    assertEquals(reason, "corrupt");
  });

  it("does not apply to a client that finds a native server, or one without a magic", async () => {
    for (const release of ["native", "1.6.3"] as const) {
      await using met = await face(memoryWorld(), release, {}, { recovery: "resync" });
      const got: number[] = [];
      met.client.route(DATA, ({ content }) => void got.push(content[0]));
      await met.raw.connection.write(data(met.raw, 1));
      await until(() => got.length === 1);
      assertEquals(met.client.stats().bytesSkipped, 0);
    }
  });

  it("can be set for one place of several", async () => {
    const world = memoryWorld();
    for (
      const config of [
        { listen: [{ hostname: HOST, port: 0, recovery: "resync" }, { hostname: HOST, port: 0 }] },
        {
          recovery: "resync",
          listen: [{ hostname: HOST, port: 0 }, { hostname: HOST, port: 0, recovery: "close" }, {
            hostname: HOST,
            port: 0,
            protocol: "1.6.3",
          }],
        },
      ] as const satisfies ServerConfig[]
    ) {
      await using served = await serve(world, { hostname: undefined, port: undefined, ...config });
      const ends: string[] = [];
      for (const address of served.server.addresses.slice(0, 2) as TcpEndpoint[]) {
        await using raw = await Raw.connect(world, address, "2.0.0");
        const [info] = await served.events.next("connect");
        const torn = data(raw, 1);
        await raw.connection.write(join(torn.subarray(0, 40), torn, torn));
        const over = (): boolean => served.events.of("error").some(([{ code }]) => code === "protocol-error");
        await until(() => info.stats().framesReceived === 2 || over());
        ends.push(`${info.stats().framesReceived} frames, ${info.stats().bytesSkipped} bytes skipped`);
      }
      assertEquals(ends, ["2 frames, 40 bytes skipped", "0 frames, 0 bytes skipped"]);
    }
  });
});
