/**
 * The rules of the game: players go where they want to, and collect coins. It knows nothing of the network.
 *
 * @module
 */

import { type Direction, RATE, WORLD } from "./contract.ts";
import type { Coin, Snapshot } from "./snapshot.ts";

const COINS = 12;
/** In units a second. */
const SPEED = 24;
/** How near a player has to come to a coin. */
const REACH = 2;

interface Body {
  x: number;
  y: number;
  score: number;
  direction: Direction;
}

/** The world. */
export class World {
  readonly #bodies = new Map<number, Body>();
  readonly #coins: Coin[] = Array.from({ length: COINS }, somewhere);
  #tick = 0;

  /** Adds a player. */
  add(id: number): void {
    this.#bodies.set(id, { ...somewhere(), score: 0, direction: { x: 0, y: 0 } });
  }

  /** Removes a player. */
  remove(id: number): void {
    this.#bodies.delete(id);
  }

  /** Changes where a player goes. A peer wrote the direction: it may be anything that is JSON. */
  steer(id: number, { x, y }: Direction): void {
    const body = this.#bodies.get(id);
    if (body === undefined || !Number.isFinite(x) || !Number.isFinite(y)) return;
    const length = Math.max(1, Math.hypot(x, y)); // Nobody is faster by wanting more.
    body.direction = { x: x / length, y: y / length };
  }

  /** Moves everything by one tick. */
  step(): void {
    this.#tick++;
    for (const body of this.#bodies.values()) {
      body.x = within(body.x + body.direction.x * SPEED / RATE, WORLD.width);
      body.y = within(body.y + body.direction.y * SPEED / RATE, WORLD.height);
      this.#coins.forEach((coin, i) => {
        if (Math.hypot(coin.x - body.x, coin.y - body.y) > REACH) return;
        body.score++;
        this.#coins[i] = somewhere();
      });
    }
  }

  /** Returns the world as it is now. */
  snapshot(): Snapshot {
    const players = [...this.#bodies].map(([id, { x, y, score }]) => ({ id, x, y, score }));
    return { tick: this.#tick, players, coins: this.#coins };
  }
}

function within(value: number, size: number): number {
  return Math.min(size - 1, Math.max(1, value));
}

function somewhere(): { x: number; y: number } {
  return { x: within(Math.random() * WORLD.width, WORLD.width), y: within(Math.random() * WORLD.height, WORLD.height) };
}
