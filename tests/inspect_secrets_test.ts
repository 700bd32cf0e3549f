/**
 * What `veltix inspect` and `veltix decode` show of credentials: nothing without `--secrets`.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { writeFileSync } from "node:fs";
import { recordHead, recordText } from "../src/cli/inspect/recording.ts";
import type { Sender } from "../src/cli/inspect/seen.ts";
import { jsonMessage } from "../src/wire/handshake/messages.ts";
import { folder, runKept } from "./inspect_support.ts";
import { hex, join, utf8 } from "./wire_support.ts";

const SECRET = "SECRET-TOKEN";

const terms = { versions: [1], features: {}, maxMessageSize: 10_485_760 };
const greeting = jsonMessage({ v: "2.0.0", pv: "1.0", meta: { native: terms } }, 4096);
const answer = jsonMessage({ v: "2.0.0", meta: { native: { ...terms, credentials: { token: SECRET } } } }, 4096);
const accepted = jsonMessage(
  { result: "ok", native: { version: 1, features: { resume: { id: "i", key: SECRET } } } },
  4096,
);
/** The same length, and no JSON. */
const garbled = answer.slice();
garbled[garbled.length - 1] = 0x21;

const CONVERSATIONS: Readonly<Record<string, readonly (readonly [Sender, Uint8Array])[]>> = {
  "a handshake": [["server", greeting], ["client", answer], ["server", accepted]],
  "a handshake that is cut": [["server", greeting], ["client", answer.slice(0, -3)]],
  "a handshake that is garbled": [["server", greeting], ["client", garbled]],
  "what follows a handshake that is garbled": [["server", greeting], ["client", garbled], ["client", answer]],
  "a handshake of another program": [["client", utf8(`\0\x01\x02 ${SECRET}`)]],
  "a request for a WebSocket": [
    ["client", utf8(`GET http://me:${SECRET}@host/x?token=${SECRET} HTTP/1.1\r\nAuthorization: ${SECRET}\r\n\r\n`)],
  ],
  "a request that is cut": [["client", utf8(`GET /x HTTP/1.1\r\nAuthorization: ${SECRET}`)]],
  "a request of HTTP": [["client", utf8(`POST /x?t=${SECRET} HTTP/1.1\r\nAuthorization: ${SECRET}\r\n\r\n`)]],
};

/** Writes a record, and returns what `decode` prints about it, with the text of the bytes that it shows. */
async function decoded(parts: readonly (readonly [Sender, Uint8Array])[], ...args: string[]): Promise<string> {
  using place = folder();
  const file = place.file("talk.jsonl");
  const lines = parts.map(([from, bytes]) => recordText({ time: 0, connection: 1, type: "data", from, bytes }));
  writeFileSync(file, [recordHead(new Date(0), "x"), ...lines].join(""));
  const { terminal } = await runKept(["decode", file, "--max-payload", "10000", ...args]);
  // The columns of a dump: 16 bytes a line, and what is printable of them.
  const dumped = terminal.lines.map((line) => /^ {4}[\da-f]{8} {2}.{48} {2}(.*)$/.exec(line)?.[1] ?? `\n${line}`);
  return dumped.join("");
}

function shows(text: string): boolean {
  return text.includes(SECRET) || text.includes(hex(utf8(SECRET)));
}

describe("secrets", () => {
  for (const [what, parts] of Object.entries(CONVERSATIONS)) {
    it(`are not shown of ${what}, in any form`, async () => {
      for (const args of [[], ["--hex"], ["--json"], ["--json", "--hex"]]) {
        const text = await decoded(parts, ...args);
        assert(!shows(text), `${args.join(" ")}: ${text}`);
        assert(text.trim() !== "", args.join(" "));
      }
    });

    it(`are shown of ${what} with --secrets`, async () => {
      const text = await decoded(parts, "--hex", "--secrets");
      assert(shows(text), text);
    });
  }

  it("are looked for in handshakes only: --hex shows the bytes of frames and of damage", async () => {
    const plain = jsonMessage({ result: "ok", native: { version: 1, features: {} } }, 4096);
    const damaged = join(plain, utf8("damaged frames of a server"));
    const text = await decoded([["server", greeting], ["client", answer], ["server", damaged]], "--hex");
    assert(text.includes("damaged frames"), text);
    assertEquals(shows(text), false);
  });
});
