/**
 * Makes an identity: `deno task keygen [FILE]`. It writes the secret key into a new file, `identity.pem` unless another
 * one is named, and prints the public key and its fingerprint.
 *
 * Runs on Deno, Bun and Node.
 *
 * @module
 */

import process from "node:process";
import { Identity } from "../src/encryption/mod.ts";

const files = process.argv.slice(2);
if (files.length > 1 || files[0]?.startsWith("-")) {
  console.error("Usage: deno task keygen [FILE]");
  process.exit(2);
}
const [path = "identity.pem"] = files;
const identity = await Identity.generate();
try {
  await identity.save(path);
  console.log(`Saved the secret key in ${path}: keep it, and show it to nobody.`);
  console.log(`Public key:  ${identity.publicKey}`);
  console.log(`Fingerprint: ${identity.fingerprint}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
