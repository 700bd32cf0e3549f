/**
 * Messages as plugins see them: views of the real one that nothing leads back from.
 *
 * @module
 */

import { checkData } from "../base/codec_results.ts";
import type { IncomingMessage } from "../app/incoming_message.ts";
import type { AcceptedEnds } from "../app/streams/incoming_stream.ts";
import type { AnyType } from "../app/middleware.ts";
import type { Metadata } from "../wire/metadata.ts";
import type { Codec } from "../message/codecs.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { bytesOf, copyOf, failureOf, recoded } from "./copies.ts";
import type { PluginMessage, PluginOutcome } from "./plugin_host.ts";
import type { TypeViews } from "./type_view.ts";

/** A message or a stream in the chain of a route. */
export type Received = IncomingMessage | AcceptedEnds;

/** What a plugin gets of a message. All that it has are getters, so that making one costs little. */
class MessageView implements PluginMessage {
  readonly #shown: ShownMessage;

  static {
    // All plugins get the same prototype: none may change what others see, or make views of its own.
    Reflect.deleteProperty(this.prototype, "constructor");
    Object.setPrototypeOf(this.prototype, null);
    Object.freeze(this.prototype);
  }

  constructor(shown: ShownMessage) {
    this.#shown = shown;
    Object.freeze(this);
  }

  get kind(): "message" | "stream" {
    return this.#shown.received.kind;
  }

  get type(): AnyType {
    return this.#shown.shownType();
  }

  get data(): unknown {
    return this.#shown.data();
  }

  get content(): Uint8Array | undefined {
    return this.#shown.content();
  }

  get meta(): Metadata {
    return this.#shown.received.meta;
  }

  get requestId(): number | string {
    const { received } = this.#shown;
    return received.kind === "stream" ? received.id : received.requestId;
  }

  get receivedAt(): number {
    return this.#shown.received.receivedAt;
  }

  get wantsReply(): boolean {
    const { received } = this.#shown;
    return received.kind === "stream" || received.wantsReply;
  }

  get timeLeft(): number | undefined {
    return this.#shown.received.timeLeft;
  }

  get signal(): AbortSignal {
    return this.#shown.signal();
  }
}

/** A message with what a plugin sees of it, and the way back of what a plugin returns. */
export class ShownMessage {
  /** What the plugin gets. */
  readonly view: PluginMessage;
  /** What the route gets. */
  readonly received: Received;
  /** The type that the plugin was attached to, or that of the message. */
  readonly type: AnyType;
  readonly #types: TypeViews;
  /** True if the plugin gets the values themselves. */
  readonly #live: boolean;
  #bytes: Uint8Array | undefined = undefined;
  #data: { readonly value: unknown } | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #unwatch: (() => void) | undefined = undefined;
  /** True once the hook is over. */
  #over = false;

  /** @param types What the plugin sees of types. */
  constructor(received: Received, type: AnyType | undefined, live: boolean, types: TypeViews) {
    this.received = received;
    this.#types = types;
    this.type = type ?? received.type;
    this.#live = live;
    this.view = new MessageView(this);
  }

  /** Copies the bytes now: whoever comes next may take their buffer away, as threads do. */
  keep(): void {
    if (!this.#live) this.content();
  }

  /** Called when the hook is over. Its signal is not aborted any more: that of a message may be the one of its connection. */
  done(): void {
    this.#over = true;
    this.#unwatch?.();
  }

  /** Calls a function that gets the view. Returns and throws what it does; `done` is called when it is over. */
  during(call: () => unknown): unknown {
    let result: unknown;
    try {
      result = call();
    } catch (error) {
      this.done();
      throw error;
    }
    if (result instanceof Promise) return result.finally(() => this.done());
    this.done();
    return result;
  }

  /** Returns the change for the handler that a plugin has returned data for. */
  change(data: unknown): { readonly data: unknown } {
    return {
      data: this.#raw === undefined ? data : bytesOf(this.type.name, this.#raw.payload as Codec<unknown>, data),
    };
  }

  /** Returns the result of the handler that a plugin has returned. */
  answer(result: unknown): unknown {
    const { received } = this;
    const reply = this.#raw?.reply as Codec<unknown> | undefined;
    if (reply === undefined) return result;
    const bytes = bytesOf(this.type.name, reply, result);
    if (received.kind === "stream" || received.route !== undefined) return bytes;
    // What is returned for a message without a route is no answer.
    return received.wantsReply && !received.answered ? received.reply(bytes) : undefined;
  }

  /** Returns what a plugin gets of the result of the handler. */
  outcome(result: unknown): PluginOutcome {
    try {
      return Object.freeze({ result: this.#result(result) });
    } catch (error) {
      // It cannot be sent either.
      return Object.freeze({ error: failureOf(error) });
    }
  }

  #result(result: unknown): unknown {
    const { received } = this;
    if (received.kind === "stream") return isPieces(result) ? undefined : this.#shown(result);
    const reply = (this.type as AnyMessageType).reply as Codec<unknown> | undefined;
    if (reply === undefined || !received.wantsReply || received.answered) return undefined;
    if (this.#raw !== undefined) return result instanceof Uint8Array ? reply.decode(new Uint8Array(result)) : undefined;
    return this.#live ? result : recoded(this.type.name, reply, result);
  }

  #shown(value: unknown): unknown {
    return this.#live ? value : copyOf(`what "${this.type.name}" returned`, value);
  }

  /** The type of a message whose handler gets and returns bytes: it has no route, or threads decode it. */
  get #raw(): AnyMessageType | undefined {
    const received = this.received;
    const raw = received.kind === "message" && (received.route === undefined || received.route.raw);
    return raw ? this.type as AnyMessageType : undefined;
  }

  /** Returns its type as the plugin sees it. */
  shownType(): AnyType {
    return this.#types.of(this.type);
  }

  /** Returns its bytes: a copy, unless the plugin may change them. */
  content(): Uint8Array | undefined {
    const received = this.received;
    if (received.kind === "stream") return undefined;
    return this.#live ? received.content : this.#bytes ??= new Uint8Array(received.content);
  }

  /** Returns its data: a copy, unless the plugin may change them. */
  data(): unknown {
    const received = this.received;
    const { name } = this.type;
    if (received.kind === "stream") {
      if (this.#live) return received.head;
      return (this.#data ??= { value: copyOf(`the head of "${name}"`, received.head) }).value;
    }
    if (this.#live && this.#raw === undefined) return received.data;
    if (received.changed) {
      return (this.#data ??= { value: copyOf(`the data of "${name}"`, received.data) }).value;
    }
    const { payload } = this.type as AnyMessageType;
    return (this.#data ??= { value: checkData(name, payload.decode(this.content()!)) }).value;
  }

  /** Returns a signal of its own: the reason of the real one may be anything. */
  signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = this.#controller = new AbortController();
      const abort = (): void => controller.abort(new DOMException("Nobody needs the answer any more", "AbortError"));
      const { signal } = this.received;
      if (signal.aborted) abort();
      else if (!this.#over) {
        signal.addEventListener("abort", abort, { once: true });
        this.#unwatch = () => signal.removeEventListener("abort", abort);
      }
    }
    return this.#controller.signal;
  }
}

function isPieces(result: unknown): boolean {
  return result instanceof ReadableStream ||
    typeof result === "object" && result !== null && Symbol.asyncIterator in result;
}
