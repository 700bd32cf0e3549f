/**
 * The option `encryption` of a server and of a client. The values in it are checked when the encryption is loaded.
 *
 * @module
 */

import { type Check, optional, type OptionTable, readOptions, unchecked } from "../base/checks.ts";
import type { EncryptionClientOptions, EncryptionServerOptions } from "../encryption_seam.ts";

const SERVER_ENCRYPTION = {
  identity: given,
  allow: optional(unchecked<readonly string[]>()),
} satisfies OptionTable<EncryptionServerOptions>;

const CLIENT_ENCRYPTION = {
  trust: given,
  identity: optional(unchecked<EncryptionClientOptions["identity"]>()),
} satisfies OptionTable<EncryptionClientOptions>;

/** Checks the option `encryption` of a server or a listener, and returns it. */
export const serverEncryption: Check<EncryptionServerOptions> = (name, value) =>
  readOptions(name, value as object, SERVER_ENCRYPTION, `${name}.`) as EncryptionServerOptions;

/** Checks the option `encryption` of a client, and returns it. */
export const clientEncryption: Check<EncryptionClientOptions> = (name, value) =>
  readOptions(name, value as object, CLIENT_ENCRYPTION, `${name}.`) as EncryptionClientOptions;

function given(name: string, value: unknown): unknown {
  if (value !== undefined) return value;
  throw new TypeError(`${name} must be given: encryption without it would protect against nobody`);
}
