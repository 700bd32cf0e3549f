/**
 * Smooth movement between snapshots. What is drawn lies a little in the past, so that the snapshots before and after that
 * moment are there already, although some of them come late. Both the terminal and the page draw with it.
 *
 * @module
 */

import { RATE } from "./contract.ts";
import type { Player, Snapshot } from "./snapshot.ts";

const TICK = 1_000 / RATE;
/** How far in the past that lies which is drawn, in milliseconds: snapshots may come late by almost as much. */
const DELAY = 60;
/** How many snapshots are kept. */
const KEPT = 32;

/** The snapshots that came last. */
export class Interpolation {
  #snapshots: Snapshot[] = [];
  /** The local time of tick 0, by the snapshot that came with the least delay. */
  #start = Infinity;

  /**
   * Takes a snapshot.
   *
   * @param snapshot The snapshot.
   * @param now The local time, in milliseconds.
   */
  push(snapshot: Snapshot, now: number): void {
    // A server that was started anew counts from 0.
    if (snapshot.tick < (this.#snapshots.at(-1)?.tick ?? 0)) this.#snapshots = [];
    if (this.#snapshots.length === 0) this.#start = Infinity;
    this.#snapshots = [...this.#snapshots.slice(1 - KEPT), snapshot];
    // The clocks of two machines drift apart: the estimate gives way by a hundredth of a tick each time.
    this.#start = Math.min(this.#start + TICK / 100, now - snapshot.tick * TICK);
  }

  /** Returns the world as it is to be drawn at a local time; `undefined` before the first snapshot. */
  at(now: number): Snapshot | undefined {
    const tick = (now - DELAY - this.#start) / TICK;
    const after = this.#snapshots.find((snapshot) => snapshot.tick >= tick) ?? this.#snapshots.at(-1);
    if (after === undefined) return undefined;
    const before = this.#snapshots.findLast((snapshot) => snapshot.tick < tick) ?? after;
    const share = before === after ? 1 : Math.min(1, (tick - before.tick) / (after.tick - before.tick));
    const old = new Map(before.players.map((player) => [player.id, player]));
    return { ...after, players: after.players.map((player) => between(old.get(player.id) ?? player, player, share)) };
  }
}

function between(from: Player, to: Player, share: number): Player {
  return { ...to, x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}
