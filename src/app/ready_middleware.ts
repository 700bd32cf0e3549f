/**
 * Middleware that many programs need.
 *
 * @module
 */

import { VeltixError } from "../errors.ts";
import {
  checkBoolean,
  checkFunction,
  nonEmpty,
  optional,
  type OptionTable,
  readOptions,
  show,
  whole,
} from "../base/checks.ts";
import { realTime } from "../base/real_time.ts";
import { isThenable } from "../base/thenable.ts";
import type { Message } from "../message/message.ts";
import { replied } from "../message/message.ts";
import { type StandardSchema, validate as checkBySchema } from "../message/schema.ts";
import type { AnyType, Incoming, Middleware } from "./middleware.ts";

/**
 * How long a handler took. `Peer` is as in {@linkcode Middleware}.
 *
 * @category Middleware
 */
export interface Timing<Peer> {
  /** The type of the message or the stream. */
  readonly type: AnyType;
  /** The client that it came from; on a client, the client itself. */
  readonly peer: Peer;
  /** The time until the handler's promise was settled, in milliseconds. */
  readonly ms: number;
  /** True if it threw or its promise rejected. */
  readonly failed: boolean;
}

/**
 * A middleware that measures how long handlers take. The time includes all middleware that is added later.
 *
 * @param report Called after each handler. If it throws, or returns a promise that rejects, the message fails.
 * @returns The middleware.
 *
 * @example The slowest handler
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, messageType, Server, text, timing } from "@veltix/core";
 *
 * const HELLO = messageType(200, "hello", text, text);
 * const seen: string[] = [];
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.use(timing(({ type, ms }) => seen.push(`${type.name}: ${ms < 1_000 ? "quick" : "slow"}`)));
 * server.route(HELLO, ({ data }) => `Hello, ${data}!`);
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * await client.request(HELLO, "Ada");
 * assertEquals(seen, ["hello: quick"]);
 * ```
 *
 * @category Middleware
 */
export function timing<Peer>(report: (timing: Timing<Peer>) => void): Middleware<Peer> {
  checkFunction("timing(): report", report);
  return ({ type }, peer, next) => {
    const since = realTime.now();
    const ended = (failed: boolean): unknown => report({ type, peer, ms: realTime.now() - since, failed }) as unknown;
    const returned = (value: unknown): unknown => {
      const reported = ended(false);
      return isThenable(reported) ? Promise.resolve(reported).then(() => value) : value;
    };
    // The error of the handler counts more than that of the report.
    const threw = (error: unknown): unknown => {
      let reported: unknown;
      try {
        reported = ended(true);
      } catch {
        throw error;
      }
      if (!isThenable(reported)) throw error;
      const fail = (): never => {
        throw error;
      };
      return Promise.resolve(reported).then(fail, fail);
    };
    let result: unknown;
    try {
      result = next();
    } catch (error) {
      return threw(error);
    }
    return isThenable(result) ? Promise.resolve(result).then(returned, threw) : returned(result);
  };
}

/**
 * A middleware that lets only clients with a tag reach the handlers. Others get an error with the code `forbidden`.
 *
 * @param name The tag.
 * @param value The value that the tag has to have. Default: any.
 * @returns The middleware, for a server.
 *
 * @example Rooms for members
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, messageType, requireTag, Server, text } from "@veltix/core";
 *
 * const LOGIN = messageType(200, "login", text, text);
 * const SECRET = messageType(201, "secret", text, text);
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.on("error", () => {});
 * server.use([SECRET], requireTag("user"));
 * server.route(LOGIN, ({ data }, client) => (client.setTag("user", data), "welcome"));
 * server.route(SECRET, () => "42");
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * assertEquals(await client.request(SECRET, "").catch(({ code }) => code), "forbidden");
 * await client.request(LOGIN, "Ada");
 * assertEquals(await client.request(SECRET, ""), "42");
 * ```
 *
 * @category Middleware
 */
export function requireTag(
  name: string,
  ...value: [value?: unknown]
): Middleware<{ hasTag(name: string): boolean; getTag(name: string): unknown }, { readonly type: AnyType }> {
  nonEmpty("requireTag(): name", name);
  return ({ type }, client, next) => {
    const has = client.hasTag(name) && (value.length === 0 || client.getTag(name) === value[0]);
    if (!has) throw forbidden(type, `${value.length === 0 ? "" : "a certain value of "}the tag "${name}"`);
    return next();
  };
}

/**
 * A middleware that lets only clients with a principal reach the handlers. A principal is what `authenticate` has
 * returned, if that is neither `undefined` nor `null`. Other clients get an error with the code `forbidden`.
 *
 * @param allows Returns, at once, whether this principal is allowed. Default: all are.
 * @returns The middleware, for a server.
 *
 * @example Administrators only
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, messageType, requirePrincipal, Server, text } from "@veltix/core";
 *
 * const RESET = messageType(200, "reset", text, text);
 * await using server = new Server({
 *   port: 0,
 *   hostname: "127.0.0.1",
 *   authenticate: ({ credentials }) => ({ admin: credentials === "root" }),
 * });
 * server.on("error", () => {});
 * server.use([RESET], requirePrincipal(({ admin }) => admin));
 * server.route(RESET, () => "done");
 * await server.start();
 *
 * await using guest = new Client({ ...server.addresses[0], credentials: "guest" });
 * await guest.connect();
 * assertEquals(await guest.request(RESET, "").catch(({ code }) => code), "forbidden");
 * ```
 *
 * @category Middleware
 */
export function requirePrincipal<Principal>(
  allows: (principal: NonNullable<Principal>) => boolean = () => true,
): Middleware<{ readonly principal: Principal }, { readonly type: AnyType }> {
  checkFunction("requirePrincipal(): allows", allows);
  return ({ type }, { principal }, next) => {
    if (principal === undefined || principal === null) throw forbidden(type, "a principal");
    const allowed: unknown = allows(principal);
    // A promise is true, so an asynchronous check would let everybody in.
    if (isThenable(allowed)) Promise.resolve(allowed).catch(() => {});
    if (allowed !== true) throw forbidden(type, "another principal");
    return next();
  };
}

/**
 * A middleware that checks payloads, or the heads of streams, and hands on what the schema makes of them. It is for
 * types whose codec checks nothing, such as `json<T>()` without a schema. The answer to a payload that does not fit is
 * an error with the code `invalid-payload`.
 *
 * @param schema A validator of any library that implements Standard Schema.
 * @returns The middleware.
 *
 * @example A payload that nobody has checked
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, json, messageType, Server, type StandardSchema, validate } from "@veltix/core";
 *
 * const positive: StandardSchema<unknown, number> = {
 *   "~standard": {
 *     version: 1,
 *     vendor: "example",
 *     validate: (value) =>
 *       typeof value === "number" && value > 0 ? { value } : { issues: [{ message: "not a positive number" }] },
 *   },
 * };
 * const ROOT = messageType(200, "root", json<number>(), json<number>());
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.on("error", () => {});
 * server.use([ROOT], validate(positive));
 * server.route(ROOT, ({ data }) => Math.sqrt(data));
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * assertEquals(await client.request(ROOT, 9), 3);
 * assertEquals(await client.request(ROOT, -9).catch(({ code }) => code), "invalid-payload");
 * ```
 *
 * @category Middleware
 */
export function validate(schema: StandardSchema<unknown, unknown>): Middleware<unknown> {
  if (typeof schema?.["~standard"]?.validate !== "function") {
    throw new TypeError("validate(): schema must implement Standard Schema");
  }
  return (received, _peer, next) => {
    return next({ data: checkBySchema(schema, received.kind === "message" ? received.data : received.head) });
  };
}

/**
 * Options of {@linkcode dedupe}; all optional.
 *
 * @category Middleware
 */
export interface DedupeOptions<Peer> {
  /**
   * Returns what two copies of a message have in common; `undefined` for a message that may come twice.
   * @default the metadata `idempotency-key`
   */
  readonly key?: ((message: Message<unknown, unknown>, peer: Peer) => string | undefined) | undefined;
  /**
   * True if copies may come from different clients or connections. Then no client must be able to guess the key of
   * another.
   * @default false
   */
  readonly shared?: boolean | undefined;
  /** How many keys are remembered. The oldest one is forgotten first. @default 10000 */
  readonly size?: number | undefined;
  /** How long a key is remembered, in milliseconds. @default 60000 */
  readonly maxAge?: number | undefined;
}

type KeyOf = (message: Message<unknown, unknown>, peer: never) => string | undefined;

const DEDUPE_OPTIONS = {
  key: optional((name, value) => checkFunction(name, value as KeyOf), byMetadata),
  shared: optional(checkBoolean, false),
  size: optional(whole(1), 10_000),
  maxAge: optional(whole(1), 60_000),
} satisfies OptionTable<DedupeOptions<never>>;

/** A message that was seen. */
interface Seen {
  readonly scope: object;
  readonly key: string;
  readonly at: number;
  /** What its handler returned. */
  result: unknown;
  /** The message, while its handler runs. */
  message: Message<unknown, unknown> | undefined;
}

/**
 * A middleware that hands each message on once, however often its sender repeats it. A request that comes again gets
 * the answer of the first one, without its metadata and without another call of the handler. If the handler fails, or
 * nobody waits for it any more, the message may come again. Messages of different types are never the same. Streams
 * pass through unchanged.
 *
 * @param options What makes two messages the same, and how long they are remembered.
 * @returns The middleware.
 * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type.
 *
 * @example An order that is sent twice
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, dedupe, json, messageType, Server, text } from "@veltix/core";
 *
 * const ORDER = messageType(200, "order", text, json<number>());
 * const orders: string[] = [];
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.use([ORDER], dedupe());
 * server.route(ORDER, ({ data }) => orders.push(data));
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * const meta = { "idempotency-key": "4711" };
 * assertEquals(await client.request(ORDER, "tea", { meta }), 1);
 * assertEquals(await client.request(ORDER, "tea", { meta }), 1);
 * assertEquals(orders, ["tea"]);
 * ```
 *
 * @category Middleware
 */
export function dedupe<Peer extends object>(options: DedupeOptions<Peer> = {}): Middleware<Peer> {
  const { key: keyOf, shared, size, maxAge } = readOptions("dedupe()'s options", options, DEDUPE_OPTIONS);
  const everybody = {};
  /** The messages by the peers that sent them, and all of them, oldest first. */
  const scopes = new WeakMap<object, Map<string, Seen>>();
  const order = new Set<Seen>();
  const forget = (seen: Seen): void => {
    order.delete(seen);
    const keys = scopes.get(seen.scope);
    if (keys?.get(seen.key) === seen) keys.delete(seen.key);
  };
  return (received: Incoming, peer, next) => {
    const given: unknown = received.kind === "message" ? keyOf(received, peer as never) : undefined;
    if (given === undefined || received.kind !== "message") return next();
    if (typeof given !== "string") {
      if (isThenable(given)) Promise.resolve(given).catch(() => {});
      throw new TypeError(`dedupe(): key must return a string or undefined, at once, not ${show(given)}`);
    }
    const key = `${received.type.code} ${given}`;
    const now = realTime.now();
    for (const oldest of order) {
      if (now - oldest.at <= maxAge) break;
      forget(oldest);
    }
    const scope = shared ? everybody : peer;
    const keys = scopes.get(scope) ?? new Map<string, Seen>();
    scopes.set(scope, keys);
    const first = keys.get(key);
    if (first?.message?.signal.aborted === true) forget(first);
    else if (first !== undefined) return repeated(first.result, received.type.name);
    const result = next();
    const seen: Seen = { scope, key, at: now, result, message: undefined };
    keys.set(key, seen);
    order.add(seen);
    if (order.size > size) forget(order.values().next().value!);
    if (!isThenable(result)) return result;
    seen.message = received;
    return seen.result = Promise.resolve(result).then((value) => {
      seen.message = undefined;
      return value;
    }, (error) => {
      forget(seen);
      throw error;
    });
  };
}

function byMetadata({ meta }: Message<unknown, unknown>): string | undefined {
  return meta["idempotency-key"];
}

/** Returns the result of the first message for a copy of it. */
function repeated(result: unknown, name: string): unknown {
  if (isThenable(result)) return Promise.resolve(result).then((value) => repeated(value, name));
  // The first one was answered by its own reply(), which nobody has kept.
  if (result === replied) throw new VeltixError("duplicate", `"${name}" was answered already`);
  return result;
}

function forbidden({ name }: AnyType, what: string): VeltixError {
  return new VeltixError("forbidden", `"${name}" needs ${what}`);
}
