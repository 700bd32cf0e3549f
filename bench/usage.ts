/**
 * What a process has used: CPU time and resident memory.
 *
 * @module
 */

import process from "node:process";

/** CPU time used so far, user and system, in microseconds. */
export function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Resident memory in bytes, after a garbage collection where the runtime offers one. */
export function residentBytes(): number {
  const { Bun: bun, gc } = globalThis as unknown as { Bun?: { gc(force: boolean): void }; gc?: () => void };
  if (bun !== undefined) bun.gc(true);
  else gc?.();
  return process.memoryUsage().rss;
}
