/**
 * The world at one moment, and its bytes: 8 for each player, where JSON would take 40.
 *
 * @module
 */

import type { Codec } from "@veltix/core";

/** A player. */
export interface Player {
  readonly id: number;
  readonly x: number;
  readonly y: number;
  readonly score: number;
}

/** Something to collect. */
export interface Coin {
  readonly x: number;
  readonly y: number;
}

/** The world at one moment. */
export interface Snapshot {
  /** The number of the moment: they are 1/64 s apart. */
  readonly tick: number;
  readonly players: readonly Player[];
  readonly coins: readonly Coin[];
}

/** A place is sent in 256ths of a unit. */
const FINE = 256;

/**
 * The layout, all numbers big-endian: tick (4 bytes), number of players (2) and coins (2); for each player id, x, y and
 * score (2 each); for each coin x and y (2 each). What `decode` throws never reaches a handler.
 */
export const snapshotCodec: Codec<Snapshot> = {
  encode({ tick, players, coins }): Uint8Array {
    const view = new DataView(new ArrayBuffer(8 + 8 * players.length + 4 * coins.length));
    let at = 0;
    const put = (value: number): void => {
      view.setUint16(at, value);
      at += 2;
    };
    view.setUint32(0, tick);
    at = 4;
    put(players.length);
    put(coins.length);
    for (const { id, x, y, score } of players) [id, x * FINE, y * FINE, score].forEach(put);
    for (const { x, y } of coins) [x * FINE, y * FINE].forEach(put);
    return new Uint8Array(view.buffer);
  },
  decode(bytes): Snapshot {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 4;
    const take = (): number => view.getUint16((at += 2) - 2);
    const [players, coins] = [take(), take()];
    if (bytes.length !== 8 + 8 * players + 4 * coins) throw new RangeError("The snapshot has the wrong length");
    return {
      tick: view.getUint32(0),
      players: Array.from(
        { length: players },
        () => ({ id: take(), x: take() / FINE, y: take() / FINE, score: take() }),
      ),
      coins: Array.from({ length: coins }, () => ({ x: take() / FINE, y: take() / FINE })),
    };
  },
};
