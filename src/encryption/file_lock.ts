/**
 * Locks a file against other writers, in this process and in others. The lock is a file next to it, which only one
 * writer can create. A lock that a dead process has left is taken over.
 *
 * A lock counts as left by a dead process when the same holder has had it for the time `stale`. The clock of the
 * waiting writer measures that time. A living holder never needs that long: it writes without a pause, within
 * milliseconds. Clocks of other machines and process ids are not compared, because both mean little on a shared disk.
 *
 * @module
 */

import { realTime } from "../base/real_time.ts";
import { ConfigError } from "../errors.ts";
import { hasModes, type NodeFs, nodeFs, reasonOf, systemCode } from "./builtin.ts";

/** The waiting times of a writer, in milliseconds. */
export interface LockTimes {
  /** The time after which a holder that still has the lock counts as dead. */
  readonly stale: number;
  /** The time after which a writer gives up. */
  readonly patience: number;
}

const TIMES: LockTimes = { stale: 2_000, patience: 30_000 };
/** The shortest time between two attempts, in milliseconds. The longest is twice as long. */
const PAUSE = 5;

/** Thrown by a writer that finds that its lock was taken over. It has written nothing, and starts again. */
export class LockLost extends Error {}

/**
 * Runs a writer while nobody else writes.
 *
 * @param path The path of the file.
 * @param failure The action that failed, for the messages of errors.
 * @param write Writes without a pause. `isHeld` returns whether it still has the lock.
 * @param times The waiting times.
 * @returns The value that the writer returned.
 * @throws {ConfigError} `invalid-config`: the lock cannot be obtained.
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
  const start = realTime.now();
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
    if (realTime.now() - start >= times.patience) {
      throw new ConfigError("invalid-config", `${failure}: somebody else keeps ${JSON.stringify(lock)}`);
    }
    await new Promise<void>((resolve) => realTime.setTimeout(resolve, PAUSE * (1 + Math.random())));
  }
}

/** Measures for how long a value has stayed the same. */
class Watch {
  #value: string | undefined;
  #since = 0;

  /** Takes the current value. Returns for how many milliseconds it has stayed the same; 0 for `undefined`. */
  sameFor(value: string | undefined): number {
    const now = realTime.now();
    if (value === undefined || value !== this.#value) this.#since = now;
    this.#value = value;
    return now - this.#since;
  }
}

/**
 * Removes the lock of a dead holder. Several waiting writers may find that it is dead, but only one of them may check
 * again and remove the lock. Otherwise another one could remove the lock of the next holder.
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

/** Creates a file with a text. Returns false if the file exists already. */
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

/** Returns the text of a file; `undefined` if it cannot be read. */
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
