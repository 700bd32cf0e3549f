/** Messages of which only the latest counts, at one connection: their places, their turn, their age and their bytes. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { encodeUtf8 } from "../src/base/utf8.ts";
import { BackpressureError, PayloadError } from "../src/errors.ts";
import { Channel } from "../src/link/channel.ts";
import { FrameWriter } from "../src/link/frame_writer.ts";
import { CONTROL } from "../src/link/send_scheduler.ts";
import type { PayloadEncoder } from "../src/session/payload_encoding.ts";
import { Sender } from "../src/session/sender.ts";
import type { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { Flag } from "../src/wire/frame.ts";
import { isNative, protocol } from "../src/wire/protocols.ts";
import { scripted } from "./session_support.ts";
import { join, Random } from "./wire_support.ts";

const HEADER = 16;
const CODE = 200;
const OTHER = 201;
const FOREVER = Infinity;

/** The sending side of a connection whose writes the test lets through one by one. */
// deno-lint-ignore explicit-function-return-type
function make(release = "native", limits: Record<string, number> = {}, tuning: Parameters<typeof scripted>[0] = {}) {
  const script = scripted(tuning);
  const shared = { ...script.shared, limits: { ...script.shared.limits, ...limits } };
  const spoken = protocol(release);
  const writer = new FrameWriter(new Channel(script.connection), spoken, shared, {
    failed: () => {},
    stalled: () => {},
    pressure: () => {},
    mayStart: () => {},
  });
  const outcome = {
    protocol: spoken,
    release,
    numbering: { kind: "window", size: 30_000 } as const,
    maxMessageSize: 2 ** 24,
    features: new Map(),
    own: {},
    greeted: {},
    transcript: [],
  };
  const sender = new Sender(writer, outcome, "client", shared, {
    native: isNative(spoken),
    handle: undefined,
    ended: () => {},
  });
  const { writes, clock } = script;
  const decoder = new FrameDecoder(spoken, { maxMessageSize: 2 ** 24 });
  let passed = 0;
  let decoded = 0;
  /** The frames that were handed to the socket since the last call. */
  const frames = (): DecodedFrame[] => {
    const bytes = join(...writes.slice(decoded).map(({ bytes }) => bytes));
    decoded = writes.length;
    return decoder.push(bytes);
  };
  return {
    ...script,
    writer,
    sender,
    send: (content: string | Uint8Array) => sender.send("note", CODE, content),
    latest: (key: string | number | undefined, content: string | Uint8Array, maxAge = FOREVER, code = CODE) =>
      sender.sendLatest("note", code, content, "", { latest: key, maxAge }),
    /** Lets the write in flight through. */
    async pass(): Promise<void> {
      if (passed < writes.length) writes[passed++].resolve();
      await clock.settle();
    },
    /** Lets all writes through. */
    async drain(): Promise<void> {
      do {
        while (passed < writes.length) writes[passed++].resolve();
        await clock.settle();
      } while (passed < writes.length);
    },
    frames,
    /** Their contents. PINGs are left out. */
    texts(): string[] {
      return frames().filter(({ code }) => code >= CODE).map(({ content }) => new TextDecoder().decode(content));
    },
    end(): void {
      sender.close();
      writer.close();
      sender.pending.rejectAll(() => new Error("over"));
      script.shared.close();
      assertEquals(clock.pending, 0, "a timer was left");
    },
  };
}

for (const release of ["native", "2.0.0", "1.6.3", "1.2.0"]) {
  describe(`the latest value over ${release}`, () => {
    it("is written at once on an idle connection", async () => {
      const { latest, texts, writes, drain, sender, end } = make(release);
      assertEquals(latest("k", "1"), true);
      assertEquals([writes.length, texts()], [1, ["1"]]);
      await drain();
      latest("k", "2", 1);
      assertEquals([texts(), sender.writer.latestFrames], [["2"], undefined]);
      await drain();
      end();
    });

    it("takes the place of an older one that waits, and no other place", async () => {
      const { latest, send, texts, drain, writer, sender, end } = make(release);
      send("first");
      latest("a", "a1");
      send("between");
      latest("b", "b1");
      latest(1, "number 1");
      latest("1", "text 1");
      latest("a", "other type", FOREVER, OTHER);
      send("last");
      latest("a", "a2");
      latest("b", "b2");
      latest("a", "a3 is longer");
      latest(1, "");
      assertEquals(
        writer.buffered,
        await sizeOf(writer, ["first", "a3 is longer", "between", "b2", "", "text 1", "other type", "last"]),
      );
      await drain();
      assertEquals(texts(), ["first", "a3 is longer", "between", "b2", "", "text 1", "other type", "last"]);
      const { replaced, expired, keys, waiting, bytes } = writer.latestFrames!;
      assertEquals([replaced, expired, keys, waiting, bytes, writer.buffered, sender.frames], [4, 0, 0, 0, 0, 0, 8]);
      end();
    });

    it("is dropped when its turn comes after more than maxAge, and not at exactly maxAge", async () => {
      const { latest, send, texts, pass, drain, clock, writer, sender, end } = make(release);
      send("first");
      latest("at", "at the bound", 100);
      latest("above", "above the bound", 99);
      latest(undefined, "without a key", 99);
      latest("again", "too old", 1);
      send("last");
      await clock.advance(99);
      latest("again", "new", 1);
      await clock.advance(1);
      await pass();
      await drain();
      assertEquals(texts(), ["first", "at the bound", "new", "last"]);
      const { replaced, expired } = writer.latestFrames!;
      assertEquals([replaced, expired, writer.buffered, sender.frames], [1, 2, 0, 4]);
      end();
    });
  });
}

/** The bytes of frames with these contents. */
function sizeOf({ protocol: { headerSize } }: FrameWriter, contents: readonly string[]): number {
  return contents.reduce((sum, content) => sum + headerSize + content.length, 0);
}

describe("the latest value", () => {
  it("of many keys goes out in few writes, and can be replaced until then", async () => {
    const { latest, send, texts, pass, drain, writes, writer, end } = make();
    send("first");
    for (let key = 0; key < 1_000; key++) latest(key, `old ${key}`.padEnd(34));
    await pass();
    assertEquals([writes.length, writes[1].bytes.length], [2, 327 * 50]);
    for (let key = 0; key < 1_000; key++) latest(key, `new ${key}`.padEnd(34));
    await drain();
    const order = texts().slice(1).map((text) => text.trim());
    const keys = Array.from({ length: 1_000 }, (_, key) => key);
    // What was handed to the socket is replaced no more: its keys have new places at the end.
    assertEquals(order, [
      ...keys.slice(0, 327).map((key) => `old ${key}`),
      ...keys.slice(327).map((key) => `new ${key}`),
      ...keys.slice(0, 327).map((key) => `new ${key}`),
    ]);
    assertEquals([writer.latestFrames!.replaced, writes.length], [673, 1 + 5]);
    end();
  });

  it("leaves nothing of 100,000 keys that were sent", async () => {
    const { latest, send, drain, writer, sender, end } = make();
    send("first");
    for (let key = 0; key < 100_000; key++) latest(key, "x");
    assertEquals([writer.latestFrames!.waiting, writer.latestFrames!.keys], [100_000, 100_001]);
    await drain();
    const { waiting, keys, bytes } = writer.latestFrames!;
    assertEquals([waiting, keys, bytes, writer.buffered, sender.frames], [0, 0, 0, 0, 100_001]);
    end();
  });

  it("of any size keeps its place, and is not copied when it is large", async () => {
    const { latest, send, frames, drain, end } = make();
    send("first");
    const sizes = [10, 300_000, 16_368, 16_367, 20, 2_000_000, 1];
    for (const [key, size] of sizes.entries()) latest(key, new Uint8Array(size).fill(key + 1));
    send("last");
    await drain();
    const got = frames().map(({ content }) => [content.length, content[0]]);
    assertEquals(got.slice(1, -1), sizes.map((size, key) => [size, key + 1]));
    end();
  });

  it("belongs to the library once it is sent, and is encoded when it is sent", async () => {
    const { latest, send, frames, drain, end } = make();
    send("first");
    const content = new Uint8Array([1, 2, 3]);
    latest("k", content);
    content.fill(9);
    await drain();
    assertEquals([...frames()[1].content], [1, 2, 3]);
    end();
  });

  it("counts towards the limits, and what replaces it only by what it is longer", async () => {
    const { latest, send, pass, drain, writer, texts, shared, end } = make("native", {
      highWaterMark: 100,
      maxBufferedBytes: 200,
    });
    send("");
    assertEquals(latest("a", new Uint8Array(60)), true);
    assertEquals(latest("b", new Uint8Array(60)), false);
    assertEquals([writer.buffered, writer.full, shared.total.buffered], [168, true, 168]);
    assertThrows(() => latest("c", new Uint8Array(40)), BackpressureError, "168 bytes wait");
    assertThrows(() => latest("a", new Uint8Array(93)), BackpressureError, "168 bytes wait");
    assertEquals([writer.latestFrames!.replaced, writer.buffered], [0, 168]);
    latest("a", new Uint8Array(92));
    assertEquals([writer.buffered, shared.total.buffered], [200, 200]);
    let ready = false;
    void writer.ready().then(() => ready = true);
    latest("b", "");
    assertEquals([writer.buffered, writer.full], [140, true]);
    latest("a", "new");
    assertEquals([writer.buffered, shared.total.buffered, writer.full], [16 + 19 + 16, 51, true]);
    await pass();
    assertEquals([ready, writer.full], [true, false]);
    await drain();
    assertEquals([texts(), writer.buffered, shared.total.buffered], [["", "new", ""], 0, 0]);
    end();
  });

  it("ends a full buffer when a shorter one replaces it", async () => {
    const { latest, send, drain, writer, end } = make("native", { highWaterMark: 100, maxBufferedBytes: 200 });
    send("");
    latest("a", new Uint8Array(100));
    assertEquals(writer.full, true);
    latest("a", "");
    assertEquals(writer.full, false);
    await drain();
    end();
  });

  it("waits for credit in its place, and expires there", async () => {
    const { latest, send, texts, drain, writer, clock, end } = make();
    writer.scheduler.limit({ window: 1, least: 0 });
    send("uses it up");
    await drain();
    assertEquals(texts(), ["uses it up"]);
    latest("a", "a1");
    send("b");
    latest("c", "c1", 50);
    send("d");
    latest("a", "a2");
    await clock.advance(51);
    latest("e", "e1", 50);
    await drain();
    assertEquals(texts(), []);
    writer.grant(25);
    await drain();
    assertEquals(texts(), [], "the credit is 0");
    for (const expected of ["a2", "b", "d", "e1"]) {
      writer.grant(HEADER + expected.length);
      await drain();
      assertEquals(texts(), [expected]);
    }
    assertEquals([writer.latestFrames!.expired, writer.buffered], [1, 0]);
    end();
  });

  it("is waited for by whoever waits until all is sent, also once the peer can grant nothing any more", async () => {
    const { latest, send, pass, drain, writer, texts, end } = make();
    writer.scheduler.limit({ window: 1_000, least: 0 });
    send("1");
    latest("a", "2");
    send("3");
    writer.ungranted();
    let flushed = false;
    void writer.flushed().then(() => flushed = true);
    await pass();
    assertEquals([flushed, writer.buffered], [false, 2 * HEADER + 2]);
    await drain();
    assertEquals([flushed, texts()], [true, ["1", "2", "3"]]);
    end();
  });

  it("can be replaced as long as writes are gathered", async () => {
    const { latest, send, texts, writes, drain, clock, end } = make("native", {}, { gather: 5 });
    latest("a", "1");
    latest("b", "2");
    latest("a", "3");
    assertEquals(writes.length, 0);
    await clock.advance(4);
    latest("b", "4");
    send("5");
    await clock.advance(1);
    await drain();
    assertEquals([texts(), writes.length], [["3", "4", "5"], 2]);
    end();
  });

  it("has a write of its own in a release without framing", async () => {
    const { latest, send, drain, writes, end } = make("1.2.0");
    send("first");
    for (let key = 0; key < 5; key++) latest(key, "x");
    send("last");
    await drain();
    assertEquals(writes.length, 7);
    end();
  });

  it("lets the waiting end when all that waits has expired", async () => {
    const { latest, send, drain, writer, clock, end } = make();
    writer.scheduler.limit({ window: 1, least: 0 });
    send("uses it up");
    await drain();
    latest("a", "a1", 10);
    latest(undefined, "b", 10);
    let flushed = false;
    void writer.flushed().then(() => flushed = true);
    await clock.advance(11);
    assertEquals(flushed, false);
    writer.grant(26);
    await clock.settle();
    assertEquals([flushed, writer.buffered, writer.latestFrames!.expired], [true, 0, 2]);
    end();
  });

  it("does not keep a connection from ending whose peer can grant nothing any more", async () => {
    const { latest, send, drain, writer, texts, end } = make();
    writer.scheduler.limit({ window: 40, least: 0 });
    send("1");
    latest("a", "2");
    latest("b", "3");
    latest("c", "never");
    send("never");
    writer.ungranted();
    let flushed = false;
    void writer.flushed().then(() => flushed = true);
    await drain();
    assertEquals([flushed, texts()], [true, ["1", "2", "3"]]);
    end();
  });

  it("is not held up by an endless row of answers, nor is what waits behind it", async () => {
    const { latest, send, frames, pass, writer, end } = make();
    // There is always another one left, whatever is written.
    const answer = (): number => writer.frame(OTHER, Flag.REPLY, 1, new Uint8Array(200_000), 0, 2 ** 24, CONTROL);
    send("first");
    latest("a", "latest");
    send("behind");
    latest("b", "last");
    const order: string[] = [];
    for (let i = 0; i < 3; i++) answer();
    for (let i = 0; i < 40; i++) {
      answer();
      await pass();
      order.push(...frames().map(({ code, content }) => code === OTHER ? "answer" : new TextDecoder().decode(content)));
    }
    const messages = order.filter((text) => text !== "answer");
    assertEquals(messages, ["first", "latest", "behind", "last"]);
    const answers = order.length - messages.length;
    assert(order.indexOf("last") < 20 && answers > 30, `${order.indexOf("last")} of ${order.length}`);
    end();
  });

  it("is transformed as it is sent, and refused above what the peer takes", async () => {
    const { latest, send, writes, drain, sender, end } = make();
    const encoder: PayloadEncoder = {
      encode: (_code, _flags, content) => {
        if (content === "fails") throw new Error("cannot encode");
        return { flags: 0x10, content: encodeUtf8(`<${content}>`) };
      },
    };
    sender.transform([encoder]);
    send("first");
    latest("k", "old");
    assertThrows(() => latest("k", "fails"), Error, "cannot encode");
    assertThrows(() => latest("k", new Uint8Array(2 ** 24)), PayloadError);
    latest("k", "new");
    await drain();
    const sent = writes.map(({ bytes }) => [bytes[1], new TextDecoder().decode(bytes.subarray(HEADER))]);
    assertEquals(sent, [[0x10, "<first>"], [0x10, "<new>"]]);
    end();
  });

  it("that waits when the connection ends is forgotten, and gives its room back", async () => {
    const { latest, send, writer, shared, clock, end } = make();
    send("first");
    latest("a", "1");
    latest("a", "2");
    end();
    const { waiting, keys, bytes, replaced } = writer.latestFrames!;
    assertEquals([waiting, keys, bytes, replaced, shared.total.buffered], [1, 0, 0, 1, 0]);
    latest("a", "3");
    await clock.settle();
    assertEquals([writer.latestFrames!.waiting, shared.total.buffered], [1, 0]);
  });
});

describe("deliveries of which only the latest counts", () => {
  // deno-lint-ignore explicit-function-return-type
  function tracked() {
    const made = make();
    made.sender.startTracking();
    return {
      ...made,
      counts: () => {
        const { delivered, uncertain, lost, expired, replaced } = made.sender.deliveries!;
        return { delivered, uncertain, lost, expired, replaced };
      },
      /** Answers the PINGs that were handed to the socket since the last call. */
      answer(): number {
        const pings = made.frames().filter(({ code }) => code === 0);
        for (const { requestId } of pings) {
          made.sender.pending.settle(
            { code: 1, requestId, flags: Flag.REPLY, content: new Uint8Array(0), size: 0 } as unknown as DecodedFrame,
          );
        }
        return pings.length;
      },
    };
  }

  it("are counted once for each place, and expired and replaced ones apart", async () => {
    const { latest, send, counts, answer, drain, clock, sender, end } = tracked();
    send("1");
    latest("a", "2");
    latest("b", "3", 10);
    send("4");
    latest("a", "2 again");
    assertEquals(counts(), { delivered: 0, uncertain: 1, lost: 3, expired: 0, replaced: 1 });
    await clock.advance(11);
    await drain();
    assertEquals(counts(), { delivered: 0, uncertain: 3, lost: 0, expired: 1, replaced: 1 });
    sender.requestAck();
    send("5");
    assertEquals(answer(), 1);
    assertEquals(counts(), { delivered: 3, uncertain: 0, lost: 1, expired: 1, replaced: 1 });
    end();
  });

  it("are right whatever is answered when", async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const { latest, send, counts, answer, pass, drain, clock, sender, frames: _, end } = tracked();
      let messages = 0;
      for (let step = 0; step < 300; step++) {
        const chance = random.below(10);
        if (chance < 3) (send("x"), messages++);
        else if (chance < 7) {
          (latest(random.pick(["a", "b", "c", undefined]), "y", random.pick([5, 50, FOREVER])), messages++);
        } else if (chance < 8) await pass();
        else if (chance < 9) await clock.advance(random.below(20));
        else if (random.below(2) === 0) sender.requestAck();
        else answer();
        const { delivered, uncertain, lost, expired, replaced } = counts();
        assertEquals(delivered + uncertain + lost + expired + replaced, messages, `seed ${seed}, step ${step}`);
        assert(Math.min(delivered, uncertain, lost) >= 0, `seed ${seed}, step ${step}: ${JSON.stringify(counts())}`);
      }
      await drain();
      sender.requestAck();
      await drain();
      answer();
      const { delivered, expired, replaced } = counts();
      assertEquals(delivered + expired + replaced, messages, `seed ${seed}`);
      end();
    }
  });
});

describe("latest and other messages", () => {
  /** A place among the messages of a model. */
  interface Place {
    text: string;
    readonly key: string | undefined;
    readonly kind: "message" | "latest";
    at: number;
    maxAge: number;
  }

  it("come out as a simple model says, within the credit, whatever is sent, granted and written when", async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed);
      const terms = random.pick([undefined, { window: 1, least: 0 }, { window: 200, least: 40 }, {
        window: 2_000,
        least: 0,
      }]);
      const { sender, writer, pass, drain, frames, clock, end } = make(random.pick(["native", "native", "2.0.0"]));
      const { headerSize } = writer.protocol;
      const limited = isNative(writer.protocol) ? terms : undefined;
      if (limited !== undefined) writer.scheduler.limit(limited);
      let left = limited?.window ?? Infinity;
      const places: Place[] = [];
      const answers: string[] = [];
      let [replaced, expired, count] = [0, 0, 0];
      const check = (where: string): void => {
        for (const { content, size } of frames()) {
          const text = new TextDecoder().decode(content);
          if (text.startsWith("answer")) {
            assertEquals(text, answers.shift(), where);
            continue;
          }
          while (places[0].kind === "latest" && clock.now() - places[0].at > places[0].maxAge) {
            places.shift();
            expired++;
          }
          assertEquals(text, places.shift()!.text, where);
          assert(left > 0, `${where}: beyond the credit`);
          left -= Math.max(headerSize + size, limited?.least ?? 0);
        }
        // Those that were dropped with nothing behind them.
        while (expired < (writer.latestFrames?.expired ?? 0)) {
          const { kind, at, maxAge } = places.shift()!;
          assert(kind === "latest" && clock.now() - at > maxAge, where);
          expired++;
        }
        const bytes = [...places.map(({ text }) => text), ...answers].reduce(
          (sum, { length }) => sum + headerSize + length,
          0,
        );
        // What was handed to the socket counts until the socket has taken it, and so does what has expired.
        assert(writer.buffered >= bytes - expiredBytes(), `${where}: ${writer.buffered} instead of ${bytes} bytes`);
      };
      const expiredBytes = (): number =>
        places.filter(({ kind, at, maxAge }) => kind === "latest" && clock.now() - at > maxAge)
          .reduce((sum, { text }) => sum + headerSize + text.length, 0);
      for (let step = 0; step < 150; step++) {
        const where = `seed ${seed}, step ${step}`;
        const text = `${count++}`.padEnd(random.below(100), ".");
        const chance = random.below(12);
        if (chance < 3) {
          places.push({ text, key: undefined, kind: "message", at: 0, maxAge: FOREVER });
          sender.send("note", CODE, text);
        } else if (chance < 7) {
          const key = random.pick(["a", "b", "c", undefined]);
          const maxAge = random.pick([5, FOREVER, FOREVER]);
          const older = places.find((place) => key !== undefined && place.key === key);
          if (older === undefined) places.push({ text, key, kind: "latest", at: clock.now(), maxAge });
          else {
            Object.assign(older, { text, at: clock.now(), maxAge });
            replaced++;
          }
          sender.sendLatest("note", CODE, text, "", { latest: key, maxAge });
        } else if (chance < 8) {
          answers.push(`answer ${text}`);
          writer.frame(CODE, 0, sender.pending.ids.plain(), `answer ${text}`, 0, 2 ** 24, CONTROL);
        } else if (chance < 10) await pass();
        else if (chance < 11) {
          const grant = 1 + random.below(200);
          left += grant;
          if (limited !== undefined) writer.grant(grant);
        } else {
          check(where);
          await clock.advance(random.below(8));
        }
        check(where);
      }
      left += 1e6;
      if (limited !== undefined) writer.grant(1e6);
      await drain();
      check(`seed ${seed}, the end`);
      assertEquals([places, answers, writer.buffered], [[], [], 0], `seed ${seed}`);
      const { latestFrames } = writer;
      assertEquals(
        [latestFrames?.replaced ?? 0, latestFrames?.expired ?? 0, latestFrames?.keys ?? 0],
        [replaced, expired, 0],
        `seed ${seed}`,
      );
      end();
    }
  });
});
