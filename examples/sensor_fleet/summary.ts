/**
 * What the hub knows, as a table of 80 columns: a line for each site.
 *
 * @module
 */

import process from "node:process";
import { styleText } from "node:util";
import { type Device, SITES } from "./factory.ts";
import type { Hub } from "./hub.ts";

const HOT = 30;
const WEAK = 0.2;
const HEAD = ["site", "online", "readings/s", "°C mean", "°C high", "hot", "battery low"];
const WIDTHS = [10, 12, 12, 9, 9, 6, 13];

/** Makes the tables of a hub. */
export class Summary {
  readonly #hub: Hub;
  readonly #devices: readonly Device[];
  #counted = new Map<string, number>();
  #at = performance.now();

  constructor(hub: Hub, devices: readonly Device[]) {
    this.#hub = hub;
    this.#devices = devices;
  }

  /** Returns the lines of the table. Rates are those since the last one. */
  lines(): string[] {
    const now = performance.now();
    const seconds = (now - this.#at) / 1_000;
    const counted = new Map(this.#hub.readings);
    const rate = (site: string): number => ((counted.get(site) ?? 0) - (this.#counted.get(site) ?? 0)) / seconds;
    const online = new Set(
      this.#hub.server.clients.filter(({ connected }) => connected).map((one) => one.principal.id),
    );
    const lines = SITES.map((site) => {
      return this.#line(site, this.#devices.filter((device) => device.site === site), online, rate(site));
    });
    const all = this.#line("all", this.#devices, online, SITES.reduce((sum, site) => sum + rate(site), 0));
    [this.#counted, this.#at] = [counted, now];
    return [style("dim", row(HEAD)), ...lines, style("bold", all)];
  }

  #line(name: string, devices: readonly Device[], online: ReadonlySet<number>, rate: number): string {
    const readings = devices.flatMap(({ id }) => this.#hub.last.get(id) ?? []);
    const degrees = readings.map(({ celsius }) => celsius);
    const mean = degrees.reduce((sum, one) => sum + one, 0) / degrees.length;
    return row([
      name,
      `${devices.filter(({ id }) => online.has(id)).length}/${devices.length}`,
      rate.toFixed(0),
      degrees.length > 0 ? mean.toFixed(1) : "–",
      degrees.length > 0 ? Math.max(...degrees).toFixed(1) : "–",
      `${degrees.filter((one) => one > HOT).length}`,
      `${readings.filter(({ battery }) => battery < WEAK).length}`,
    ]);
  }
}

function row([name, ...cells]: readonly string[]): string {
  return [name.padEnd(WIDTHS[0]), ...cells.map((cell, i) => cell.padStart(WIDTHS[i + 1]))].join("");
}

function style(format: "dim" | "bold", text: string): string {
  return styleText(format, text, { stream: process.stdout });
}
