/**
 * Secret keys as PEM text, and the files that hold them.
 *
 * @module
 */

import { show } from "../base/checks.ts";
import { ConfigError } from "../errors.ts";
import { hasModes, nodeFs, reasonOf, systemCode } from "./builtin.ts";
import { decodePkcs8, encodePkcs8 } from "./ed25519.ts";
import { decodeBase64, encodeBase64 } from "../base/base64.ts";

/** The permissions of a file that only its owner may read and write. */
const OWNER_ONLY = 0o600;
/** The permissions of the group and of others. */
const OTHERS = 0o077;
/** The size of the largest file that is read, in bytes. A key takes 119. */
const LARGEST = 65_536;

/** Returns the PKCS#8 PEM form of the secret key of a seed. */
export function encodePem(seed: Uint8Array): string {
  return `-----BEGIN PRIVATE KEY-----\n${encodeBase64(encodePkcs8(seed))}\n-----END PRIVATE KEY-----\n`;
}

/**
 * Returns the seed of the secret key in a PEM text. No message of an error contains a part of the text.
 *
 * @param pem The text. Lines before and after the key are ignored.
 * @param what The name of the text, for the messages of errors.
 * @throws {ConfigError} `invalid-config`: the text is not exactly one Ed25519 key as PKCS#8.
 */
export function decodePem(pem: string, what: string): Uint8Array {
  const wrong = (why: string): ConfigError => new ConfigError("invalid-config", `Cannot read ${what}: ${why}`);
  const kinds = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----/g)].map(([, kind]) => kind);
  if (kinds.length === 0) throw wrong("it holds no key in the form PEM");
  if (kinds.length > 1) throw wrong("it holds more than one key");
  if (kinds[0] === "ENCRYPTED PRIVATE KEY") throw wrong("its key is protected by a password, which is not supported");
  if (kinds[0] !== "PRIVATE KEY") {
    throw wrong(`it holds a ${kinds[0].toLowerCase()}, not a private key in the form PKCS#8`);
  }
  const body = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END PRIVATE KEY-----/.exec(pem)?.[1];
  let bytes: Uint8Array | undefined;
  try {
    bytes = body === undefined ? undefined : decodeBase64(body.replaceAll(/\s/g, ""));
  } catch {
    // The error of the decoder has no details to add.
  }
  if (bytes === undefined) throw wrong("its key is cut off or damaged");
  const seed = decodePkcs8(bytes);
  bytes.fill(0);
  if (seed === undefined) throw wrong("its key is damaged, or no Ed25519 key");
  return seed;
}

/**
 * Writes the secret key of a seed into a new file that only its owner may read.
 *
 * @throws {ConfigError} `invalid-config`: the file exists, or cannot be written. `unsupported`: there are no files
 * here.
 */
export function writeKeyFile(path: string, seed: Uint8Array): void {
  const failure = `Cannot save an identity to ${show(path)}`;
  const fs = nodeFs(failure);
  let file: number;
  try {
    file = fs.openSync(path, "wx", OWNER_ONLY);
  } catch (cause) {
    const why = systemCode(cause) === "EEXIST" ? "there is a file already, which is not overwritten" : reasonOf(cause);
    throw new ConfigError("invalid-config", `${failure}: ${why}`, { cause });
  }
  try {
    try {
      fs.writeFileSync(file, encodePem(seed));
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
  } catch (cause) {
    fs.rmSync(path, { force: true });
    throw new ConfigError("invalid-config", `${failure}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Returns the seed of the secret key in a file.
 *
 * @throws {ConfigError} `invalid-config`: the file cannot be read, holds no Ed25519 key, or others than its owner may
 * access it. `unsupported`: there are no files here.
 */
export function readKeyFile(path: string): Uint8Array {
  const failure = `Cannot load an identity from ${show(path)}`;
  const fs = nodeFs(failure);
  const wrong = (why: string, options?: ErrorOptions): ConfigError =>
    new ConfigError("invalid-config", `${failure}: ${why}`, options);
  let pem: string;
  try {
    // Check the open file, not the path: another file may get that name in the meantime.
    const file = fs.openSync(path, "r");
    try {
      const state = fs.fstatSync(file);
      const mode = state.mode & 0o777;
      if (!state.isFile()) throw wrong("it is no file");
      if (hasModes() && (mode & OTHERS) !== 0) {
        const found = mode.toString(8).padStart(4, "0");
        throw wrong(
          `others than its owner may access it (mode ${found}), so it is no secret; run chmod 600 ${show(path)}`,
        );
      }
      if (state.size > LARGEST) throw wrong(`it has ${state.size} bytes, too many for a key`);
      pem = fs.readFileSync(file, "utf8");
    } finally {
      fs.closeSync(file);
    }
  } catch (cause) {
    throw cause instanceof ConfigError ? cause : wrong(reasonOf(cause), { cause });
  }
  return decodePem(pem, `the identity in ${show(path)}`);
}
