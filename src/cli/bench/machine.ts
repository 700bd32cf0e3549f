/**
 * Where a run took place: what a saved result needs to be understood later.
 *
 * @module
 */

import os from "node:os";

/** A runtime, such as "node", and its version. */
export interface Named {
  readonly name: string;
  readonly version: string;
}

/** A description of machine and runtimes. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** Bytes. */
  readonly memory: number;
  /** System, release by its first two numbers, and architecture, such as "Linux 6.18 x64". */
  readonly os: string;
  /** The load average over one minute when the run began; 0 where the system has none. */
  readonly load: number;
  /** Such as "node 24.21.0". */
  readonly versions: readonly string[];
}

/** Describes this machine. */
export function describeMachine(programs: readonly Named[]): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model ?? "unknown",
    cores: cpus.length,
    memory: os.totalmem(),
    os: `${os.type()} ${os.release().split(".", 2).join(".")} ${os.arch()}`,
    load: os.loadavg()[0],
    versions: programs.map(({ name, version }) => `${name} ${version}`),
  };
}
