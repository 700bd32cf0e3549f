/**
 * The permissions of plugins, and the errors for a plugin that lacks one.
 *
 * @module
 */

import { show } from "../base/checks.ts";
import { PermissionError } from "../errors.ts";

/**
 * The name of an event that a plugin can listen to. A Server has some of them, a Client others.
 *
 * @category Plugins
 */
export type PluginEventName =
  | "listening"
  | "connecting"
  | "failed"
  | "connect"
  | "message"
  | "disconnect"
  | "suspended"
  | "resumed"
  | "reconnecting"
  | "unhandled"
  | "error"
  | "rejected"
  | "handshake"
  | "tag"
  | "route"
  | "plugin"
  | "closing"
  | "close"
  | "sent"
  | "received"
  | "routed"
  | "settled"
  | "pressure"
  | "limited"
  | "stream";

/** The names of all events of a Server and of a Client. */
export const PLUGIN_EVENTS: readonly PluginEventName[] = [
  "listening",
  "connecting",
  "failed",
  "connect",
  "message",
  "disconnect",
  "suspended",
  "resumed",
  "reconnecting",
  "unhandled",
  "error",
  "rejected",
  "handshake",
  "tag",
  "route",
  "plugin",
  "closing",
  "close",
  "sent",
  "received",
  "routed",
  "settled",
  "pressure",
  "limited",
  "stream",
];

/**
 * What a plugin may do:
 *
 * - `messages:read`: its hooks get copies of messages, of results, and of what is sent.
 * - `messages:modify`: its hooks change them, or stand in place of a handler. It includes `messages:read`.
 * - `messages:send`: it sends messages and requests.
 * - `clients:read`: it sees who the clients are, and their tags.
 * - `clients:tag`: it gives and takes tags.
 * - `clients:close`: it closes the connections of clients.
 * - `routes:add`: it adds routes of its own.
 * - `events:<name>`: it listens to an event, such as `events:connect`.
 * - `stats`: it reads the counters of the Server or the Client.
 *
 * @category Plugins
 */
export type Permission =
  | "messages:read"
  | "messages:modify"
  | "messages:send"
  | "clients:read"
  | "clients:tag"
  | "clients:close"
  | "routes:add"
  | "stats"
  | `events:${PluginEventName}`;

const PLAIN: readonly Permission[] = [
  "messages:read",
  "messages:modify",
  "messages:send",
  "clients:read",
  "clients:tag",
  "clients:close",
  "routes:add",
  "stats",
];

/** Returns whether a value is the name of a permission. */
export function isPermission(value: unknown): value is Permission {
  if (typeof value !== "string") return false;
  if (value.startsWith("events:")) return (PLUGIN_EVENTS as readonly string[]).includes(value.slice("events:".length));
  return (PLAIN as readonly string[]).includes(value);
}

/**
 * Checks a list of permissions. Returns a copy that has each of them once.
 *
 * @param what The name of the list in messages of errors.
 */
export function permissionsOf(what: string, value: unknown): readonly Permission[] {
  if (!Array.isArray(value)) throw new TypeError(`${what} must be a list of permissions, not ${show(value)}`);
  for (const name of value) {
    if (isPermission(name)) continue;
    throw new TypeError(
      `${what} has ${show(name)}, which is no permission: there are ${PLAIN.join(", ")} and events:<name>, ` +
        `where <name> is the name of an event`,
    );
  }
  return Object.freeze([...new Set(value as Permission[])]);
}

/** Returns the set of what a plugin with these permissions may do. */
export function grantedBy(permissions: readonly Permission[]): ReadonlySet<Permission> {
  const granted = new Set(permissions);
  if (granted.has("messages:modify")) granted.add("messages:read");
  return granted;
}

/** Returns the error for a member that a plugin has no permission for. */
export function denied(plugin: string, what: string, permission: string): PermissionError {
  return new PermissionError(
    "permission-denied",
    `Plugin "${plugin}" cannot use ${what}: it lacks the permission "${permission}", add it to the permissions of ` +
      "definePlugin(), and to those that register() grants if it lists them",
    plugin,
    [permission],
  );
}

/**
 * Returns a frozen object with these members and no others, without a prototype. Reading a member of `guarded` that it
 * does not have throws a `PermissionError`.
 *
 * @param plugin The name of the plugin that gets it.
 * @param name The name of the object in messages of errors.
 * @param members The members that the plugin may use.
 * @param guarded The permission that each further member needs.
 */
export function fenced<Members extends object>(
  plugin: string,
  name: string,
  members: Members,
  guarded: Readonly<Record<string, string>>,
): Members {
  const target = Object.create(null, Object.getOwnPropertyDescriptors(members));
  return new Proxy(Object.freeze(target), {
    get(target, key): unknown {
      const own = Object.getOwnPropertyDescriptor(target, key);
      if (own !== undefined) return own.get === undefined ? own.value : own.get.call(undefined);
      if (typeof key === "string" && Object.hasOwn(guarded, key)) {
        throw denied(plugin, `${name}.${key}`, guarded[key]);
      }
      return undefined;
    },
  }) as Members;
}
