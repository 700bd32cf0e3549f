/**
 * What a program sees of the plugins that are registered, and how it registers one.
 *
 * @module
 */

import type { Permission } from "./permissions.ts";

/**
 * A plugin that is registered.
 *
 * @category Plugins
 */
export interface PluginInfo {
  /** Its name. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** What it may do. */
  readonly permissions: readonly Permission[];
  /**
   * `"starting"` until `setup` has ended, then `"on"`. `"off"` if it failed too often, or if a plugin that it depends on was
   * switched off. `"stopping"` while it is being removed, and `"removed"` after that.
   */
  readonly state: "starting" | "on" | "off" | "stopping" | "removed";
  /** Why it is off; otherwise `undefined`. */
  readonly reason: string | undefined;
  /** How often it has failed. */
  readonly failures: number;
}

/**
 * A change of a plugin, in the event `plugin`.
 *
 * @category Plugins
 */
export interface PluginChange {
  /** The name of the plugin. */
  readonly name: string;
  /** The version of the plugin. */
  readonly version: string;
  /** Its state from now on. */
  readonly state: "on" | "off" | "removed";
  /** Why it is off; otherwise `undefined`. */
  readonly reason: string | undefined;
}

/**
 * How a plugin is registered; all optional.
 *
 * @category Plugins
 */
export interface RegisterOptions {
  /**
   * The most that the plugin may do. If it wants more, it is not registered. So a new version of a plugin gets no
   * permission that you have not agreed to.
   * @default what the plugin wants
   */
  readonly permissions?: readonly Permission[];
  /** How long a hook, a listener, a timer's function or `onClose` may take, in milliseconds. @default 5000 */
  readonly hookTimeout?: number;
  /** How long `setup` may take, in milliseconds. @default 30000 */
  readonly setupTimeout?: number;
  /** The number of failures within a minute at which the plugin is switched off; `Infinity` for never. @default 10 */
  readonly maxFailures?: number;
  /**
   * What happens to messages of the types that the plugin is attached to, while it is switched off. `"pass"` treats
   * them as if the plugin were not attached, and `"refuse"` refuses them with the code `plugin-off`. A plugin that
   * guards something needs `"refuse"`, because a peer may be able to make it fail.
   * @default "pass"
   */
  readonly whenOff?: "pass" | "refuse";
}
