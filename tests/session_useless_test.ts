/** Frames that mean nothing: each peer may send some, and no more than it sends others. What is dropped is one of them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { messageType, type ServerConfig, text } from "../mod.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import {
  face,
  type Faced,
  memoryWorld,
  Raw,
  type RawFrame,
  type Release,
  serve,
  SPOKEN,
  turn,
  until,
  type World,
} from "./session_support.ts";
import { join, utf8 } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const WORK = messageType(201, "work", text, text);
const REQUEST = 1;
const REPLY = 2;
/** How many frames may mean nothing. */
const FREE = 1_000;

const grant = (bytes: number): Uint8Array => new Uint8Array([0, 0, bytes >> 8, bytes & 255]);

/** What means nothing, of a peer that needs credit and grants it. */
const NATIVE: readonly (readonly [what: string, frame: RawFrame])[] = [
  ["CANCEL of no request", { code: 3, requestId: 7 }],
  ["CANCEL of nothing", { code: 3 }],
  ["an answer that nobody waits for", { code: 201, requestId: 9, flags: REPLY }],
  ["a PONG that nobody waits for", { code: 1, requestId: 9, flags: REPLY }],
  ["a PING that wants no answer", { code: 0 }],
  ["a CREDIT that grants nothing", { code: 5, content: grant(0) }],
  ["a CREDIT of the wrong size", { code: 5, content: "12345" }],
  ["ACK", { code: 6 }],
  ["a code of no use yet", { code: 7, content: "window" }],
  ["an unknown code", { code: 199 }],
];

// deno-lint-ignore explicit-function-return-type
async function meet(release: Release, config: ServerConfig = {}, features: Record<string, unknown> = {}) {
  const world: World = memoryWorld();
  const notes: string[] = [];
  const served = await serve(world, { protocol: SPOKEN.find((one) => one.release === release)!.server, ...config }, (
    server,
  ) => {
    server.route(NOTE, ({ data }) => void notes.push(data));
    server.route(WORK, ({ data }) => data);
  });
  const raw = await Raw.connect(world, served.address, release, { features });
  const [info] = await served.events.next("connect");
  return {
    ...served,
    world,
    raw,
    info,
    notes,
    /** Waits until so many frames have come. */
    came: (count: number) => until(() => info.stats().framesReceived + info.stats().framesDropped >= count),
    async [Symbol.asyncDispose](): Promise<void> {
      await raw[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}

/** How a connection ended, and what was told of it. */
async function ended({ events, raw }: Awaited<ReturnType<typeof meet>>): Promise<string> {
  await raw.end();
  const [, { reason, error }] = await events.next("disconnect");
  assertEquals(events.of("error").map(([{ message }]) => message).at(-1), error?.message);
  return `${reason}: ${error?.message}`;
}

/** Whether the connection still serves. */
async function pinged({ client, raw }: Faced): Promise<string> {
  const asked = client.ping();
  let frame = (await raw.frame())!;
  while (frame.code !== 0) frame = (await raw.frame())!;
  const { requestId } = frame;
  await raw.send({ code: 1, requestId: requestId as number, flags: raw.release === "native" ? REPLY : 0 });
  return await asked >= 0 ? "pong" : "";
}

describe("frames that mean nothing", () => {
  for (const [what, frame] of NATIVE) {
    it(`end a native connection as protocol-error after ${FREE}: ${what}`, async () => {
      await using met = await meet("native", {}, { credit: { window: 1_000_000 }, goaway: {} });
      await met.raw.send(...Array(FREE).fill(frame));
      await met.came(FREE);
      await turn();
      assertEquals([met.events.of("disconnect"), met.events.of("error")], [[], []]);
      await met.raw.send(frame);
      assertStringIncludes(
        await ended(met),
        "protocol-error: The peer sent too many frames that mean nothing: 1001 of 1001",
      );
    });
  }

  it("are CREDIT where it was not agreed on, and GOAWAY where it was not, or again", async () => {
    for (const [features, frame] of [[{}, { code: 5, content: grant(9) }], [{}, { code: 4 }]] as const) {
      await using met = await meet("native", {}, features);
      await met.raw.send(...Array(FREE + 1).fill(frame));
      assertStringIncludes(await ended(met), "protocol-error");
    }
    await using met = await meet("native", {}, { goaway: {} });
    void met.raw.send(...Array(FREE + 3).fill({ code: 4 }));
    await met.raw.end();
    const [[error]] = [await met.events.next("error")];
    assertStringIncludes(error.message, "too many frames that mean nothing");
  });

  for (const release of ["2.0.0", "1.6.3"] as const) {
    it(`end a connection of ${release}, too: unknown system codes`, async () => {
      await using met = await meet(release);
      await met.raw.send(...Array(FREE).fill({ code: 21 }));
      await met.came(FREE);
      await turn();
      assertEquals(met.events.of("disconnect"), []);
      await met.raw.send({ code: 21 });
      assertStringIncludes(await ended(met), "protocol-error: The peer sent too many frames that mean nothing");
    });

    it(`end a connection of ${release}, too: those with a wrong checksum`, async () => {
      await using met = await meet(release);
      const bad = encodeFrame(met.raw.protocol, { code: 200, flags: 0, requestId: 7, content: utf8("x") });
      bad[bad.length - 1] ^= 1;
      await met.raw.connection.write(join(...Array(FREE).fill(bad)));
      await met.came(FREE);
      await met.raw.send({ code: 200, content: "good" });
      await until(() => met.notes.length === 1);
      assertEquals(met.events.of("disconnect"), []);
      await met.raw.connection.write(join(bad, bad, bad, bad));
      assertStringIncludes(
        await ended(met),
        "protocol-error: The peer sent too many frames that mean nothing: 1002 of 1003",
      );
      assertEquals([met.notes, met.events.of("error").length], [["good"], FREE + 3]);
    });
  }

  it("are permitted one more for each that means something", async () => {
    for (const useful of [{ code: 200 }, { code: 0, requestId: 5, flags: REQUEST }]) {
      await using met = await meet("native");
      const idle = { code: 3, requestId: 7 };
      await met.raw.send(...Array(2_000).fill(useful));
      await met.came(2_000);
      await met.raw.send(...Array(3_000).fill(idle));
      await met.came(5_000);
      await turn();
      assertEquals(met.events.of("disconnect"), []);
      await met.raw.send(idle);
      assertStringIncludes(await ended(met), "3001 of 5001");
    }
  });

  it("never end a peer that cancels each of its requests while the answer is under way", async () => {
    await using met = await meet("native");
    for (let id = 1; id <= 3_000; id += 100) {
      const ids = Array.from({ length: 100 }, (_, i) => id + i);
      await met.raw.send(...ids.map((requestId) => ({ code: 201, requestId, flags: REQUEST })));
      for (const _ of ids) await met.raw.frame();
      await met.raw.send(...ids.map((requestId) => ({ code: 3, requestId })));
    }
    await met.came(6_000);
    await turn();
    assertEquals([met.events.of("disconnect"), met.info.stats().framesIgnored], [[], 3_000]);
  });

  for (const { release } of SPOKEN) {
    it(`never end a peer of ${release} that answers after we gave up`, async () => {
      const world = memoryWorld();
      await using met = await face(world, release, {}, { heartbeat: false });
      for (let round = 0; round < 15; round++) {
        const asked = Array.from({ length: 100 }, () => met.client.request(WORK, "x", { timeout: 50 }));
        const settled = Promise.allSettled(asked);
        const ids: number[] = [];
        while (ids.length < 100) {
          const { code, requestId } = (await met.raw.frame())!;
          if (code === 201) ids.push(requestId as number);
        }
        await world.clock.advance(1_000);
        assert((await settled).every(({ status }) => status === "rejected"));
        await met.raw.send(
          ...ids.map((requestId) => ({ code: 201, requestId, flags: release === "native" ? REPLY : 0 })),
        );
      }
      await until(() => met.client.stats().repliesDropped === 1_500);
      await turn();
      assertEquals([met.events.of("disconnect"), await pinged(met)], [[], "pong"]);
    });
  }

  it("cost no error object where they are CANCEL", async () => {
    const { DOMException } = globalThis;
    let made = 0;
    globalThis.DOMException = class extends DOMException {
      constructor(...args: ConstructorParameters<typeof DOMException>) {
        super(...args);
        made++;
      }
    } as typeof DOMException;
    try {
      await using met = await meet("native", {}, {});
      met.server.unroute(WORK);
      met.server.route(WORK, () => new Promise<string>(() => {}));
      await met.raw.send(...Array(500).fill({ code: 3, requestId: 7 }), { code: 201, requestId: 7, flags: REQUEST });
      await met.came(501);
      assertEquals(made, 0);
      // The request is cancelled once; what follows cancels nothing.
      await met.raw.send(...Array(300).fill({ code: 3, requestId: 7 }));
      await met.came(801);
      assertEquals([made, met.info.stats().framesIgnored], [1, 799]);
    } finally {
      globalThis.DOMException = DOMException;
    }
  });
});
