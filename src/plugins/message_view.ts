/**
 * Messages as plugins see them: closures over the real one, so that nothing leads back to it.
 *
 * @module
 */

import { checkData } from "../base/codec_results.ts";
import type { IncomingMessage } from "../app/incoming_message.ts";
import type { AcceptedEnds } from "../app/streams/incoming_stream.ts";
import type { AnyType } from "../app/middleware.ts";
import type { Codec } from "../message/codecs.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { bytesOf, copyOf, failureOf, plain, recoded } from "./copies.ts";
import type { PluginMessage, PluginOutcome } from "./plugin_host.ts";

/** A message or a stream in the chain of a route. */
export type Received = IncomingMessage | AcceptedEnds;

/** A message with what a plugin sees of it, and the way back of what a plugin returns. */
export class ShownMessage {
  /** What the route gets. */
  readonly received: Received;
  /** The type that the plugin was attached to, or that of the message. */
  readonly type: AnyType;
  /** True if the plugin gets the values themselves. */
  readonly #live: boolean;
  #bytes: Uint8Array | undefined = undefined;
  #data: { readonly value: unknown } | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #unwatch: (() => void) | undefined = undefined;

  constructor(received: Received, type: AnyType | undefined, live: boolean) {
    this.received = received;
    this.type = type ?? received.type;
    this.#live = live;
  }

  /** Returns what the plugin gets. */
  view(): PluginMessage {
    const received = this.received;
    // deno-lint-ignore no-this-alias
    const shown = this;
    return plain({
      kind: received.kind,
      type: this.type,
      get data(): unknown {
        return shown.#readData();
      },
      get content(): Uint8Array | undefined {
        return shown.#readContent();
      },
      meta: received.meta,
      requestId: received.kind === "stream" ? received.id : received.requestId,
      receivedAt: received.receivedAt,
      wantsReply: received.kind === "stream" || received.wantsReply,
      get timeLeft(): number | undefined {
        return received.timeLeft;
      },
      get signal(): AbortSignal {
        return shown.#signal();
      },
    });
  }

  /** Copies the bytes now: whoever comes next may take their buffer away, as threads do. */
  keep(): void {
    if (!this.#live) this.#readContent();
  }

  /** Called when the hook is over. Its signal is not aborted any more: that of a message may be the one of its connection. */
  done(): void {
    this.#unwatch?.();
  }

  /** Returns the change for the handler that a plugin has returned data for. */
  change(data: unknown): { readonly data: unknown } {
    return { data: this.#raw === undefined ? data : bytesOf(this.#raw.payload as Codec<unknown>, data) };
  }

  /** Returns the result of the handler that a plugin has returned. */
  answer(result: unknown): unknown {
    const reply = this.#raw?.reply as Codec<unknown> | undefined;
    return reply === undefined ? result : bytesOf(reply, result);
  }

  /** Returns what a plugin gets of the result of the handler. */
  outcome(result: unknown): PluginOutcome {
    try {
      return plain({ result: this.#result(result) });
    } catch (error) {
      // It cannot be sent either.
      return plain({ error: failureOf(error) });
    }
  }

  #result(result: unknown): unknown {
    const { received } = this;
    if (received.kind === "stream") return isPieces(result) ? undefined : this.#shown(result);
    const reply = (this.type as AnyMessageType).reply as Codec<unknown> | undefined;
    if (reply === undefined || !received.wantsReply || received.answered) return undefined;
    if (this.#raw !== undefined) return result instanceof Uint8Array ? reply.decode(result.slice()) : undefined;
    return this.#live ? result : recoded(reply, result);
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

  #readContent(): Uint8Array | undefined {
    const received = this.received;
    if (received.kind === "stream") return undefined;
    return this.#live ? received.content : this.#bytes ??= received.content.slice();
  }

  #readData(): unknown {
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
    return (this.#data ??= { value: checkData(name, payload.decode(this.#readContent()!)) }).value;
  }

  /** A signal of its own: the reason of the real one may be anything. */
  #signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = this.#controller = new AbortController();
      const abort = (): void => controller.abort(new DOMException("Nobody needs the answer any more", "AbortError"));
      const { signal } = this.received;
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
      this.#unwatch = () => signal.removeEventListener("abort", abort);
    }
    return this.#controller.signal;
  }
}

function isPieces(result: unknown): boolean {
  return result instanceof ReadableStream ||
    typeof result === "object" && result !== null && Symbol.asyncIterator in result;
}
