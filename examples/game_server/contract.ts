/**
 * What the server and its players say to each other. The page in the browser imports this file, too.
 *
 * @module
 */

import { json, messageTypes, text } from "@veltix/core";
import { snapshotCodec } from "./snapshot.ts";

/** How often the world moves, and is told to all players, in times a second. */
export const RATE = 64;

/** The size of the world. A player is a disc of radius 1. */
export const WORLD = { width: 160, height: 84 } as const;

/** Where a player wants to go: a direction whose length is at most 1. */
export interface Direction {
  readonly x: number;
  readonly y: number;
}

/** The messages. */
export const contract = messageTypes({
  /** A name. The answer is the number of the player. */
  enter: [text, json<number>()],
  /** Where to go from now on. */
  steer: json<Direction>(),
  /** From the server: the whole world, 64 times a second. */
  world: snapshotCodec,
  /** From the server, when somebody comes or goes: the names of all players by their numbers. */
  names: json<readonly (readonly [id: number, name: string])[]>(),
});
