/**
 * One random input for the server's or the client's end of a handshake: messages that are right, hostile or broken.
 *
 * @module
 */

import { HandshakeError, ProtocolError } from "../../src/errors.ts";
import { crc32 } from "../../src/wire/crc32.ts";
import { encodeFrame } from "../../src/wire/encoder.ts";
import { SystemCode } from "../../src/wire/frame.ts";
import type { HandshakeStep } from "../../src/wire/handshake/terms.ts";
import { helloFrame } from "../../src/wire/python/hello_frames.ts";
import { type Protocol, protocol } from "../../src/wire/protocols.ts";
import { acceptsRelease } from "../../src/wire/python/accepted_releases.ts";
import { client, HELLO_ID, HELLO_UUID, message, NOW, server } from "../wire_handshake_support.ts";
import { join, PROTOCOLS, type Random, randomFrame } from "../wire_support.ts";
import { chunk, hostileJson, mutate } from "./mutate.ts";

const CODES = [
  "handshake-failed",
  "native-required",
  "refused-by-peer",
  "too-many-connections",
  "unauthorized",
  "version-mismatch",
  "corrupt",
  "message-too-large",
  "protocol-error",
];
const OFFER = { maxMessageSize: 5000, features: { credit: { window: 1 }, x: {} } };
const RELEASES = [
  "1.6.0",
  "1.6.3",
  "1.6.10",
  "1.7.5",
  "1.9.0",
  "2.0.0",
  "2.0.0b3",
  "2.0.3",
  "3.0.0",
  "3.3.0",
  "native",
];
/** Versions of the protocol, most of them absent, half of the others spoken here. */
const VERSIONS = [undefined, undefined, undefined, "1.0", "1.7", "2.0", 1, null, "1.0b1"];
const TERMS = { versions: [1], features: { credit: { window: 2 } }, maxMessageSize: 4000, nonce: "n" };

interface Machine {
  start(): HandshakeStep;
  push(chunk: Uint8Array): HandshakeStep;
}

/** Throws where a server's machine does what it may not. */
export function checkServer(random: Random): void {
  const name = random.pick(RELEASES);
  const spoken = protocol(name);
  const make = (): ReturnType<typeof server> => server(name, { offer: OFFER });
  const release = random.below(4) === 0
    ? random.pick(["1.7.1", "2.0.1", "x", "1.6.3b1", "0.0.0.dev", "4.0.0"])
    : spoken.release || "2.0.0";
  const answer = spoken.handshake === "hello" ? hello(random, spoken, SystemCode.HELLO_ACK, release) : json(random, {
    v: random.below(20) === 0 ? undefined : release,
    pv: random.pick(VERSIONS),
    meta: random.below(2) === 0 ? {} : { native: { ...TERMS, credentials: "c" } },
  });
  const tail = random.below(3) === 0 ? frame(random, spoken) : new Uint8Array(0);
  const bytes = spoil(random, join(answer, tail));

  const whole = make();
  const cut = make();
  const [a, b] = [drive(whole, [bytes]), drive(cut, chunk(random, bytes))];
  agree(a.state === "proposed" ? whole.accept() : a, b.state === "proposed" ? cut.accept() : b);
}

/** Throws where a client's machine does what it may not. */
export function checkClient(random: Random): void {
  const spoken = protocol(random.pick(RELEASES));
  const name = random.below(3) === 0 ? random.pick(RELEASES) : "auto";
  const credentials = random.below(4) === 0 ? { token: "t" } : undefined;
  const segments: Uint8Array[] = [];
  if (spoken.handshake === "hello") {
    segments.push(join(hello(random, spoken, SystemCode.HELLO, spoken.release), frame(random, spoken)));
  } else {
    const refusal = {
      result: "error",
      code: random.pick(["full", "unauthorized", "too-many-connections"]),
      message: "come back later",
      retryAfter: 100,
    };
    const meta = spoken.ids === "u16" ? { id_window: 30000 } : {};
    const v = random.below(20) === 0 ? random.pick([undefined, "0.0.0.dev", "4.0.0"]) : spoken.release || "2.0.0";
    const pv = random.pick(VERSIONS);
    const full = { error: random.pick(["server_full", "x"]) };
    segments.push(
      json(random, random.pick([refusal, full, { v, pv, meta }, { v, pv, meta: { ...meta, native: TERMS } }])),
      json(random, random.pick([refusal, { result: "ok" }, { result: "ok", native: { version: 1, features: {} } }])),
    );
    if (random.below(2) === 0) segments[1] = join(segments[1], frame(random, spoken));
  }
  const spoilt = segments.map((segment) => spoil(random, segment));
  const make = (): Machine => client(name, { offer: OFFER, credentials });
  agree(drive(make(), spoilt), drive(make(), spoilt.flatMap((segment) => chunk(random, segment))));
}

/** Feeds a machine until it fails or has no more to read, and looks at each of its steps. */
function drive(machine: Machine, chunks: readonly Uint8Array[]): HandshakeStep {
  let step = machine.start();
  const late: Uint8Array[] = [];
  for (const piece of chunks) {
    if (step.state === "open") late.push(piece);
    else if (step.state !== "failed") {
      const next = machine.push(piece);
      check(next);
      // After a proposal, "waiting" says that nothing is new.
      if (!(step.state === "proposed" && next.state === "waiting")) step = next;
    }
  }
  if (step.state !== "open") return step;
  return { ...step, rest: join(step.rest, ...late) };
}

function check(step: HandshakeStep): void {
  if (step.state === "failed") {
    const { error } = step;
    if (!(error instanceof HandshakeError || error instanceof ProtocolError) || !CODES.includes(error.code)) {
      throw new Error("it failed with another error than documented", { cause: error });
    }
    if (/\p{Cc}/u.test(error.message) || error.message.length > 700) throw new Error("its error cannot be printed");
  } else if (step.state === "open") {
    const { protocol: spoken, release, numbering, maxMessageSize, features, transcript } = step.outcome;
    if (!PROTOCOLS.some(({ headerSize, ids }) => headerSize === spoken.headerSize && ids === spoken.ids)) {
      throw new Error(`it agreed on the unknown protocol ${spoken.name}`);
    }
    if (!/^[!-~]{0,32}$/.test(release)) throw new Error(`it took the release ${JSON.stringify(release)}`);
    const { release: ours } = spoken;
    const known = acceptsRelease(ours, release) || acceptsRelease(release, ours) || spoken.name === release ||
      spoken.ids === "u16" && transcript.some(namesVersion);
    if (spoken.name !== "native" && !known) {
      throw new Error(`it took ${release} for ${spoken.name}`);
    }
    if ((spoken.ids === "u16") !== (numbering !== undefined)) throw new Error("its ids are another protocol's");
    if (numbering?.kind === "window" && !(numbering.size > 0 && numbering.size < 65535)) {
      throw new Error(`its window is ${numbering.size}`);
    }
    if (maxMessageSize < 16 || maxMessageSize > 0xffffffff) throw new Error(`its limit is ${maxMessageSize}`);
    if ([...features.keys()].some((key) => !Object.hasOwn(OFFER.features, key))) throw new Error("it invents features");
    if (transcript.length < 2) throw new Error("it lost messages");
  }
}

/** Whether a message says that its sender speaks version 1 of the protocol. */
function namesVersion(bytes: Uint8Array): boolean {
  const { pv } = JSON.parse(new TextDecoder().decode(bytes.subarray(2))) as { pv?: unknown };
  return typeof pv === "string" && /^1\.\d+$/.test(pv);
}

function agree(a: HandshakeStep, b: HandshakeStep): void {
  check(a);
  // What comes too early is only seen where it comes in the same piece.
  if (a.state === "failed" && a.error.message.endsWith("it sent more before it was answered")) return;
  const [one, other] = [summary(a), summary(b)];
  if (one !== other) throw new Error(`another cutting ends otherwise: ${other} instead of ${one}`);
}

function summary(step: HandshakeStep): string {
  if (step.state === "failed") return `failed: ${(step.error as { code: string }).code}`;
  if (step.state !== "open") return step.state;
  const { outcome: { protocol: spoken, release, transcript, maxMessageSize }, rest } = step;
  const bytes = [...transcript, rest].map((part) => `${part.length}/${crc32(part)}`);
  return `${spoken.name} ${release} ${maxMessageSize} ${bytes.join()}`;
}

function hello(random: Random, spoken: Protocol, code: number, release: string): Uint8Array {
  const id = spoken.ids === "uuid" ? HELLO_UUID : HELLO_ID;
  return helloFrame(spoken, random.below(20) === 0 ? 200 : code, id, NOW, release);
}

function json(random: Random, value: unknown): Uint8Array {
  const present = JSON.parse(JSON.stringify(value));
  return message(hostileJson(random, present, random.pick([0, 20, 100])));
}

function frame(random: Random, spoken: Protocol): Uint8Array {
  return encodeFrame(spoken, randomFrame(random, spoken, 20));
}

function spoil(random: Random, bytes: Uint8Array): Uint8Array {
  return random.below(2) === 0 ? bytes : mutate(random, bytes, bytes, random.below(3)).bytes;
}
