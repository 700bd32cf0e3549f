/**
 * Removes the file of a unix socket whose server is gone. A server that was killed leaves its file behind, and nobody
 * can listen there until the file is deleted.
 *
 * @module
 */

import type * as Fs from "node:fs";
import type * as Path from "node:path";
import type * as Process from "node:process";
import { ConnectionError } from "../errors.ts";
import { builtinModule } from "../base/builtin_module.ts";
import { realTime } from "../base/real_time.ts";
import type { Endpoint, UnixEndpoint } from "../base/address.ts";
import type { Connection, Listener } from "../transport.ts";

const FS = builtinModule("node:fs") as typeof Fs;
const PATH = builtinModule("node:path") as typeof Path;
const PROCESS = builtinModule("node:process") as typeof Process;

/**
 * A file younger than this, in milliseconds, may belong to a server that does not answer yet. It is checked a second
 * time.
 */
const YOUNG = 1_000;
/** The wait before the second check, in milliseconds. */
const PATIENCE = 100;

/** The flag of a listening socket in `/proc/net/unix`. */
const ACCEPTS = 0x10000;

/** Opens a connection, as an adapter does. */
type Connect = (to: UnixEndpoint) => Promise<Connection>;

/**
 * The identity of a file. A file system may reuse the inode number as soon as a file is gone, so the time counts, too.
 */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mtimeNs: bigint;
  readonly mtimeMs: bigint;
}

/**
 * Listens. If a stale socket file is in the way, removes it and listens once more.
 *
 * A file is stale if it is a socket and a connection to it is refused. No other file is touched, and no abstract socket
 * of Linux, whose name is not a file.
 *
 * @param at The endpoint to listen at.
 * @param listen Listens there.
 * @param connect Connects there, to find out if somebody answers.
 * @throws {ConnectionError} What `listen` rejects with: `address-in-use` if somebody answers.
 */
export async function listenAnew(at: Endpoint, listen: () => Promise<Listener>, connect: Connect): Promise<Listener> {
  try {
    return await listen();
  } catch (error) {
    const taken = error instanceof ConnectionError && error.code === "address-in-use";
    if (!taken || !("path" in at) || !await removeStale(at.path, connect)) throw error;
    return await listen();
  }
}

async function removeStale(path: string, connect: Connect): Promise<boolean> {
  try {
    const found = socketAt(path);
    if (!found || !await isDead(path, connect)) return false;
    if (Date.now() - Number(found.mtimeMs) < YOUNG) {
      await new Promise<void>((resolve) => realTime.setTimeout(resolve, PATIENCE));
      if (!await isDead(path, connect)) return false;
    }
    return remove(path, found);
  } catch {
    return false; // The file is gone, or may not be read or moved: the first error stands.
  }
}

function socketAt(path: string): Identity | undefined {
  if (path.startsWith("\0")) return undefined;
  const found = FS.lstatSync(path, { bigint: true });
  return found.isSocket() ? found : undefined;
}

async function isDead(path: string, connect: Connect): Promise<boolean> {
  if ("Bun" in globalThis && isListed(path)) return false;
  try {
    (await connect({ path })).abort();
    return false;
  } catch (error) {
    return ((error as Error).cause as { code?: unknown } | undefined)?.code === "ECONNREFUSED";
  }
}

// Bun reports ECONNREFUSED also if a living server's queue is full. Linux lists the listening sockets by the path that
// they were given.
function isListed(path: string): boolean {
  try {
    const lines = FS.readFileSync("/proc/net/unix", "utf8").split("\n");
    return lines.some((line) => {
      const [, flags, name] = /^(?:\S+ ){3}(\S+) \S+ \S+ +\d+ (.+)$/.exec(line) ?? [];
      return (Number.parseInt(flags, 16) & ACCEPTS) !== 0 && PATH.resolve(name) === PATH.resolve(path);
    });
  } catch {
    return false;
  }
}

// Another process may do the same and listen already. Deleting by name might delete its file. A file that was moved
// aside can be checked and moved back.
function remove(path: string, found: Identity): boolean {
  if (!isSame(found, socketAt(path))) return false;
  const aside = `${path}.${PROCESS.pid}.stale`;
  FS.renameSync(path, aside);
  if (isSame(found, socketAt(aside))) {
    FS.unlinkSync(aside);
    return true;
  }
  FS.renameSync(aside, path);
  return false;
}

function isSame(one: Identity, other: Identity | undefined): boolean {
  return one.dev === other?.dev && one.ino === other.ino && one.mtimeNs === other.mtimeNs;
}
