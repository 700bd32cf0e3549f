/**
 * The types of what a plugin gets: its host, clients, messages and events. A member is there only with its permission.
 *
 * @module
 */

import type { CloseReason } from "../link/close_reason.ts";
import type { Address } from "../base/address.ts";
import type { AnyStreamType } from "../message/stream_type.ts";
import type { AnyMessageType, MessageType, RequestType } from "../message/message_type.ts";
import type { HandlerResult, RouteOptions } from "../app/routes.ts";
import type { SendOptions } from "../app/send_options.ts";
import type { RequestOptions } from "../session/requests.ts";
import type { Metadata } from "../wire/metadata.ts";
import type { Permission, PluginEventName } from "./permissions.ts";

/**
 * The members that come with a permission. Without the permission, there are none.
 *
 * @category Plugins
 */
export type Granted<P, Name, Members> = [Name] extends [P] ? Members : unknown;

/**
 * A message or the beginning of a stream, as hooks get it. It is frozen, and stays valid after the hook has ended.
 *
 * @category Plugins
 */
export interface PluginMessage {
  /** Which of the two it is. */
  readonly kind: "message" | "stream";
  /** Its type: a frozen copy, whose codecs call those of the type. One type is always the same object. */
  readonly type: AnyMessageType | AnyStreamType;
  /**
   * The decoded payload; of a stream, its head. Without `messages:modify` it is a copy that only this plugin has, made
   * when it is first read. Reading it throws what the codec throws.
   */
  readonly data: unknown;
  /** The payload as it was received; `undefined` for a stream. Without `messages:modify` it is a copy. */
  readonly content: Uint8Array | undefined;
  /** The metadata that the sender has set. */
  readonly meta: Metadata;
  /** The id that the sender gave it; 0 for a native message that is not a request. */
  readonly requestId: number | string;
  /** When it arrived, in milliseconds since 1970. */
  readonly receivedAt: number;
  /** True if the sender waits for an answer. */
  readonly wantsReply: boolean;
  /** How long the sender still waits, in milliseconds; `undefined` if it does not say. */
  readonly timeLeft: number | undefined;
  /**
   * Aborted when nobody needs the answer any more, unless the hook has ended before. Its reason is always an
   * `AbortError`.
   */
  readonly signal: AbortSignal;
}

/**
 * An error, as plugins see it: what it says, without the objects that it refers to.
 *
 * @category Plugins
 */
export interface PluginFailure {
  /** The name of its class. */
  readonly name: string;
  /** Its message. */
  readonly message: string;
  /** Its code; `undefined` if it has none. */
  readonly code: string | undefined;
}

/**
 * How a handler ended: either `result` or `error` is there.
 *
 * @category Plugins
 */
export interface PluginOutcome {
  /**
   * What the handler returned. Without `messages:modify` it is a copy made by encoding and decoding it, or `undefined`
   * if it is not sent as an answer.
   */
  readonly result?: unknown;
  /** What it threw. */
  readonly error?: PluginFailure;
}

/**
 * What is about to be sent, as hooks get it.
 *
 * @category Plugins
 */
export interface PluginCall {
  /** The method that was called. */
  readonly kind: "send" | "request" | "broadcast" | "open";
  /** The type of the message or of the stream: a frozen copy, as that of a {@linkcode PluginMessage} is. */
  readonly type: AnyMessageType | AnyStreamType;
  /** The payload before it is encoded; of a stream, its head. Without `messages:modify`, an encoded and decoded copy. */
  readonly payload: unknown;
  /** The metadata of the call. */
  readonly meta: Metadata | undefined;
}

/**
 * Who a client is, with `clients:read`. On a Client, it is the server.
 *
 * @category Plugins
 */
export interface ClientReading {
  /** The address that it connects from; `undefined` on a Client. */
  readonly address: Address | undefined;
  /** The protocol in use. */
  readonly protocol: string | undefined;
  /** What protects the connection. */
  readonly security: string | undefined;
  /** The public key that it has shown. */
  readonly publicKey: string | undefined;
  /**
   * A copy of what `authenticate` returned, made with `structuredClone`; Buffers become `Uint8Array`s. Reading it throws
   * a `TypeError` if it cannot be copied.
   */
  readonly principal: unknown;
  /** When the handshake finished, in milliseconds since 1970; `undefined` on a Client. */
  readonly connectedAt: number | undefined;
  /** True while it has a connection. */
  readonly connected: boolean;
  /** True once it has said that it goes away. */
  readonly leaving: boolean;
  /** A copy of its tags. Values are copied as `principal` is. */
  readonly tags: ReadonlyMap<string, unknown>;
  /** Returns whether it has a tag. */
  hasTag(name: string): boolean;
  /** Returns a copy of the value of a tag; `undefined` if there is none. */
  getTag(name: string): unknown;
}

/**
 * The tags of a client, with `clients:tag`.
 *
 * @category Plugins
 */
export interface ClientTagging {
  /** Gives it a tag; see `ConnectedClient.addTag`. */
  addTag(name: string, value?: unknown): boolean;
  /** Gives it a tag, or gives another value to a tag that it has; see `ConnectedClient.setTag`. */
  setTag(name: string, value?: unknown): void;
  /** Removes a tag. Returns false if there was none. */
  removeTag(name: string): boolean;
}

/**
 * The end of a client, with `clients:close`.
 *
 * @category Plugins
 */
export interface ClientClosing {
  /**
   * Closes its connection; see `ConnectedClient.close`. On a Client, closes the Client.
   *
   * @param reason Why, for the event `disconnect`.
   * @param options How long work that is under way may take, and what the client is told.
   * @returns A promise that settles when the connection is over.
   */
  close(
    reason?: CloseReason,
    options?: { readonly drain?: number; readonly code?: string; readonly message?: string },
  ): Promise<void>;
}

/**
 * Sending to a client, with `messages:send`. It counts toward the same limits as what the program sends.
 *
 * @category Plugins
 */
export interface ClientSending {
  /** Sends a message; see `ConnectedClient.send`. */
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: SendOptions,
  ): boolean;
  /** Sends a request; see `ConnectedClient.request`. */
  request<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: RequestOptions,
  ): Promise<ReplyOut>;
}

/**
 * A client, as far as a plugin with the permissions `P` sees it. The same client is always the same object.
 *
 * @category Plugins
 */
export type PluginClient<P extends Permission> =
  & {
    /** The number of the client; 0 for the server of a Client. */
    readonly id: number;
  }
  & Granted<P, "clients:read", ClientReading>
  & Granted<P, "clients:tag", ClientTagging>
  & Granted<P, "clients:close", ClientClosing>
  & Granted<P, "messages:send", ClientSending>;

/**
 * An event, the same on a Server and on a Client. It is frozen, and has only copies.
 *
 * @category Plugins
 */
export interface PluginEvent<P extends Permission> {
  /** The name of the event. */
  readonly name: PluginEventName;
  /** The client that it is about, if it is about one. */
  readonly client: PluginClient<P> | undefined;
  /** What else the event says, such as `{ reason, unhandled }` of `disconnect`; empty if it says nothing. */
  readonly info: Readonly<Record<string, unknown>>;
  /** The message that it is about; `undefined` without `messages:read`. */
  readonly message: PluginMessage | undefined;
  /** The error of the event `error`. */
  readonly error: PluginFailure | undefined;
}

/**
 * Options of {@linkcode PluginSending.broadcast}.
 *
 * @category Plugins
 */
export interface PluginBroadcastOptions<P extends Permission> extends SendOptions {
  /** The clients to send to. @default all */
  readonly to?: Iterable<PluginClient<P>>;
  /** The clients to leave out. @default none */
  readonly except?: Iterable<PluginClient<P>>;
}

/**
 * Sending to many, with `messages:send`.
 *
 * @category Plugins
 */
export interface PluginSending<P extends Permission> {
  /**
   * Sends a message to all clients, or to some; see `Server.broadcast`. On a Client it goes to the server.
   *
   * @returns How many clients it was sent to and how many were skipped.
   */
  broadcast<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: PluginBroadcastOptions<P>,
  ): { readonly sent: number; readonly dropped: number };
}

/**
 * Routes, with `routes:add`.
 *
 * @category Plugins
 */
export interface PluginRouting<P extends Permission> {
  /**
   * Adds a route for a type that has none; see `Server.route`. The route is removed with the plugin. A handler that
   * takes longer than `hookTimeout` fails.
   *
   * @returns A function that removes the route.
   */
  route<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    handler: (
      message: PluginMessage & { readonly data: Out },
      client: PluginClient<P>,
    ) => HandlerResult<ReplyIn>,
    options?: Pick<RouteOptions, "ordered">,
  ): () => void;
}

/**
 * Events, with `events:<name>`.
 *
 * @category Plugins
 */
export interface PluginListening<P extends Permission> {
  /**
   * Listens to an event. The listener only watches: an error that nobody else listens to is still logged, and an
   * unhandled message is still unhandled.
   *
   * @returns A function that stops listening.
   */
  on(name: EventsOf<P>, listener: (event: PluginEvent<P>) => unknown): () => void;
}

/**
 * The names of the events that permissions name.
 *
 * @category Plugins
 */
export type EventsOf<P> = P extends `events:${infer Name extends PluginEventName}` ? Name : never;

/**
 * What every plugin has.
 *
 * @category Plugins
 */
export interface PluginBase {
  /** The name of the plugin. */
  readonly name: string;
  /** The version of the plugin. */
  readonly version: string;
  /** Where it is registered. */
  readonly side: "server" | "client";
  /**
   * Calls a function once. The timer is removed with the plugin, and does not keep the process alive.
   *
   * @param fn The function. If it throws or rejects, the plugin has failed once.
   * @param ms How many milliseconds to wait before the call.
   * @returns A function that cancels it.
   */
  setTimeout(fn: () => unknown, ms: number): () => void;
  /**
   * Calls a function again and again. The next wait begins when the call has ended; if the function returned a promise,
   * when that has settled.
   */
  setInterval(fn: () => unknown, ms: number): () => void;
  /**
   * Calls a function when the plugin ends, whatever the reason. The function that was added last is called first.
   *
   * @throws {PluginError} `plugin-removed`: these functions are being called already.
   */
  onClose(fn: () => unknown): void;
  /** Removes the plugin, as `unregister` does. It may be called anywhere, and there is nothing to wait for. */
  remove(): void;
}

/**
 * What a plugin gets from the Server or the Client: what its permissions `P` name, and no more.
 *
 * @category Plugins
 */
export type PluginHost<P extends Permission> =
  & PluginBase
  & Granted<P, "messages:send", PluginSending<P>>
  & Granted<P, "clients:read", {
    /** Returns the clients, oldest first. On a Client the only one is the server, while there is a connection. */
    clients(): readonly PluginClient<P>[];
  }>
  & Granted<P, "routes:add", PluginRouting<P>>
  & Granted<P, "stats", {
    /** Returns the counters, as `Server.stats()` or `Client.stats()` does. */
    stats(): Readonly<Record<string, unknown>>;
  }>
  & ([EventsOf<P>] extends [never] ? unknown : PluginListening<P>);

/**
 * What a hook `before` changes.
 *
 * @category Plugins
 */
export interface BeforeChanges {
  /** Another payload for the handler, or another head of the stream; no promise. */
  readonly data?: unknown;
  /** The answer, in place of the handler, which is not called; no promise. */
  readonly result?: unknown;
}

/**
 * What a hook `after` changes.
 *
 * @category Plugins
 */
export interface AfterChanges {
  /** Another answer, and no promise. It may also take the place of an error. */
  readonly result?: unknown;
}

/**
 * What a hook `outgoing` changes.
 *
 * @category Plugins
 */
export interface PluginCallChanges {
  /** Another payload. */
  readonly payload?: unknown;
  /** Metadata in addition to that of the call. */
  readonly meta?: Metadata;
}

/**
 * What a hook returns. With `messages:modify`, it returns changes. Otherwise it may return anything, which is ignored.
 *
 * @category Plugins
 */
export type HookResult<P, Changes> = Granted<P, "messages:modify", Changes | void | PromiseLike<Changes | void>>;

/**
 * Hooks that only watch, with `messages:read`, or make changes, with `messages:modify`.
 *
 * @category Plugins
 */
export interface WatchingHooks<P extends Permission> {
  /** Called before the handler. */
  readonly before?: (message: PluginMessage, client: PluginClient<P>) => HookResult<P, BeforeChanges>;
  /** Called after the handler. */
  readonly after?: (
    message: PluginMessage,
    client: PluginClient<P>,
    outcome: PluginOutcome,
  ) => HookResult<P, AfterChanges>;
  /** Called before something is sent; the client is `undefined` for a broadcast. The hook must not be asynchronous. */
  readonly outgoing?: (
    call: PluginCall,
    client: PluginClient<P> | undefined,
  ) => Granted<P, "messages:modify", PluginCallChanges | void>;
}

/**
 * The hook that stands in place of a handler, with `messages:modify`.
 *
 * @category Plugins
 */
export interface AnsweringHooks<P extends Permission> {
  /** Called in place of the handler. Returns the answer, or a promise of it. */
  readonly instead?: (message: PluginMessage, client: PluginClient<P>) => unknown;
}

/**
 * The functions that `attach` connects to types of messages.
 *
 * @category Plugins
 */
export type PluginHooks<P extends Permission> =
  & ("messages:read" extends P ? WatchingHooks<P> : "messages:modify" extends P ? WatchingHooks<P> : unknown)
  & Granted<P, "messages:modify", AnsweringHooks<P>>;

/**
 * Where `attach` connects a plugin: the name of one of its hooks.
 *
 * @category Plugins
 */
export type AttachMode = "before" | "after" | "instead" | "outgoing";
