/**
 * The handlers of a contract, added to a Server or a Client together.
 *
 * @module
 */

import { checkFunction, optional, type OptionTable, readOptions, show, unchecked } from "../base/checks.ts";
import { checkContract, type Contract } from "../message/contract.ts";
import type { MessageType } from "../message/message_type.ts";
import type { StreamType } from "../message/stream_type.ts";
import type { Handler, NewRoute, RouteOptions, StreamHandler } from "./routes.ts";

/**
 * What can implement a contract: a Server or a Client. `Peer` is the second argument of its handlers.
 *
 * @category Contracts
 */
export interface RouteTarget<Peer> {
  /** Adds routes, all of them or none. Returns a function that removes those that are still there. */
  addRoutes(routes: readonly NewRoute<Peer>[]): () => void;
}

/**
 * The handler of one type: that of `route` for a type of message, that of `stream` for a type of stream.
 *
 * @category Contracts
 */
export type HandlerOf<Type, Peer> = Type extends
  StreamType<infer _HeadIn, infer Head, infer _UpIn, infer Up, infer Down, infer _DownOut, infer Result, infer _Result>
  ? StreamHandler<Head, Up, Down, Result, Peer>
  : Type extends MessageType<infer _In, infer Out, infer ReplyIn, infer _ReplyOut> ? Handler<Out, ReplyIn, Peer>
  : never;

/**
 * The handlers of a contract, one for each member. `Peer` is a `ConnectedClient` on a server, and the `Client` itself on
 * a client.
 *
 * @category Contracts
 */
export type Handlers<Types extends Contract, Peer> = {
  readonly [Name in keyof Types]: HandlerOf<Types[Name], Peer>;
};

/**
 * Some handlers of a contract: what the compiler takes the arguments of handlers from, before it knows which handlers there
 * are.
 *
 * @category Contracts
 */
export type SomeHandlers<Types extends Contract, Peer> =
  & { readonly [Name in keyof Types]?: HandlerOf<Types[Name], Peer> }
  // No handlers have such a member. So it tells this type from theirs.
  & { readonly [Symbol.unscopables]?: never };

/**
 * What `implement` requires of handlers besides being some: each member has one, and there are no others. Otherwise it is
 * a text with the names that are missing or too many, which the compiler's error shows.
 *
 * @category Contracts
 */
export type FittingHandlers<Types extends Contract, Given, Peer> = typeof Symbol.unscopables extends keyof Given ? Given
  : [Given] extends [{ readonly [Name in keyof Types]: unknown }]
    ? [keyof Given] extends [keyof Types] ? Handlers<Types, Peer>
    : Given & { readonly [Name in Exclude<keyof Given, keyof Types>]: `${Name & string} is no member of the contract` }
  : {
    readonly [Name in keyof Types]: Given extends { readonly [_ in Name]: unknown } ? never
      : `${Name & string} has no handler`;
  }[keyof Types];

/**
 * Options of {@linkcode implement}; all optional.
 *
 * @category Contracts
 */
export interface ImplementOptions<Types extends Contract> {
  /** The options of single routes, by the names of their members. Streams have none. @default those of `route` */
  readonly routes?: {
    readonly [Name in keyof Types]?: Types[Name] extends { readonly head: unknown } ? undefined : RouteOptions;
  };
}

const IMPLEMENT_OPTIONS = {
  routes: optional(unchecked<object>(), {}),
} satisfies OptionTable<ImplementOptions<Contract>>;

/**
 * The routes that {@linkcode implement} has added.
 *
 * @category Contracts
 */
export interface Implementation extends Disposable {
  /** Removes these routes, as far as they are still there, and no others. */
  remove(): void;
}

/**
 * Handles all members of a contract: does what `route` does for each type of message, and what `stream` does for each
 * type of stream. A member without a handler does not compile. If one route cannot be added, none is.
 *
 * To implement only some members, pass only these: a contract is an object of types.
 *
 * @param target The Server, or the Client if its server is to call the functions.
 * @param contract The types of messages and streams by name, as `messageTypes` returns them.
 * @param handlers A handler for each member, by the same names. Each is called as a method of this object.
 * @param options Options of single routes.
 * @returns The routes, which can be removed together.
 * @throws {MessageTypeError} `code-taken`: the code of a member already has a route.
 * @throws {TypeError} A member has no handler, a handler has no member, the target or the contract is none, or an option is
 * unknown or of the wrong type.
 * @throws {RangeError} The `timeout` of a route is not a whole number from 1 to 2147483647.
 *
 * @example A contract as an interface
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { caller, Client, implement, json, messageTypes, Server, text } from "@veltix/core";
 *
 * const contract = messageTypes({
 *   add: [json<{ a: number; b: number }>(), json<number>()],
 *   note: text,
 *   count: { stream: { head: json<number>(), up: false, down: json<number>() } },
 * });
 *
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * const notes: string[] = [];
 * implement(server, contract, {
 *   add: ({ data }) => data.a + data.b,
 *   note: ({ data }) => void notes.push(data),
 *   count: async function* ({ head }) {
 *     for (let i = 1; i <= head; i++) yield i;
 *   },
 * }, { routes: { add: { timeout: 1_000 } } });
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * const api = caller(client, contract);
 * api.note("hello");
 * assertEquals(await api.add({ a: 1, b: 2 }), 3);
 * const counted: number[] = [];
 * for await (const number of api.count(3)) counted.push(number);
 * assertEquals([notes, counted], [["hello"], [1, 2, 3]]);
 * ```
 *
 * @example A server that calls its clients, and routes that are removed
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { caller, Client, empty, implement, messageTypes, Server, text } from "@veltix/core";
 *
 * const contract = messageTypes({ hello: [text, text], name: [empty, text] });
 * const { hello, name } = contract;
 *
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * implement(server, { hello }, {
 *   hello: async ({ data }, client) => `${data}, ${await caller(client, { name }).name()}!`,
 * });
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * const own = implement(client, { name }, { name: () => "Ada" });
 * await client.connect();
 * assertEquals(await caller(client, contract).hello("Hello"), "Hello, Ada!");
 * own.remove();
 * ```
 *
 * @category Contracts
 */
export function implement<Peer, Types extends Contract, Given extends SomeHandlers<Types, Peer>>(
  target: RouteTarget<Peer>,
  contract: Types,
  handlers: FittingHandlers<Types, Given, Peer>,
  options: ImplementOptions<NoInfer<Types>> = {},
): Implementation {
  if (typeof target?.addRoutes !== "function") {
    throw new TypeError(`${CANNOT}: the first argument must be a Server or a Client, not ${show(target)}`);
  }
  checkContract(CANNOT, contract);
  const given = handlersOf(contract, handlers);
  const { routes } = readOptions("implement()'s options", options, IMPLEMENT_OPTIONS);
  const routeOptions = routesOf(contract, routes);
  const routeOf = ([name, type]: [string, Contract[string]]): NewRoute<Peer> => {
    return { type, handler: given[name] as NewRoute<Peer>["handler"], options: routeOptions[name] };
  };
  const added = target.addRoutes(Object.entries(contract).map(routeOf));
  return Object.freeze({ remove: added, [Symbol.dispose]: added });
}

const CANNOT = "Cannot implement the contract";

type AnyHandler = (received: never, peer: never) => unknown;

/** Returns the handler of each member. Each keeps the object that has it as `this`. */
function handlersOf(contract: Contract, handlers: unknown): Record<string, AnyHandler> {
  if (typeof handlers !== "object" || handlers === null) {
    throw new TypeError(`${CANNOT}: its handlers must be an object, not ${show(handlers)}`);
  }
  checkNames("handlers", contract, handlers);
  const given = handlers as Readonly<Record<string, AnyHandler | undefined>>;
  // An object inherits functions, which handle nothing.
  const none = Object.prototype as unknown as typeof given;
  const missing = Object.keys(contract).filter((name) => given[name] === undefined || given[name] === none[name]);
  if (missing.length > 0) {
    const names = missing.map((name) => `"${name}"`).join(", ");
    throw new TypeError(`${CANNOT}: no handler for ${names}. To implement a part of it, pass a contract of that part`);
  }
  return Object.fromEntries(
    Object.keys(contract).map((name) => {
      const handler = checkFunction(`${CANNOT}: the handler of "${name}"`, given[name]!);
      return [name, handler.bind(handlers) as AnyHandler];
    }),
  );
}

/** Checks the names of the options of routes and returns the options. */
function routesOf(contract: Contract, routes: object): Readonly<Record<string, RouteOptions | undefined>> {
  if (typeof routes !== "object" || routes === null) {
    throw new TypeError(`${CANNOT}: routes must be an object, not ${show(routes)}`);
  }
  checkNames("options of routes", contract, routes);
  return Object.fromEntries(Object.entries(routes));
}

/** Checks that each own member of an object has the name of a member of the contract. */
function checkNames(what: string, contract: Contract, named: object): void {
  const strange = Object.keys(named).find((name) => !Object.hasOwn(contract, name));
  if (strange === undefined) return;
  const names = Object.keys(contract).join(", ");
  throw new TypeError(`${CANNOT}: there are ${what} for "${strange}", and its members are ${names}`);
}
