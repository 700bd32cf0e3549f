/**
 * What a process has used: CPU time and memory.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";

/** CPU time used so far, user and system, in microseconds. */
export function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Memory in bytes. */
export interface MemoryUse {
  /** What is resident. */
  readonly resident: number;
  /** What the garbage collector holds. */
  readonly heap: number;
}

/** The memory in use, after a garbage collection where the runtime offers one. */
export function memoryUse(): MemoryUse {
  const { Bun: bun, gc } = globalThis as unknown as { Bun?: { gc(force: boolean): void }; gc?: () => void };
  if (bun !== undefined) bun.gc(true);
  else gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  return { resident: rss, heap: heapUsed };
}

/** Resident memory in bytes, after a garbage collection where the runtime offers one. */
export function residentBytes(): number {
  return memoryUse().resident;
}

/** Resident memory of another process in bytes; 0 where the system has no `/proc`. */
export function residentBytesOf(process: number): number {
  try {
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
