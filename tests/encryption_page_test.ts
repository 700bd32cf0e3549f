/** The handshake in `docs/protocol.md`, made from keys that anybody can repeat. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import { findEd25519 } from "../src/encryption/ed25519.ts";
import { ClientNoise } from "../src/encryption/handshake/client.ts";
import { ServerNoise } from "../src/encryption/handshake/server.ts";
import type { NoiseStep } from "../src/encryption/handshake/terms.ts";
import type { KeyPair, Primitives } from "../src/encryption/primitives.ts";
import { RecordWriter } from "../src/encryption/record_writer.ts";
import { BOTH, hexOf } from "./encryption_support.ts";

/** A secret of 32 equal bytes. */
const secret = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const OFFER = { speaks: [1, 2], fast: [1] } as const;

/** Makes primitives whose next key pairs are those of these secrets. */
function withKeys(primitives: Primitives, secrets: number[]): Primitives {
  return { ...primitives, generateKeyPair: (): KeyPair => primitives.keyPairOf(secret(secrets.shift()!)) };
}

/** Returns the handshake as the page shows it. */
function transcript(primitives: Primitives): string[] {
  const ed25519 = findEd25519();
  const verify = (key: Uint8Array, text: Uint8Array, signature: Uint8Array): boolean =>
    ed25519.verify(signature, text, key);
  const sent = (step: NoiseStep): Uint8Array => (step as { readonly send: Uint8Array }).send;
  const server = new ServerNoise({
    primitives: withKeys(primitives, [4]),
    verify,
    signers: [ed25519.signer(secret(1))],
    staticKey: () => primitives.keyPairOf(secret(3)),
    greeting: utf8("greeting"),
    offer: OFFER,
  });
  const client = new ClientNoise({
    primitives: withKeys(primitives, [6, 5]),
    verify,
    signer: ed25519.signer(secret(2)),
    answer: () => utf8("answer"),
    offer: OFFER,
  });
  const hello = sent(server.start());
  const first = sent(client.start());
  assertEquals(server.push(first).state, "turn");
  const second = sent(server.step());
  client.push(hello);
  assertEquals(client.push(second).state, "trust");
  const done = client.accept();
  assertEquals(server.push(sent(done)).state, "turn");
  assertEquals([server.step().state, server.accept().state], ["trust", "done"]);
  if (done.state !== "done") throw new Error("The handshake did not end");
  const records = new RecordWriter(done.outcome.sending);
  const parts: [string, Uint8Array][] = [
    ["server's hello", hello],
    ["client's hello, message 1", first],
    ["suite, message 2", second],
    ["message 3", sent(done)],
    ["the client's record of `frames`", records.seal(utf8("frames"))],
    ["the client's end", records.end()],
  ];
  return parts.flatMap(([name, bytes]) => [name, ...hexOf(bytes).match(/.{1,80}/g)!.map((line) => `  ${line}`)]);
}

describe("the handshake in docs/protocol.md", () => {
  const page = readFileSync(new URL("../docs/protocol.md", import.meta.url), "utf8");

  for (const primitives of BOTH) {
    it(`is what comes of its keys, by ${primitives.name}`, () => {
      const shown = /```text\n(server's hello\n[\s\S]*?)```/.exec(page)?.[1].trimEnd().split("\n");
      assertEquals(shown, transcript(primitives));
    });
  }
});
