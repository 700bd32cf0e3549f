/**
 * Defines plugins: a name, a version, permissions, and a function that sets them up.
 *
 * @module
 */

import { checkFunction, nonEmpty, optional, type OptionTable, readOptions, show } from "../base/checks.ts";
import { type Permission, permissionsOf } from "./permissions.ts";
import type { PluginHooks, PluginHost } from "./plugin_host.ts";

/**
 * What defines a plugin. `Options` is what `setup` gets.
 *
 * @category Plugins
 */
export interface PluginDefinition<P extends Permission, Options> {
  /** Its name, unique in a Server or a Client. */
  readonly name: string;
  /** Its version, which `plugins` shows. */
  readonly version: string;
  /** What it may do. @default nothing */
  readonly permissions?: readonly P[];
  /** The names of the plugins that must be registered first. @default none */
  readonly dependsOn?: readonly string[];
  /**
   * Sets the plugin up. If it throws or rejects, everything that it has added is removed again.
   *
   * @param host The capabilities that the permissions name.
   * @param options The checked options.
   * @returns The hooks that `attach` connects to types of messages, or a promise of them, or nothing.
   */
  setup(
    host: PluginHost<P>,
    options: Options,
  ): PluginHooks<P> | void | Promise<PluginHooks<P> | void>;
}

/**
 * A function that checks the options of a plugin. `Given` is what `register` takes.
 *
 * @category Plugins
 */
export interface PluginOptionsCheck<Given, Options> {
  /** Checks the options and fills in defaults. If it throws, `register` rejects with that error. */
  readonly options: (given: Given) => Options;
}

/**
 * A plugin, made by {@linkcode definePlugin}. `Options` is what `register` takes. A plugin has no state of its own, so
 * it can be registered in many places.
 *
 * @category Plugins
 */
export interface Plugin<P extends Permission = Permission, Options = unknown> {
  /** Its name. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** What it may do. */
  readonly permissions: readonly P[];
  /** The names of the plugins that must be registered first. */
  readonly dependsOn: readonly string[];
  /** Checks its options. */
  readonly options: ((given: Options) => unknown) | undefined;
  /** Sets it up, with the checked options. */
  setup(host: PluginHost<P>, options: never): PluginHooks<P> | void | Promise<PluginHooks<P> | void>;
}

/** Any plugin at all. */
export type AnyPlugin = Plugin<never, never>;

const MEMBERS = {
  name: nonEmpty,
  version: nonEmpty,
  permissions: optional(permissionsOf, Object.freeze([])),
  dependsOn: optional(namesOf, Object.freeze([])),
  options: optional((name: string, value: unknown) => checkFunction(name, value)),
  setup: (name: string, value: unknown) => checkFunction(name, value),
} satisfies OptionTable<PluginDefinition<Permission, unknown> & PluginOptionsCheck<unknown, unknown>>;

/**
 * Defines a plugin. Its types follow its permissions: its host has only the members that they name.
 *
 * @param definition Its name, version, permissions and `setup`.
 * @returns The frozen plugin, for `register` of a Server or a Client.
 * @throws {TypeError} A member is missing, unknown or of the wrong type, or a permission does not exist.
 *
 * @example A plugin that counts
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, definePlugin, messageType, Server, text } from "@veltix/core";
 *
 * const counted: string[] = [];
 * const counter = definePlugin({
 *   name: "counter",
 *   version: "1.0.0",
 *   permissions: ["messages:read", "events:connect"],
 *   setup(host) {
 *     host.on("connect", ({ client }) => counted.push(`client ${client?.id}`));
 *     return { before: ({ type }) => counted.push(type.name) };
 *   },
 * });
 *
 * const UPPER = messageType(200, "upper", text, text);
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.route(UPPER, ({ data }) => data.toUpperCase());
 * await server.register(counter);
 * server.attach(UPPER, counter, "before");
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * assertEquals(await client.request(UPPER, "hello"), "HELLO");
 * assertEquals(counted, ["client 1", "upper"]);
 * ```
 *
 * @category Plugins
 */
export function definePlugin<const P extends Permission = never, Options = void>(
  definition: PluginDefinition<P, Options> & { readonly options?: undefined },
): Plugin<P, Options>;
/**
 * Defines a plugin that checks its options before it is set up.
 *
 * @category Plugins
 */
export function definePlugin<const P extends Permission = never, Given = void, Options = Given>(
  definition: PluginDefinition<P, Options> & PluginOptionsCheck<Given, Options>,
): Plugin<P, Given>;
export function definePlugin(definition: object): Plugin {
  return checkPlugin("definePlugin()", definition) as unknown as Plugin;
}

/** Checks what a program gives as a plugin. Returns a frozen copy. */
export function checkPlugin(what: string, given: object): AnyPlugin {
  const { setup, ...members } = readOptions(what, given, MEMBERS);
  // It may be a method, which needs its object.
  const call = (...args: unknown[]): unknown => (setup as (...args: unknown[]) => unknown).apply(given, args);
  return Object.freeze({ ...members, setup: call }) as unknown as AnyPlugin;
}

function namesOf(name: string, value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be a list of names of plugins, not ${show(value)}`);
  return Object.freeze(value.map((one, i) => nonEmpty(`${name}[${i}]`, one)));
}
