/**
 * One player: a client that enters the game, again after each loss of the connection, and keeps what it is told.
 *
 * @module
 */

import { Client, type ClientConfig } from "@veltix/core";
import { contract, type Direction } from "./contract.ts";
import { Interpolation } from "./interpolation.ts";
import type { Snapshot } from "./snapshot.ts";

/** A player. */
export class GamePlayer {
  readonly client: Client;
  /** The snapshots, for drawing. */
  readonly world: Interpolation = new Interpolation();
  /** The names of all players by their numbers. */
  names: ReadonlyMap<number, string> = new Map();
  /** Its number; 0 while it is not in the game. */
  id = 0;
  /** How many snapshots it has got. */
  snapshots = 0;

  /**
   * @param config Where the server is.
   * @param name Its name.
   * @param onSnapshot Called with each snapshot.
   */
  constructor(config: ClientConfig, name: string, onSnapshot?: (snapshot: Snapshot) => void) {
    this.client = new Client({ ...config, reconnect: { delay: 200, maxDelay: 2_000 } });
    this.client.route(contract.names, ({ data }) => {
      this.names = new Map(data);
    });
    this.client.route(contract.world, ({ data }) => {
      this.snapshots++;
      this.world.push(data, performance.now());
      onSnapshot?.(data);
    });
    this.client.on("connect", async () => {
      this.id = await this.client.request(contract.enter, name);
    });
    this.client.on("disconnect", () => {
      this.id = 0;
    });
  }

  /** Goes into a direction. If several wait for the network, only the last one counts. */
  steer(direction: Direction): void {
    if (this.client.state === "connected") this.client.send(contract.steer, direction, { latest: "direction" });
  }
}
