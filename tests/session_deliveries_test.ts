/** What became of messages: delivered, uncertain or lost, and never counted better than it was. */

import { Channel } from "../src/link/channel.ts";
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FrameWriter } from "../src/link/frame_writer.ts";
import { Sender } from "../src/session/sender.ts";
import { Flag } from "../src/wire/frame.ts";
import type { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { isNative, protocol } from "../src/wire/protocols.ts";
import { scripted, SPOKEN } from "./session_support.ts";
import { isMine, join, Random } from "./wire_support.ts";

const text = { decode: (content: Uint8Array) => new TextDecoder().decode(content) };

/** The sending side of a connection whose socket and peer the test plays. */
// deno-lint-ignore explicit-function-return-type
function make(release: typeof SPOKEN[number]["release"] = "native") {
  const script = scripted();
  const spoken = protocol(release);
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
  const writer = new FrameWriter(new Channel(script.connection), outcome.protocol, script.shared, {
    failed: () => {},
    stalled: () => {},
    pressure: () => {},
    mayStart: () => {},
  });
  const sender = new Sender(writer, outcome, "client", script.shared, {
    native: isNative(outcome.protocol),
    handle: undefined,
    ended: () => {},
  });
  sender.startTracking();
  const { writes } = script;
  let passed = 0;
  return {
    ...script,
    sender,
    send: (size = 10) => sender.send("note", 200, new Uint8Array(size)),
    counts: () => {
      const { delivered, uncertain, lost } = sender.deliveries!;
      return [delivered, uncertain, lost];
    },
    /** Lets the write in flight through. */
    async pass(): Promise<void> {
      if (passed < writes.length) writes[passed++].resolve();
      await script.clock.settle();
    },
    /** All frames that were passed to the socket as a whole. */
    frames(): DecodedFrame[] {
      return new FrameDecoder(spoken, { maxMessageSize: 2 ** 24 }).push(join(...writes.map(({ bytes }) => bytes)));
    },
    /** An answer came. */
    answer({ code, requestId }: DecodedFrame): void {
      const frame = {
        code: code === 0 ? 1 : code,
        requestId,
        flags: release === "native" ? Flag.REPLY : 0,
        content: new Uint8Array(0),
        sentAt: spoken.layout.timestamp < 0 ? undefined : 0,
      };
      sender.pending.settle(new FrameDecoder(spoken).push(encodeFrame(spoken, frame))[0]);
    },
    end(): void {
      sender.close();
      sender.pending.rejectAll(() => new Error("over"));
      script.shared.close();
      assertEquals(script.clock.pending, 0);
    },
  };
}

for (const { release } of SPOKEN) {
  describe(`deliveries over ${release}`, () => {
    it("are lost until they were passed to the socket, uncertain until a probe after them is answered", async () => {
      const { sender, send, counts, pass, frames, answer, end, clock } = make(release);
      assertEquals(counts(), [0, 0, 0]);
      for (let i = 0; i < 3; i++) send();
      assertEquals(counts(), [0, 1, 2], "an idle socket took the first at once");
      await pass();
      assertEquals(counts(), [0, 3, 0]);
      sender.requestAck();
      await pass();
      await pass();
      send();
      const [ping] = frames().filter(({ code }) => code === 0);
      answer(ping);
      assertEquals(counts(), [3, 1, 0]);
      answer(ping);
      assertEquals(counts(), [3, 1, 0], "an answer that nobody waits for proves nothing");
      end();
      assertEquals(counts(), [3, 1, 0], "and it still stands when it is over");
      await clock.advance(10_000);
    });

    it("are covered by a PING every 256 messages, or a second after one, and by none while nothing is sent", async () => {
      const { send, counts, pass, frames, answer, end, clock } = make(release);
      const pings = (): DecodedFrame[] => frames().filter(({ code }) => code === 0);
      for (let i = 0; i < 255; i++) send();
      for (let i = 0; i < 5; i++) await pass();
      assertEquals(pings().length, 0);
      send();
      for (let i = 0; i < 5; i++) await pass();
      assertEquals(pings().length, 1);
      assertEquals(frames().at(-1)!.code, 0, "behind them all");
      answer(pings()[0]);
      assertEquals(counts(), [256, 0, 0]);
      await clock.advance(5_000);
      assertEquals(pings().length, 1);
      send();
      await pass();
      await clock.advance(900);
      send();
      await pass();
      assertEquals(pings().length, 1);
      await clock.advance(130);
      await pass();
      assertEquals(pings().length, 2);
      answer(pings()[1]);
      assertEquals(counts(), [258, 0, 0]);
      await clock.advance(60_000);
      await pass();
      assertEquals(pings().length, 2);
      end();
    });
  });
}

describe("deliveries", () => {
  it("are proven by the answer to any request behind them, not by one before", async () => {
    const { sender, send, counts, pass, frames, answer, end } = make();
    send();
    const first = sender.ask("ask", 201, "x", text, {});
    send();
    const second = sender.ask("ask", 201, "y", text, {});
    for (let i = 0; i < 3; i++) await pass();
    const [one, two] = frames().filter(({ code }) => code === 201);
    answer(one);
    await first;
    assertEquals(counts(), [1, 1, 0], "requests tell their own end and are not counted");
    answer(two);
    await second;
    assertEquals(counts(), [2, 0, 0]);
    end();
  });

  it("are not proven by PONGs that may overtake them", async () => {
    const { sender, send, counts, pass, frames, answer, end } = make();
    sender.writer.scheduler.limit({ window: 1, least: 0 });
    send();
    send();
    const pinged = sender.ping({});
    sender.sendHeartbeat();
    for (let i = 0; i < 4; i++) await pass();
    for (const frame of frames().filter(({ code }) => code === 0)) answer(frame);
    await pinged;
    assertEquals(counts(), [0, 1, 1]);
    end();
  });

  it("wait for the answers of 16 probes at most, and stay right where a peer reads all and answers none", async () => {
    const { sender, send, counts, pass, frames, answer, end, clock } = make();
    const pings = (): DecodedFrame[] => frames().filter(({ code }) => code === 0);
    for (let i = 0; i < 40; i++) {
      for (let j = 0; j < 300; j++) send(j % 7);
      await clock.advance(1_100);
      for (let j = 0; j < 6; j++) await pass();
    }
    assertEquals([pings().length, sender.pending.size, counts()], [16, 16, [0, 12_000, 0]]);
    send();
    assertEquals(counts(), [0, 12_001, 0], "an idle socket took it at once");
    // The next one goes out when one is answered, and covers all.
    answer(pings()[0]);
    assertEquals(counts()[0], 256);
    for (let i = 0; i < 3; i++) await pass();
    assertEquals([pings().length, sender.pending.size], [17, 16]);
    answer(pings()[16]);
    assertEquals(counts(), [12_001, 0, 0]);
    // What the others would say is known by now.
    for (let i = 0; i < 256; i++) send();
    for (let i = 0; i < 4; i++) await pass();
    assertEquals([pings().length, sender.pending.size], [18, 1]);
    answer(pings()[3]);
    assertEquals([sender.pending.dropped, counts()], [1, [12_001, 256, 0]]);
    end();
  });

  it("need no answer to a probe where requests are answered, and keep none for it", async () => {
    const { sender, send, counts, pass, frames, answer, end } = make();
    for (let i = 1; i <= 30; i++) {
      for (let j = 0; j < 300; j++) send();
      const asked = sender.ask("ask", 201, "x", text, {});
      for (let j = 0; j < 4; j++) await pass();
      answer(frames().filter(({ code }) => code === 201).at(-1)!);
      await asked;
      assertEquals(counts(), [300 * i, 0, 0]);
    }
    assert(sender.pending.size <= 16, `${sender.pending.size} are waited for`);
    end();
  });

  it("send a last probe, however many are unanswered", async () => {
    const { sender, send, counts, pass, frames, answer, end } = make();
    for (let i = 0; i < 300 * 20; i++) send();
    sender.requestAck();
    for (let i = 0; i < 30; i++) await pass();
    assertEquals(frames().at(-1)!.code, 0);
    answer(frames().at(-1)!);
    assertEquals(counts(), [6_000, 0, 0]);
    end();
  });

  it("of a message that was cut in the middle are lost", async () => {
    const { send, counts, pass, end } = make();
    send(1_000_000);
    assertEquals(counts(), [0, 0, 1]);
    for (let i = 0; i < 3; i++) await pass();
    assertEquals(counts(), [0, 1, 0]);
    end();
  });

  it("count right whatever is sent, held, written, answered and cut when", async () => {
    for (let seed = 1; seed <= 6; seed++) {
      if (!isMine(seed)) continue;
      const random = new Random(seed);
      const { sender, send, counts, pass, frames, answer, end, clock } = make();
      if (seed % 2 === 0) sender.writer.scheduler.limit({ window: 1 + random.below(20_000), least: random.below(100) });
      let sent = 0;
      let proven = 0;
      const answered = new Set<unknown>();
      const wrong = (): string => `seed ${seed}`;
      const check = (): void => {
        const written = frames().filter(({ code }) => code === 200).length;
        assertEquals(counts(), [proven, written - proven, sent - written], wrong());
      };
      for (let i = 0; i < 300; i++) {
        switch (random.below(8)) {
          case 0:
          case 1:
            for (let j = random.below(20); j >= 0; j--) {
              send(random.pick([0, 30, 5_000]));
              sent++;
            }
            break;
          case 2:
            sender.ask("ask", 201, "x", text, {}).catch(() => {});
            break;
          case 3:
            sender.writer.grant(random.below(10_000));
            break;
          case 4:
            sender.sendHeartbeat();
            break;
          case 5:
            await clock.advance(random.below(700));
            break;
          case 6:
            await pass();
            break;
          default: {
            // The peer answers whatever it has, in order; it sees whole frames only.
            let behind = 0;
            for (const frame of frames()) {
              if (frame.code === 200) behind++;
              if (frame.code === 200 || answered.has(frame.requestId) || random.below(3) === 0) continue;
              answered.add(frame.requestId);
              const before = counts()[0];
              answer(frame);
              const [now] = counts();
              assert(
                now === before || now > before && now <= behind,
                `${wrong()}: ${now} proven of ${behind} that the peer has`,
              );
              proven = now;
            }
          }
        }
        check();
      }
      sender.requestAck();
      sender.writer.grant(2 ** 30);
      for (let i = 0; i < 40; i++) await pass();
      for (const frame of frames()) if (frame.code === 0 && !answered.has(frame.requestId)) answer(frame);
      assertEquals(counts(), [sent, 0, 0], wrong());
      end();
    }
  });
});
