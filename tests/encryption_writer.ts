/**
 * A program: meets servers for the first time. Its arguments are the path of the file of known servers, the number of
 * the first one, and how many there are.
 *
 * @module
 */

import { trustOnFirstUse } from "@veltix/core/encryption";
import process from "node:process";
import { findEd25519 } from "../src/encryption/ed25519.ts";
import { verifyPeer } from "../src/encryption/trust.ts";
import { peerOf } from "./encryption_peers.ts";

const [path, first, count] = process.argv.slice(2);
const message = new Uint8Array(8);
for (let i = 0; i < Number(count); i++) {
  const number = Number(first) + i;
  const { key, signature } = peerOf(number).show(message);
  const shown = [{ publicKey: key, verify: () => findEd25519().verify(signature, message, key) }];
  await verifyPeer(trustOnFirstUse(path), shown, { hostname: "host", port: number });
}
