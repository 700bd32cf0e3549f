/**
 * A Python program of some release, run as a process and told what to do.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Obedient } from "../processes/obedient.ts";
import { until } from "../processes/waiting.ts";
import { install, PYTHON } from "./install.ts";
import type { Release } from "./releases.ts";

const SCRIPT = fileURLToPath(new URL("./peer.py", import.meta.url));
/** How long it may take for a start or for an answer, in milliseconds. */
const LIMIT = 40_000;

/** What a Python program has got and seen. */
export interface Told {
  /** Texts, in the order in which they came. */
  readonly texts: readonly string[];
  /** How many numbered messages came, and how many of them out of turn or damaged. */
  readonly serials: number;
  readonly disordered: number;
  readonly damaged: number;
  /** How many were sent of the numbered messages asked for last. */
  readonly sent: number;
  /** A server's clients, and how often one came and went. */
  readonly clients: number;
  readonly joined: number;
  readonly left: number;
  /** Whether a client is connected. */
  readonly connected: boolean;
}

/** A Python program, or one of ours that answers as it does. */
export class PythonPeer extends Obedient {
  /** Where a server listens. */
  port = 0;

  /**
   * Starts one and waits until it is ready.
   *
   * @param release Which Python release.
   * @param role A server, or some clients.
   * @param config What the role wants to know; see `peer.py`.
   */
  static async start(release: Release, role: "server" | "clients", config: unknown): Promise<PythonPeer> {
    const env = { PYTHONPATH: await install(release.name), PYTHONDONTWRITEBYTECODE: "1" };
    return PythonPeer.spawn(`${release.name} ${role}`, [PYTHON, SCRIPT, role, JSON.stringify(config)], env);
  }

  /** Starts any program that answers as `peer.py` does, and waits until it is ready. */
  static async spawn(name: string, command: readonly string[], env: Record<string, string>): Promise<PythonPeer> {
    const peer = new PythonPeer({ name, command, env, answerLimit: LIMIT });
    peer.port = (await peer.ready(LIMIT) as { readonly port?: number }).port ?? 0;
    return peer;
  }

  /** What it has got and seen. */
  told(which = 0): Promise<Told> {
    return this.call("told", { which });
  }

  /** Asks until what it has got and seen is as wanted; throws when that takes too long. */
  async until(what: string, holds: (told: Told) => boolean, which = 0, limit = 15_000): Promise<Told> {
    let told: Told;
    await until(`${this.name} is not ${what}`, limit, async () => holds(told = await this.told(which)));
    return told!;
  }
}
