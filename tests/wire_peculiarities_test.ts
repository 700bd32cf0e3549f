/** Peculiarities of single Python releases in their handshakes and ids, without a connection. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FakeClock } from "../src/adapters/fake_clock.ts";
import type { HandshakeError } from "../src/errors.ts";
import { requestIds } from "../src/session/request_ids.ts";
import { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { helloFrame, helloVersion } from "../src/wire/python/hello_frames.ts";
import { protocol } from "../src/wire/protocols.ts";
import {
  client,
  converse,
  failure,
  greeted,
  HELLO_ID,
  HELLO_UUID,
  message,
  NOW,
  opened,
  read,
  server,
} from "./wire_handshake_support.ts";
import { cutEvery, hex, join, utf8 } from "./wire_support.ts";

/** Who takes whom, from the releases themselves: local ← peers. Releases in one group frame alike. */
const TAKES: readonly Readonly<Record<string, readonly string[]>>[] = [
  {
    "1.4.0": ["1.4.0"],
    "1.5.0": ["1.5.0"],
    "1.6.0": ["1.6.0", "1.6.1"],
    "1.6.1": ["1.6.0", "1.6.1"],
  },
  {
    "1.6.2": ["1.6.2"],
    "1.6.3": ["1.6.3"],
    "1.6.4": ["1.6.4", "1.6.5"],
    "1.6.5": ["1.6.4", "1.6.5"],
    "1.6.6": ["1.6.6"],
    "1.6.8": ["1.6.6", "1.6.8"],
    "1.6.9": ["1.6.6", "1.6.8", "1.6.9"],
  },
  { "1.6.10": ["1.6.10"] },
  {
    "1.7.0": ["1.7.0"],
    "1.7.1": ["1.7.0", "1.7.1"],
    "1.7.2": ["1.7.0", "1.7.1", "1.7.2"],
    "1.7.5": ["1.7.0", "1.7.1", "1.7.2", "1.7.5"],
  },
  { "1.8.0": ["1.8.0"], "1.8.1": ["1.8.1"], "1.9.0": ["1.9.0"] },
  {
    "2.0.0": ["2.0.0"],
    "2.0.1": ["2.0.0", "2.0.1"],
    "2.0.2": ["2.0.0", "2.0.1", "2.0.2"],
  },
];

/** What a client of a release, which takes the server's, answers it. */
function answer(release: string): Uint8Array {
  const spoken = protocol(release);
  if (spoken.handshake === "json") return message({ v: release, meta: {} });
  const id = spoken.ids === "uuid" ? HELLO_UUID : HELLO_ID;
  return helloFrame(spoken, SystemCode.HELLO_ACK, id, NOW, spoken.release);
}

describe("a server", () => {
  it("lets in every release that takes what it announces, and no other that would not be taken either", () => {
    for (const group of TAKES) {
      for (const ours of Object.keys(group)) {
        for (const peer of Object.keys(group)) {
          const step = greeted(ours).push(answer(peer));
          const fits = group[peer].includes(ours) || group[ours].includes(peer);
          assertEquals(step.state, fits ? "proposed" : "failed", `${ours} serves ${peer}`);
        }
      }
    }
  });

  it("announces the very release that it is told to, in three plain numbers", () => {
    for (const release of TAKES.flatMap((group) => Object.keys(group))) {
      const step = server(release).start();
      const bytes = "send" in step ? step.send! : new Uint8Array(0);
      const spoken = protocol(release);
      const announced = spoken.handshake === "json"
        ? (read(bytes) as { v: string }).v
        : helloVersion(bytes.subarray(spoken.headerSize));
      assertEquals(announced, release === "1.6.5" ? "1.6.4" : release);
      if (spoken.handshake === "hello") assertEquals(bytes.length, spoken.headerSize + 2 + announced!.length);
    }
  });

  it("ignores what stands behind the version in a HELLO_ACK, and keeps the frames behind that", () => {
    for (const release of ["1.6.0", "1.6.3", "1.6.10", "1.7.5"]) {
      const spoken = protocol(release);
      const requestId = spoken.ids === "uuid" ? HELLO_UUID : HELLO_ID;
      const content = join(new Uint8Array([0, release.length]), utf8(release), utf8(" and more"));
      const ack = encodeFrame(spoken, { code: SystemCode.HELLO_ACK, content, requestId, flags: 0 });
      const next = encodeFrame(spoken, { code: 200, content: utf8("next"), requestId, flags: 0 });
      const machine = greeted(release);
      assertEquals(machine.push(join(ack, next)).state, "proposed");
      assertEquals(hex(opened(machine.accept()).rest), hex(next));
    }
  });

  it("says what it was greeted as by a client that leaves, or stays, without an answer", () => {
    for (const release of ["1.6.3", "1.7.5", "1.9.0", "2.0.0", "native"]) {
      const machine = greeted(release);
      for (const how of ["closed", "late"] as const) {
        const said = machine.unfinished(how);
        assert(said.includes(`release "${release === "native" ? "2.0.0" : release}"`), said);
        assert(said.includes("a Python client of another release does just that; set protocol to its release"), said);
      }
      assert(machine.unfinished("closed").includes("left without a word"));
      assert(machine.unfinished("late").includes("said nothing"));
    }
    const json = greeted("2.0");
    json.push(message({ v: "2.0.0" }).slice(0, 5));
    assertEquals(json.unfinished("late"), "it sent the beginning of an answer");
    const hello = greeted("1.6.3");
    hello.push(answer("1.6.3").slice(0, 9));
    assertEquals(hello.unfinished("closed"), "it sent the beginning of an answer");
  });
});

describe("a client", () => {
  it("answers a HELLO with the announced version byte for byte, whatever it is set to", () => {
    for (const group of TAKES) {
      for (const wanted of Object.keys(group)) {
        if (protocol(wanted).handshake !== "hello") continue;
        for (const announced of group[wanted]) {
          const ends = converse(server(announced), client(wanted));
          const text = announced === "1.6.5" ? "1.6.4" : announced;
          assertEquals([opened(ends.client).release, opened(ends.server).release], [text, text]);
        }
      }
    }
  });

  it("waits for as many bytes as the longest header needs, and not for one more", () => {
    for (const size of [7, 8, 64]) {
      const bytes = new Uint8Array(200).fill(0xee);
      bytes.set([0, 10, 0, 0, 0, size]);
      const states = [61 + size, 62 + size].map((length) => client().push(bytes.slice(0, length)).state);
      assertEquals(states, ["waiting", "failed"]);
      const machine = client();
      const ends = [...cutEvery(bytes, 1)].findIndex((byte) => machine.push(byte).state === "failed");
      assertEquals(ends + 1, 62 + size);
    }
  });

  it("has the reason of a 2.0.3 server that is full, and of one that refuses otherwise", () => {
    const full = client().push(message({ error: "server_full" }));
    assertEquals(failure(full), [
      "too-many-connections",
      "The server refused the connection: The server is full (server_full)",
    ]);
    const { refusal } = (full as { error: HandshakeError }).error;
    assertEquals(refusal, { code: "server_full", message: "The server is full", retryAfter: undefined });
    assertEquals(failure(client().push(message({ error: "mainten\u0000ance" }))), [
      "refused-by-peer",
      "The server refused the connection: no reason given (mainten?ance)",
    ]);
    assertEquals(failure(client().push(message({ error: 1 })))[0], "handshake-failed");
  });
});

describe('release 2.0.3, which compares "pv" in place of releases,', () => {
  const greeting = (pv: unknown, v = "2.0.3"): Uint8Array => message({ v, pv, meta: { id_window: 30000 } });

  it("is answered with it", () => {
    const machine = client();
    const step = machine.push(greeting("1.0"));
    assertEquals("send" in step && read(step.send), { v: "2.0.3", pv: "1.0", meta: {} });
    const { release, protocol: spoken } = opened(machine.push(message({ result: "ok" })));
    assertEquals([release, spoken.headerSize], ["2.0.3", 15]);
    const minor = client().push(greeting("1.7"));
    assertEquals("send" in minor && read(minor.send), { v: "2.0.3", pv: "1.0", meta: {} });
  });

  it("is refused with another first number, which is another protocol", () => {
    for (const pv of ["2.0", "0.9", "10.0", "1", "1.0.0", "", "1.0b1"]) {
      for (const step of [client().push(greeting(pv)), greeted("2.0").push(greeting(pv))]) {
        const [code, text] = failure(step);
        assertEquals(code, "version-mismatch");
        const both = `is release "2.0.3" and speaks version "${pv}" of the protocol, this library speaks "1.0"`;
        assert(text.includes(both), text);
      }
    }
    for (const [pv, what] of [[1, "(number)"], [null, "(object)"], [["1.0"], "(object)"], ["1.0\n", "1.0?"]]) {
      assert(failure(client().push(greeting(pv)))[1].includes(`version "${what}" of the protocol`));
      assert(failure(greeted("2.0").push(greeting(pv)))[1].includes(`version "${what}" of the protocol`));
    }
  });

  it("is not answered with what it did not send, as 2.0.0 to 2.0.2 do not", () => {
    for (const v of ["2.0.0", "2.0.1", "2.0.2"]) {
      const step = client().push(greeting(undefined, v));
      assertEquals("send" in step && read(step.send), { v, meta: {} });
    }
    const old = client("1.9").push(message({ v: "1.9.0", pv: "1.0", meta: {} }));
    assertEquals("send" in old && read(old.send), { v: "1.9.0", meta: {} });
  });

  it("is served by a server that announces 2.0.0, and so are all later ones, with the version only", () => {
    const state = (v: string, pv: unknown): string => greeted("2.0").push(message({ v, pv, meta: {} })).state;
    for (const v of ["2.0.3", "2.0.9rc1", "2.1.0", "3.0.0", "3.3.0", "4.0.0", "0.0.0.dev", "1.9.0"]) {
      assertEquals(state(v, "1.0"), "proposed", v);
      assertEquals(state(v, undefined), "failed", v);
    }
    assertEquals(greeted("1.9.0").push(message({ v: "2.0.3", pv: "1.0", meta: {} })).state, "failed");
  });
});

describe("request ids", () => {
  const outcome = (release: string, size = 0) => ({
    protocol: protocol(release),
    release,
    numbering: size > 0 ? { kind: "window", size } as const : undefined,
    maxMessageSize: 1000,
    features: new Map(),
    transcript: [],
  });
  const NOBODY = { has: () => false, waiting: () => [] };
  const frame = (id: number | string) => new DecodedFrame(200, 0, id, undefined, new Uint8Array(0), 0, 0);

  it("of 1.2 to 1.9 are kept for 4,096 unanswered requests, the oldest going first", () => {
    for (const release of ["1.3.0", "1.6.3", "1.9.0"]) {
      // They are random numbers of 32 bits: of so many, two are the same once in 500 times unless all of them wait.
      const waiting = new Set<number | string>();
      const ids = requestIds(outcome(release), "client", { ...NOBODY, has: (id) => waiting.has(id) }, new FakeClock());
      while (waiting.size < 4_097) waiting.add(ids.next());
      const all = [...waiting];
      waiting.clear();
      for (const id of all.slice(0, 4_096)) ids.abandon(id);
      assertEquals(all.map((id) => ids.answers(frame(id))).indexOf(false), 4_096, "all but the last");
      ids.abandon(all[4_096]);
      assertEquals(all.map((id) => ids.answers(frame(id))), [false, ...Array(4_096).fill(true)]);
      ids.settle(all[5]);
      assertEquals(ids.answers(frame(all[5])), false, "its late answer came");
    }
  });

  it("of 1.2 to 1.9 are random, never one that waits or may still be answered", () => {
    const used = new Set<number | string>();
    const ids = requestIds(outcome("1.6.3"), "client", { ...NOBODY, has: (id) => used.has(id) }, new FakeClock());
    for (let i = 0; i < 1_000; i++) used.add(ids.next());
    assertEquals(used.size, 1_000);
    assert([...used].some((id) => (id as number) > 0x80000000) && [...used].some((id) => (id as number) < 0x80000000));
    const { random } = Math;
    try {
      const pulled = [0.25, 0.25, 0.25, 0.5, 0.5, 0.75];
      Math.random = () => pulled.shift()!;
      const waiting = requestIds(
        outcome("1.6.3"),
        "client",
        { ...NOBODY, has: (id) => id === 2 ** 30 },
        new FakeClock(),
      );
      assertEquals(waiting.next(), 2 ** 31);
      waiting.abandon(2 ** 31);
      assertEquals(waiting.next(), 3 * 2 ** 30);
    } finally {
      Math.random = random;
    }
    const uuid = requestIds(outcome("1.3.0"), "client", NOBODY, new FakeClock()).plain();
    assert(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid as string));
  });

  it("of 2.0 are all used up by a window of 65534 for a client, and one is left for a server", () => {
    const next = (side: "client" | "server", window: number): unknown => {
      try {
        return requestIds(outcome("2.0.0", window), side, NOBODY, new FakeClock()).next();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    assertEquals([next("client", 65_534), next("server", 65_534)], ["ids-exhausted", 65_534]);
    assertEquals([next("client", 65_533), next("server", 65_533)], [65_533, 65_534]);
    assertEquals([next("client", 1), next("server", 1)], [32_769, 32_768]);
  });
});

describe("a HELLO", () => {
  it("of each release is what the page says: code 10, its size, and the length of the version before it", () => {
    for (const release of ["1.4.0", "1.6.0", "1.6.3", "1.6.10", "1.7.5"]) {
      const { layout, headerSize } = protocol(release);
      const step = server(release).start();
      const bytes = "send" in step ? step.send! : new Uint8Array(0);
      const content = join(new Uint8Array([0, release.length]), utf8(release));
      assertEquals(hex(bytes.subarray(layout.code, layout.code + 2)), "000a");
      assertEquals(hex(bytes.subarray(layout.size, layout.size + 4)), hex(new Uint8Array([0, 0, 0, content.length])));
      assertEquals(hex(bytes.subarray(headerSize)), hex(content));
    }
  });
});
