/**
 * Locks a file against other writers, of this process and of others. The lock is a file beside it, which only one can
 * create. One that a dead process left behind is taken over.
 *
 * A lock counts as left behind when the same holder has had it for as long as `stale`, by the clock of the one who
 * waits: holders write without a pause, within milliseconds. No clock of another machine and no number of a process is
 * compared, as both mean little on a shared disk.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import { hasModes, type NodeFs, nodeFs, reasonOf, systemCode } from "./builtin.ts";

/** How long a writer waits, in milliseconds. */
export interface LockTimes {
  /** The time after which a holder that still has the lock is dead. */
  readonly stale: number;
  /** The time after which a writer gives up. */
  readonly patience: number;
}

const TIMES: LockTimes = { stale: 2_000, patience: 30_000 };
/** The time between two attempts: at least so many milliseconds, and up to as many more. */
const PAUSE = 5;

/** Thrown by a writer that finds its lock taken over. Nothing is written then, and it starts anew. */
export class LockLost extends Error {}

/**
 * Runs a writer while nobody else writes.
 *
 * @param path The path of the file.
 * @param failure What messages say that failed.
 * @param write Writes without a pause. It is told how to find out whether the lock is still its own.
 * @param times How long it is waited.
 * @returns What the writer returned.
 * @throws {ConfigError} `invalid-config`: the lock cannot be had.
 */
export async function whileLocked<Value>(
  path: string,
  failure: string,
  write: (isHeld: () => boolean) => Value,
  times: LockTimes = TIMES,
): Promise<Value> {
  const fs = nodeFs(failure);
  const lock = `${path}.lock`;
  const token = crypto.randomUUID();
  const holders = new Watch();
  const breakers = new Watch();
  const start = performance.now();
  for (;;) {
    try {
      if (create(fs, lock, token)) {
        try {
          return write(() => read(fs, lock) === token);
        } finally {
          if (read(fs, lock) === token) fs.rmSync(lock, { force: true });
        }
      }
    } catch (error) {
      if (!(error instanceof LockLost)) throw asConfigError(error, failure);
    }
    const holder = read(fs, lock);
    if (holders.sameFor(holder) >= times.stale) breakLock(fs, lock, holder, breakers, times.stale);
    if (performance.now() - start >= times.patience) {
      throw new ConfigError("invalid-config", `${failure}: somebody else keeps ${JSON.stringify(lock)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE * (1 + Math.random())));
  }
}

/** Knows for how long a value has been the same. */
class Watch {
  #value: string | undefined;
  #since = 0;

  /** Takes the present value. Returns for how long it has been this one, in milliseconds; 0 if there is none. */
  sameFor(value: string | undefined): number {
    const now = performance.now();
    if (value === undefined || value !== this.#value) this.#since = now;
    this.#value = value;
    return now - this.#since;
  }
}

/**
 * Removes the lock of a dead holder. Of those who find it dead only one may look again and remove it: another one could
 * otherwise remove the lock of whoever comes next.
 */
function breakLock(fs: NodeFs, lock: string, holder: string | undefined, breakers: Watch, stale: number): void {
  const breaker = `${lock}.break`;
  if (!create(fs, breaker, crypto.randomUUID())) {
    if (breakers.sameFor(read(fs, breaker)) >= stale) fs.rmSync(breaker, { force: true });
    return;
  }
  try {
    if (read(fs, lock) === holder) fs.rmSync(lock, { force: true });
  } finally {
    fs.rmSync(breaker, { force: true });
  }
}

/** Creates a file with a text. Returns false if there is one already. */
function create(fs: NodeFs, path: string, text: string): boolean {
  let file: number;
  try {
    file = fs.openSync(path, "wx", 0o600);
  } catch (error) {
    const code = systemCode(error);
    // Windows says EPERM while a file of that name is being removed.
    if (code === "EEXIST" || (code === "EPERM" && !hasModes())) return false;
    throw error;
  }
  try {
    fs.writeFileSync(file, text);
  } finally {
    fs.closeSync(file);
  }
  return true;
}

/** Returns the text of a file; `undefined` if there is none. */
function read(fs: NodeFs, path: string): string | undefined {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function asConfigError(error: unknown, failure: string): unknown {
  if (systemCode(error)?.startsWith("E") !== true) return error;
  return new ConfigError("invalid-config", `${failure}: ${reasonOf(error)}`, { cause: error });
}
