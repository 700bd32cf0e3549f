/**
 * The file of the servers that a program has connected to. Each line has the `host:port` of a server, then its keys:
 *
 * ```text
 * # A comment.
 * 192.168.1.20:8080 vx1:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo # in the cellar
 * ```
 *
 * @module
 */

import { addressText, type Endpoint } from "../base/address.ts";
import { show } from "../base/checks.ts";
import { ConfigError, HandshakeError } from "../errors.ts";
import { type NodeFs, nodeFs, reasonOf, systemCode } from "./builtin.ts";
import { LockLost, type LockTimes, whileLocked } from "./file_lock.ts";
import { parsePublicKey, type PeerKey } from "./public_key.ts";

const HEADER = "# The servers that were met, and their keys. A server whose line is removed is met anew.\n";
/** The permissions of a new file: only its owner may access it. */
const MODE = 0o600;

/** The entry of a server in the file. */
interface KnownHost {
  readonly keys: PeerKey[];
  /** The numbers of its lines; the first line of the file is 1. */
  readonly lines: number[];
}

/** The file that the module describes. It is read again each time, because other programs write it, too. */
export class KnownHosts {
  readonly #path: string;
  readonly #times: LockTimes | undefined;

  constructor(path: string, times?: LockTimes) {
    this.#path = path;
    this.#times = times;
  }

  /**
   * Checks the keys that a server shows. One of them must be known, unless the server itself is not known.
   *
   * @throws {HandshakeError} `identity-mismatch`: the server is known by other keys.
   * @throws {ConfigError} `invalid-config`: the file cannot be read. `unsupported`: there are no files here.
   */
  check(keys: readonly PeerKey[], address: Endpoint): void {
    this.#missing(this.#read(), keys, address);
  }

  /**
   * Adds the keys of a server that are not known yet. Their signatures must have been verified. Returns a promise if
   * there is something to write.
   *
   * @throws {HandshakeError} `identity-mismatch`: the server is known by other keys. Another program may have added
   * them in the meantime.
   * @throws {ConfigError} `invalid-config`: the file cannot be read or written.
   */
  add(keys: readonly PeerKey[], address: Endpoint): void | Promise<void> {
    if (this.#missing(this.#read(), keys, address).length === 0) return;
    const failure = `Cannot keep the key of ${hostOf(address)} in ${show(this.#path)}`;
    const path = realPath(nodeFs(failure), this.#path);
    return whileLocked(path, failure, (isHeld) => {
      const text = this.#read();
      const missing = this.#missing(text, keys, address);
      if (missing.length > 0) replace(nodeFs(failure), path, withKeys(text, hostOf(address), missing), isHeld);
    }, this.#times);
  }

  #read(): string {
    const failure = `Cannot read the known hosts in ${show(this.#path)}`;
    try {
      return nodeFs(failure).readFileSync(this.#path, "utf8");
    } catch (cause) {
      if (systemCode(cause) === "ENOENT") return "";
      if (cause instanceof ConfigError) throw cause;
      throw new ConfigError("invalid-config", `${failure}: ${reasonOf(cause)}`, { cause });
    }
  }

  /** Returns the keys that are to be added. */
  #missing(text: string, keys: readonly PeerKey[], address: Endpoint): PeerKey[] {
    const host = hostOf(address);
    const known = readHosts(text, this.#path).get(host);
    const missing = keys.filter((key, i) =>
      !known?.keys.some((one) => one.equals(key)) && !keys.slice(0, i).some((one) => one.equals(key))
    );
    if (known !== undefined && !keys.some((key) => known.keys.some((one) => one.equals(key)))) {
      throw new HandshakeError("identity-mismatch", changedText(host, known, keys, this.#path));
    }
    return missing;
  }
}

/** Returns the name of a server in the file. It has no space, and no two servers share one. */
function hostOf(address: Endpoint): string {
  const host = "path" in address
    // No host name has a slash.
    ? address.path.startsWith("/") ? address.path : `./${address.path}`
    : addressText(address).toLowerCase();
  return host.replaceAll(/[\s\p{Cc}%#]/gu, encodeURIComponent);
}

/** Reads the text of the file. */
function readHosts(text: string, path: string): Map<string, KnownHost> {
  const hosts = new Map<string, KnownHost>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const [host, ...words] = line.replace(/(^|\s)#.*$/, "").trim().split(/\s+/);
    if (host === "") continue;
    const wrong = (why: string, options?: ErrorOptions): ConfigError =>
      new ConfigError("invalid-config", `Cannot read the known hosts in ${show(path)}: line ${i + 1} ${why}`, options);
    // A server may be called `vx1`, so that its address is `vx1:8080`.
    if (/^vx1:(?!\d+$)/.test(host)) throw wrong("starts with a key, not with the address of a server");
    if (words.length === 0) throw wrong(`has no key for ${show(host)}`);
    const known = hosts.get(host) ?? { keys: [], lines: [] };
    try {
      known.keys.push(...words.map(parsePublicKey));
    } catch (cause) {
      throw wrong(`has no good key. ${reasonOf(cause)}`, { cause });
    }
    known.lines.push(i + 1);
    hosts.set(host, known);
  }
  return hosts;
}

/** Returns the text of the file with keys added to the first line of the host, or in a new line. */
function withKeys(text: string, host: string, keys: readonly PeerKey[]): string {
  const added = keys.map((key) => ` ${key.publicKey}`).join("");
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.trim().split(/\s+/)[0] === host);
  if (at >= 0) {
    lines[at] = lines[at].replace(/^\s*\S+(?:\s+vx1:\S+)*/, (known) => known + added);
    return lines.join("\n");
  }
  const before = text === "" ? HEADER : text.endsWith("\n") ? text : `${text}\n`;
  return `${before}${host}${added}\n`;
}

/** Resolves symbolic links, so that replacing the file does not replace a link to it. */
function realPath(fs: NodeFs, path: string): string {
  try {
    return fs.realpathSync(path);
  } catch {
    return path;
  }
}

/** Replaces the text of a file. A reader sees either all of the old text or all of the new one. */
function replace(fs: NodeFs, path: string, text: string, isHeld: () => boolean): void {
  const fresh = `${path}.${crypto.randomUUID()}.new`;
  const file = fs.openSync(fresh, "wx", modeOf(fs, path));
  try {
    try {
      fs.writeFileSync(file, text);
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
    if (!isHeld()) throw new LockLost();
    fs.renameSync(fresh, path);
  } catch (error) {
    fs.rmSync(fresh, { force: true });
    throw error;
  }
}

function modeOf(fs: NodeFs, path: string): number {
  try {
    return fs.statSync(path).mode & 0o777;
  } catch {
    return MODE;
  }
}

function changedText(host: string, known: KnownHost, shown: readonly PeerKey[], path: string): string {
  const names = (keys: readonly PeerKey[]): string =>
    keys.map((key) => `${key.fingerprint} (${key.publicKey})`).join(", ");
  const lines = known.lines.length === 1 ? `line ${known.lines[0]}` : `lines ${known.lines.join(", ")}`;
  const now = shown.length === 0 ? "proves none" : `shows ${names(shown)}`;
  return `Cannot trust ${host}: its key has changed. Somebody may be in between, listening to all that is sent, ` +
    `or the server has a new identity. It was known by ${names(known.keys)}, and now ${now}. ` +
    `If the fingerprint is that of the server, remove ${lines} of ${show(path)} to meet it anew`;
}
