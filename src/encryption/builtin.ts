/**
 * Finds the modules of the runtime that the encryption needs. A browser has none of them, and a bundle for browsers does not
 * import them.
 *
 * @module
 */

import { builtinModule } from "../base/builtin_module.ts";
import { ConfigError } from "../errors.ts";

/** A key object of `node:crypto`. */
export interface KeyObject {
  export(options: { readonly format: "der"; readonly type: "pkcs8" | "spki" }): Uint8Array;
}

interface DerKey {
  readonly key: Uint8Array;
  readonly format: "der";
  readonly type: "pkcs8";
}

/** The part of `node:crypto` that is used here. */
export interface NodeCrypto {
  createPrivateKey(key: DerKey): KeyObject;
  createPublicKey(key: string | KeyObject): KeyObject;
  sign(algorithm: null, message: Uint8Array, key: KeyObject): Uint8Array;
  verify(algorithm: null, message: Uint8Array, key: KeyObject, signature: Uint8Array): boolean;
}

/** The part of the state of a file that is used here. `mode` has the permissions in its lowest nine bits. */
export interface FileState {
  readonly mode: number;
  readonly size: number;
  isFile(): boolean;
}

/** The part of `node:fs` that is used here. */
export interface NodeFs {
  openSync(path: string, flags: string, mode?: number): number;
  fstatSync(file: number): FileState;
  statSync(path: string): FileState;
  fsyncSync(file: number): void;
  closeSync(file: number): void;
  readFileSync(file: number | string, encoding: "utf8"): string;
  writeFileSync(file: number, text: string): void;
  realpathSync(path: string): string;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { readonly force: true }): void;
}

/** Returns `node:crypto`; `undefined` where there is none. */
export function nodeCrypto(): NodeCrypto | undefined {
  return builtinModule("node:crypto") as NodeCrypto | undefined;
}

/**
 * Returns `node:fs`.
 *
 * @param purpose The purpose, for the messages of errors.
 * @throws {ConfigError} `unsupported`: this runtime has no files.
 */
export function nodeFs(purpose: string): NodeFs {
  const fs = builtinModule("node:fs") as NodeFs | undefined;
  if (fs !== undefined) return fs;
  throw new ConfigError("unsupported", `${purpose}: this runtime has no files`);
}

/** Returns whether files have permissions for their group and for others. Those of Windows have none. */
export function hasModes(): boolean {
  return (globalThis as { process?: { readonly platform?: string } }).process?.platform !== "win32";
}

/** Returns whether this is Deno, whose `node:crypto` is its own. */
export function isDeno(): boolean {
  const { process } = globalThis as { process?: { readonly versions?: { readonly deno?: string } } };
  return process?.versions?.deno !== undefined;
}

/** Returns the code of a system error, such as `"ENOENT"`; `undefined` if the value has none. */
export function systemCode(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : undefined;
}

/** Returns the message of an error, without the name of its class. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
