/**
 * Removes the file of a unix socket whose server is gone: one that was killed leaves it behind, and nobody could listen there
 * until it is deleted.
 *
 * @module
 */

import { lstatSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { ConnectionError } from "../errors.ts";
import { realTime } from "../base/real_time.ts";
import type { Endpoint, UnixEndpoint } from "../base/address.ts";
import type { Connection, Listener } from "../transport.ts";

/** A file younger than this may belong to a server that does not answer yet, in milliseconds; it is asked again later. */
const YOUNG = 1_000;
/** How much later, in milliseconds. */
const PATIENCE = 100;

/** The flag of a socket that listens, in Linux's list. */
const ACCEPTS = 0x10000;

/** Opens a connection, as an adapter does. */
type Connect = (to: UnixEndpoint) => Promise<Connection>;

/** Which file it is. A number of the file system may be given anew as soon as a file is gone: the time tells. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mtimeNs: bigint;
  readonly mtimeMs: bigint;
}

/**
 * Listens; where a stale socket file is in the way, removes it and listens once more.
 *
 * A file is stale if it is a socket and connecting to it is refused. No other file is touched, and no name of Linux's that is
 * no file.
 *
 * @param at Where.
 * @param listen Listens there.
 * @param connect Finds out whether somebody answers.
 * @throws {ConnectionError} What `listen` rejects with: `address-in-use` where somebody answers.
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
    return false; // The file is gone, or may not be looked at or moved: what was said first stands.
  }
}

function socketAt(path: string): Identity | undefined {
  if (path.startsWith("\0")) return undefined;
  const found = lstatSync(path, { bigint: true });
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

// Bun says ECONNREFUSED, too, where a living server's queue is full. Linux lists who listens, by the path that was given.
function isListed(path: string): boolean {
  try {
    const lines = readFileSync("/proc/net/unix", "utf8").split("\n");
    return lines.some((line) => {
      const [, flags, name] = /^(?:\S+ ){3}(\S+) \S+ \S+ +\d+ (.+)$/.exec(line) ?? [];
      return (Number.parseInt(flags, 16) & ACCEPTS) !== 0 && resolve(name) === resolve(path);
    });
  } catch {
    return false;
  }
}

// Another process may do the same and listen by now. Deleting by name might take its file away; a file that was moved aside
// can be looked at and given back.
function remove(path: string, found: Identity): boolean {
  if (!isSame(found, socketAt(path))) return false;
  const aside = `${path}.${process.pid}.stale`;
  renameSync(path, aside);
  if (isSame(found, socketAt(aside))) {
    unlinkSync(aside);
    return true;
  }
  renameSync(aside, path);
  return false;
}

function isSame(one: Identity, other: Identity | undefined): boolean {
  return one.dev === other?.dev && one.ino === other.ino && one.mtimeNs === other.mtimeNs;
}
