/**
 * The attacks on a server whose connections are encrypted or TLS.
 *
 * @module
 */

import { DEFAULT_LIMITS } from "@veltix/core";
import type { Attack, Target } from "./catalogue.ts";
import type { Protection } from "./protection.ts";
import {
  disturbTls,
  flipBits,
  floodEncryption,
  floodTls,
  HALF_HELLO,
  helloOfTls,
  OPENING,
  sendNoHellos,
  sendNoMessages,
  sendOneByteRecords,
  stop,
  trickle,
} from "./secured.ts";

const KIB = 1_024;
const MIB = 2 ** 20;
const { maxQueuedBytes, highWaterMark } = DEFAULT_LIMITS;
/** The default of `maxPendingHandshakes`. */
const PENDING = 2_048;
/** As many as stay below that. */
const MANY = 2_000;
const NOTHING = new Uint8Array(0);

type Bound = Pick<Attack, "formula" | "most">;

/** What is kept of strangers of the encryption. */
const ENCRYPTION: Bound = {
  formula: "`maxPendingHandshakes` × 20 KiB + 4 MiB",
  most: () => PENDING * 20 * KIB + 4 * MIB,
};
/** What the runtime keeps of strangers of TLS. */
const TLS: Bound = {
  formula: "`maxPendingHandshakes` × 96 KiB",
  most: () => PENDING * 96 * KIB,
};
/** What is kept of peers that were let in. */
const inside = (connections: number): Bound => ({
  formula: `${connections} × (\`maxQueuedBytes\` + \`highWaterMark\` + 64 KiB)`,
  most: () => connections * (maxQueuedBytes + highWaterMark + 64 * KIB),
});

function on(
  protection: Protection,
  name: string,
  does: string,
  bound: Bound,
  run: (target: Target) => Promise<string>,
  more: Partial<Attack> = {},
): Attack {
  return { name: `${protection}-${name}`, does, ...bound, setting: () => ({ protection }), run, ...more };
}

const encrypted = on.bind(undefined, "encryption");
const tls = on.bind(undefined, "tls");
/** How many strangers, in the quick form fewer. */
const many = ({ short }: Target): number => short ? 500 : MANY;

/** See the module. */
export const SECURED_ATTACKS: readonly Attack[] = [
  encrypted(
    "silent",
    "`encryption`: 2,000 strangers that send nothing",
    ENCRYPTION,
    (target) => stop(target, many(target), NOTHING),
    { fullOnly: true },
  ),
  encrypted(
    "message-1",
    "`encryption`: 2,000 strangers that send a valid message 1, and then no more",
    ENCRYPTION,
    (target) => stop(target, many(target), OPENING),
  ),
  encrypted(
    "garbage",
    "`encryption`: 500 strangers a second with garbage in place of message 1, or of message 3",
    ENCRYPTION,
    (target) => sendNoMessages(target, 500),
  ),
  encrypted(
    "flood",
    "`encryption`: whole handshakes, 16 at a time, each with an end at once",
    ENCRYPTION,
    (target) => floodEncryption(target, 16),
  ),
  encrypted(
    "flip",
    "`encryption`: 20 connections that send a record with a flipped bit, and come again",
    inside(20),
    (target) => flipBits(target, 20),
    { ends: "decryption-failed" },
  ),
  encrypted(
    "one-byte",
    "`encryption`: 20 connections flood messages of one byte, each byte of them in a record of its own",
    inside(20),
    (target) => sendOneByteRecords(target, 20),
  ),
  encrypted(
    "trickle",
    "`encryption`: 100 connections that begin a record of 64 KiB, and send ten bytes a second of it",
    inside(100),
    (target) => trickle(target, 100),
    { fullOnly: true },
  ),
  tls(
    "silent",
    "`tls`: 2,000 strangers that send nothing",
    TLS,
    (target) => stop(target, many(target), NOTHING),
    { fullOnly: true },
  ),
  tls(
    "half",
    "`tls`: 2,000 strangers that send half a hello, and then no more",
    TLS,
    (target) => stop(target, many(target), HALF_HELLO),
  ),
  tls(
    "hello",
    "`tls`: 2,000 strangers that send a whole hello, and then no more",
    TLS,
    async (target) => stop(target, many(target), await helloOfTls()),
  ),
  tls("garbage", "`tls`: 500 strangers a second with plain text or garbage in place of a hello", TLS, (target) => {
    return sendNoHellos(target, 500);
  }),
  tls(
    "flood",
    "`tls`: whole handshakes, 16 at a time, each with an end at once",
    TLS,
    (target) => floodTls(target, 16),
  ),
  tls(
    "beside",
    "`tls`: 20 connections that send hellos, alerts and garbage beside TLS once it is agreed on, and come again",
    inside(20),
    (target) => disturbTls(target, 20),
  ),
];
