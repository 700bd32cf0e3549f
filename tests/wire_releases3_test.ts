/** The handshakes of Python's 2.0.0 to 3.3.0, with the bytes that those releases send, in both roles. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { HandshakeError } from "../src/errors.ts";
import type { HandshakeStep } from "../src/wire/handshake/terms.ts";
import type { Numbering } from "../src/wire/python/id_numbering.ts";
import { protocol } from "../src/wire/protocols.ts";
import { client, failure, greeted, message, opened, read, server } from "./wire_handshake_support.ts";
import { cutEvery, hex, utf8 } from "./wire_support.ts";

/** What a release writes, spaces included. */
interface Golden {
  /** Message 1. */
  readonly greeting: string;
  /** Message 2. */
  readonly answer: string;
  /** Our message 2. */
  readonly ours: string;
  /** How its server numbers frames, and how its client does. */
  readonly numbers: { readonly server: Numbering; readonly client: Numbering };
}

const WINDOW = { kind: "window", size: 30_000 } as const;
const HALVES = { kind: "halves" } as const;
const GOLDEN: Readonly<Record<string, Golden>> = {
  "2.0.1": {
    greeting: '{"v": "2.0.1", "meta": {"id_window": 30000}}',
    answer: '{"v": "2.0.1", "meta": {}}',
    ours: '{"v":"2.0.1","meta":{}}',
    numbers: { server: WINDOW, client: WINDOW },
  },
  "2.0.3": {
    greeting: '{"v": "2.0.3", "pv": "1.0", "meta": {"id_window": 30000}}',
    answer: '{"v": "2.0.3", "pv": "1.0", "meta": {}}',
    ours: '{"v":"2.0.3","pv":"1.0","meta":{}}',
    numbers: { server: WINDOW, client: WINDOW },
  },
  "3.0.0": {
    greeting: '{"v": "3.0.0", "pv": "1.0", "meta": {}}',
    answer: '{"v": "3.0.0", "pv": "1.0", "meta": {}}',
    ours: '{"v":"3.0.0","pv":"1.0","meta":{}}',
    numbers: { server: WINDOW, client: { kind: "whole" } },
  },
  "3.3.0": {
    greeting: '{"v": "3.3.0", "pv": "1.0", "meta": {}}',
    answer: '{"v": "3.3.0", "pv": "1.0", "meta": {}}',
    ours: '{"v":"3.3.0","pv":"1.0","meta":{}}',
    numbers: { server: HALVES, client: HALVES },
  },
};
const OK = '{"result": "ok"}';
const NATIVE = '"native":{"versions":[1],"features":{},"maxMessageSize":1000000,"nonce":"n"}';

/** The `send` of a step. */
function sent(step: HandshakeStep): Uint8Array {
  if (!("send" in step) || step.send === undefined) throw new Error(`Nothing is sent, it is ${step.state}`);
  return step.send;
}

/** Feeds a machine byte by byte, or whole; the last step. */
function feed(machine: { push(chunk: Uint8Array): HandshakeStep }, bytes: Uint8Array, size: number): HandshakeStep {
  let step: HandshakeStep = { state: "waiting" };
  for (const piece of cutEvery(bytes, size)) step = machine.push(piece);
  return step;
}

for (const [release, { greeting, answer, ours, numbers }] of Object.entries(GOLDEN)) {
  describe(`Python ${release}`, () => {
    it("as a server is answered with its release, and with a version if it named one", () => {
      for (const size of [1, 1_000]) {
        const machine = client();
        assertEquals(hex(sent(feed(machine, message(greeting), size))), hex(message(ours)));
        const outcome = opened(feed(machine, message(OK), size));
        assertEquals([outcome.release, outcome.protocol.name, outcome.protocol.ids], [release, release, "u16"]);
        assertEquals([outcome.numbering, outcome.maxMessageSize], [numbers.server, 10_485_760]);
      }
    });

    it("as a client is let in by the one greeting that serves all of them", () => {
      for (const size of [1, 1_000]) {
        const machine = server("2.0");
        const first = `{"v":"2.0.0","pv":"1.0","meta":{"id_window":30000,${NATIVE}}}`;
        assertEquals(hex(sent(machine.start())), hex(message(first)));
        const step = feed(machine, message(answer), size);
        assertEquals(step, {
          state: "proposed",
          peer: { release, native: false, credentials: undefined, features: {} },
        });
        const last = machine.accept();
        assertEquals(hex(sent(last)), hex(message('{"result":"ok"}')));
        assertEquals([opened(last).release, opened(last).numbering], [release, numbers.client]);
      }
    });

    it("as a server set by hand announces itself, and the version", () => {
      const first = `{"v":"${release}","pv":"1.0","meta":{"id_window":30000,${NATIVE}}}`;
      assertEquals(hex(sent(server(release).start())), hex(message(first)));
    });
  });
}

/** Who takes whom among Python's own, told by what a peer says; from the releases themselves. */
const RELEASES = [
  "2.0.0",
  "2.0.1",
  "2.0.2",
  "2.0.3",
  "3.0.0",
  "3.0.1",
  "3.0.2",
  "3.1.0",
  "3.1.1",
  "3.2.0",
  "3.2.1",
  "3.3.0",
];
const EARLY: Readonly<Record<string, readonly string[]>> = {
  "2.0.0": ["2.0.0"],
  "2.0.1": ["2.0.0", "2.0.1"],
  "2.0.2": ["2.0.0", "2.0.1", "2.0.2"],
};

/** Whether a Python release goes on when its peer says this. */
function python(release: string, said: unknown): boolean {
  const { v, pv } = said as { v: string; pv?: string };
  return EARLY[release]?.includes(v) ?? (pv !== undefined && pv.split(".")[0] === "1");
}

/** What a Python release says. */
function says(release: string, meta: object): Record<string, unknown> {
  return release in EARLY ? { v: release, meta } : { v: release, pv: "1.0", meta };
}

/** The greeting of a Python release. */
function greets(release: string): Uint8Array {
  return message(says(release, release.startsWith("2.") ? { id_window: 30_000 } : {}));
}

describe("among 2.0.0 to 3.3.0,", () => {
  it("our server as it is by default is taken by all, takes all, and native peers besides", () => {
    for (const release of RELEASES) {
      const machine = server("2.0");
      assert(python(release, read(sent(machine.start()))), release);
      assertEquals(machine.push(message(says(release, {}))).state, "proposed", release);
    }
    const native = greeted("2.0").push(sent(client().push(sent(server("2.0").start()))));
    assertEquals(native.state === "proposed" && native.peer.native, true);
  });

  it("our client takes all, and is taken by all", () => {
    for (const release of RELEASES) {
      const machine = client();
      assert(python(release, read(sent(machine.push(greets(release))))), release);
      assertEquals(opened(machine.push(message(OK))).release, release);
    }
  });

  it("our server set to a release is taken by whom that release is, and takes those and whom it takes", () => {
    for (const ours of [...RELEASES, "2.0", "3", "3.0", "3.1", "3.2", "3.3"]) {
      const announced = protocol(ours).release;
      for (const peer of RELEASES) {
        const machine = server(ours);
        const takesUs = python(peer, read(sent(machine.start())));
        assertEquals(takesUs, peer in EARLY ? EARLY[peer].includes(announced) : true, `${peer} takes ${ours}`);
        const step = machine.push(message(says(peer, {})));
        const fits = takesUs || (EARLY[announced]?.includes(peer) ?? false);
        assertEquals(step.state, fits ? "proposed" : "failed", `${ours} serves ${peer}`);
        if (fits) continue;
        const [code, text] = failure(step);
        assert(code === "version-mismatch" && text.includes(`"${peer}"`) && text.includes(`"${announced}"`), text);
      }
    }
  });

  it("our client set to a release takes whom that release takes, and whoever names the version", () => {
    for (const wanted of [...RELEASES, "2.0", "3", "3.0", "3.3"]) {
      for (const peer of RELEASES) {
        const step = client(wanted).push(greets(peer));
        const early = wanted === "2.0" || (EARLY[wanted]?.includes(peer) ?? false);
        const fits = peer in EARLY ? early : true;
        assertEquals(step.state, fits ? "waiting" : "failed", `${wanted} asks ${peer}`);
        if (fits) continue;
        const [code, text] = failure(step);
        assert(code === "version-mismatch" && text.includes(`"${peer}"`) && text.includes(`"${wanted}"`), text);
      }
    }
  });

  it("who should name a version and does not is refused, even by its own release", () => {
    for (const release of ["2.0.3", "3.0.0", "3.3.0"]) {
      const bare = message({ v: release, meta: { id_window: 30_000 } });
      for (const step of [client(release).push(bare), greeted(release).push(bare), greeted("2.0").push(bare)]) {
        assertEquals(failure(step)[0], "version-mismatch", release);
      }
    }
  });

  it("nobody is taken for the version who is set to an earlier protocol, or by one that is", () => {
    for (const wanted of ["1.6.3", "1.8.1", "1.9.0"]) {
      assertEquals(failure(client(wanted).push(greets("3.3.0")))[0], "version-mismatch");
    }
    for (const ours of ["1.8.1", "1.9.0"]) {
      assertEquals(failure(greeted(ours).push(message(says("3.3.0", {}))))[0], "version-mismatch");
    }
    assertEquals(failure(client("native").push(greets("3.3.0")))[0], "native-required");
    assertEquals(failure(greeted("native").push(message(says("3.3.0", {}))))[0], "native-required");
  });
});

describe("a peer that names the version", () => {
  const odd: [v: unknown, release: string][] = [
    ["0.0.0.dev", "0.0.0.dev"],
    ["4.0.0", "4.0.0"],
    ["3.4.0", "3.4.0"],
    ["3.3.0+local.1", "3.3.0+local.1"],
    ["1.9.0", "1.9.0"],
    ["2.1.0", "2.1.0"],
    [undefined, "unknown"],
    [null, "unknown"],
    [7, "unknown"],
    ["a b", "unknown"],
    ["9".repeat(33), "unknown"],
  ];

  it("may call itself anything or nothing, and counts as the latest", () => {
    for (const [v, release] of odd) {
      const asked = client();
      const answer = read(sent(asked.push(message({ v, pv: "1.0", meta: {} }))));
      assertEquals(answer, { v: release === "unknown" ? "2.0.0" : v, pv: "1.0", meta: {} });
      const outcome = opened(asked.push(message(OK)));
      const known = release === "unknown" ? "" : release;
      assertEquals([outcome.release, outcome.protocol.headerSize, outcome.protocol.ids], [known, 15, "u16"]);
      assertEquals(outcome.numbering, HALVES);
      const asking = greeted("2.0");
      const step = asking.push(message({ v, pv: "1.0", meta: {} }));
      assertEquals(step.state === "proposed" && step.peer.release, release);
      assertEquals(opened(asking.accept()).numbering, HALVES);
    }
  });

  it("may call itself unknown, and is called that", () => {
    const asked = client();
    asked.push(message({ v: "unknown", pv: "1.0", meta: {} }));
    assertEquals(opened(asked.push(message(OK))).release, "unknown");
    const asking = greeted("2.0");
    asking.push(message({ v: "unknown", pv: "1.0", meta: {} }));
    assertEquals(opened(asking.accept()).release, "unknown");
  });

  it("without a name is called unknown where that is told", () => {
    const message1 = message({ pv: "1.0", meta: {} });
    for (const machine of [client("native"), greeted("native")]) {
      const [code, text] = failure(machine.push(message1));
      assertEquals(code, "native-required");
      assert(text.includes('it is release "unknown" and does not speak the native protocol'), text);
    }
    const early = failure(client("1.9.0").push(message1));
    assert(early[1].includes('it is release "unknown", and protocol is set to "1.9.0"'), early[1]);
    const waiting = client();
    waiting.push(message1);
    assert(waiting.unfinished("late").includes('it greeted as release "unknown"'), waiting.unfinished("late"));
  });

  it("of another first number is refused whatever it calls itself, the reason naming both", () => {
    for (const [v, release] of [...odd, ["3.3.0", "3.3.0"]]) {
      for (const pv of ["2.0", "0.1"]) {
        for (const machine of [client(), client("3.3.0"), client("2.0"), greeted("2.0"), greeted("3.3.0")]) {
          const [code, text] = failure(machine.push(message({ v, pv, meta: { id_window: 30_000 } })));
          assertEquals(code, "version-mismatch");
          assert(text.includes(`"${release}" and speaks version "${pv}" of the protocol, this library speaks "1.0"`));
        }
      }
    }
  });

  it("and a later second number is taken, and answered with ours", () => {
    for (const pv of ["1.1", "1.9", "1.10"]) {
      const answer = read(sent(client().push(message({ v: "3.9.0", pv, meta: {} }))));
      assertEquals(answer, { v: "3.9.0", pv: "1.0", meta: {} });
      assertEquals(greeted("2.0").push(message({ v: "3.9.0", pv, meta: {} })).state, "proposed");
    }
  });

  it("needs a window where it is 2.0, and none where it is 3", () => {
    const window = (v: string, id_window?: unknown): unknown => {
      const machine = client();
      const step = machine.push(message({ v, pv: "1.0", meta: { id_window } }));
      return step.state === "failed" ? failure(step)[0] : opened(machine.push(message(OK))).numbering;
    };
    for (const size of [1, 30_000, 65_534]) assertEquals(window("2.0.3", size), { kind: "window", size });
    for (const size of [undefined, 0, 65_535, "1"]) assertEquals(window("2.0.3", size), "handshake-failed");
    for (const size of [undefined, 1, 65_534, 65_535, "1"]) {
      assertEquals(window("3.0.0", size), WINDOW);
      assertEquals(window("3.0.0b2", size), WINDOW);
      for (const v of ["3.0.1", "3.3.0", "4.0.0"]) assertEquals(window(v, size), HALVES);
    }
  });
});

describe("a server that is full", () => {
  it("says so in the word that Python reads, and with its own words for our clients", () => {
    const refusal = { code: "too-many-connections", message: "Come back later", retryAfter: 1_000 };
    for (const name of ["2.0", "3.3.0", "native"]) {
      const full = new HandshakeError("too-many-connections", "for the log", { refusal });
      const bytes = sent(server(name).refuse(full));
      assertEquals(read(bytes), { result: "error", ...refusal, error: "server_full" });
      const step = client().push(bytes);
      assertEquals(failure(step)[0], "too-many-connections");
      assertEquals(step.state === "failed" && (step.error as HandshakeError).refusal, refusal);
    }
  });

  it("is the only one to use that word: Python takes any for it", () => {
    for (const code of ["unauthorized", "version-mismatch", "native-required", "handshake-failed"] as const) {
      const error = new HandshakeError(code, "no", {
        refusal: { code: "too-many-connections", message: "of a program's own", retryAfter: undefined },
      });
      assertEquals(Object.hasOwn(read(sent(server("2.0").refuse(error))) as object, "error"), false);
    }
  });

  it("of Python is known by its word alone", () => {
    assertEquals(hex(message('{"error": "server_full"}')), `0018${hex(utf8('{"error": "server_full"}'))}`);
    for (const name of ["auto", "2.0", "3.3.0"]) {
      assertEquals(failure(client(name).push(message('{"error": "server_full"}')))[0], "too-many-connections");
    }
    const asked = client();
    asked.push(greets("3.3.0"));
    assertEquals(
      failure(asked.push(message('{"error": "server_full"}')))[0],
      "handshake-failed",
      "as the last message",
    );
  });
});
