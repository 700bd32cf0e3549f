/**
 * The hub: it lets in the devices that it knows, and keeps the last reading of each.
 *
 * @module
 */

import { Server } from "@veltix/core";
import type { Identity } from "@veltix/core/encryption";
import { contract, type Reading } from "./contract.ts";
import type { Device } from "./factory.ts";

/** The hub of a fleet. */
export class Hub {
  /** Its server. The principal of a client is the device that it has proved to be. */
  readonly server: Server<Device>;
  /** The last reading of each device, by its number. */
  readonly last = new Map<number, Reading>();
  /** How many readings came, by site. */
  readonly readings = new Map<string, number>();

  /** How many were not let in. */
  refused = 0;

  /**
   * @param identity Who the hub is.
   * @param known The devices by their public keys.
   */
  constructor(identity: Identity, known: ReadonlyMap<string, Device>) {
    this.server = new Server({
      hostname: "127.0.0.1",
      port: 0,
      encryption: { identity },
      // A device has shown that it has the key. All others are refused, as there is nothing to return.
      authenticate: ({ publicKey }) => known.get(publicKey ?? ""),
      // A device that goes wrong is slowed down, and disturbs nobody.
      rateLimit: { messages: 10, action: "throttle" },
    });
    this.server.on("rejected", () => this.refused++);
    this.server.route(contract.reading, ({ data }, { principal: { id, site } }) => {
      if (typeof data.celsius !== "number" || typeof data.battery !== "number") return; // It may be any JSON.
      this.last.set(id, data);
      this.readings.set(site, (this.readings.get(site) ?? 0) + 1);
    });
  }

  /** Starts anew a device whose battery is low: a request from the server to one of its clients. */
  async restartWeakest(): Promise<Device | undefined> {
    const weak = this.server.clients.find(({ connected, principal }) => {
      return connected && (this.last.get(principal.id)?.battery ?? 1) < 0.1;
    });
    if (weak === undefined) return undefined;
    await weak.request(contract.restart, undefined, { timeout: 1_000 });
    this.last.delete(weak.principal.id);
    return weak.principal;
  }
}
