/**
 * The place of plugins in a Server or a Client. It loads their code when the first one is registered, so that programs
 * without plugins do without.
 *
 * @module
 */

import { PluginError } from "../errors.ts";
import type { PluginEndpoint } from "./endpoint.ts";
import type { AttachMode } from "./plugin_host.ts";
import type { PluginInfo, RegisterOptions } from "./plugin_info.ts";
import type { AttachTypes, Registry } from "./registry.ts";

/** The plugins of a Server or a Client. */
export class PluginSlot {
  readonly #endpoint: () => PluginEndpoint;
  #registry: Registry | undefined = undefined;
  #loading: Promise<Registry> | undefined = undefined;

  /** @param endpoint Makes what plugins need of the Server or the Client. */
  constructor(endpoint: () => PluginEndpoint) {
    this.#endpoint = endpoint;
  }

  /** The plugins that are registered. */
  get list(): readonly PluginInfo[] {
    return this.#registry?.list ?? [];
  }

  /** Registers a plugin; see `Server.register`. */
  async register(plugin: object, options: unknown, how: RegisterOptions = {}): Promise<void> {
    const registry = await this.#load();
    await registry.register(plugin, options, how);
  }

  /** Removes a plugin; see `Server.unregister`. */
  async unregister(name: string): Promise<boolean> {
    const registry = this.#registry ?? await this.#loading;
    return await registry?.unregister(name) ?? false;
  }

  /** Attaches a plugin; see `Server.attach`. */
  attach(types: AttachTypes, plugin: object | string, mode: AttachMode): () => void {
    if (this.#registry !== undefined) return this.#registry.attach(types, plugin, mode);
    throw new PluginError("plugin-missing", "Cannot attach a plugin: none is registered, await register() first");
  }

  /** Removes all plugins. Never rejects. */
  async close(): Promise<void> {
    const registry = this.#registry ?? await this.#loading?.catch(() => undefined);
    await registry?.close();
  }

  #load(): Promise<Registry> {
    return this.#loading ??= import("./registry.ts").then(
      ({ Registry }) => this.#registry = new Registry(this.#endpoint()),
      (error) => {
        // A page may be offline for a moment.
        this.#loading = undefined;
        throw error;
      },
    );
  }
}
