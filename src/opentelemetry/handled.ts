/**
 * Spans and durations of handlers. A middleware that is around all of them calls each in the context of its span.
 *
 * @module
 */

import {
  type Attributes,
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { IncomingMessage } from "../app/incoming_message.ts";
import type { Incoming, Next } from "../app/middleware.ts";
import type { AcceptedEnds } from "../app/streams/incoming_stream.ts";
import { realTime } from "../base/real_time.ts";
import { isThenable } from "../base/thenable.ts";
import { declares } from "../message/declared_errors.ts";
import { addClient, addPeer, addServer } from "./addresses.ts";
import { endSpan } from "./end_span.ts";
import { type Guard, shown } from "./guard.ts";
import { ATTRIBUTE, OTHER, SYSTEM } from "./names.ts";
import { answerCode, errorMessage, errorType, metricCode } from "./outcome.ts";
import { contextIn, linksTo } from "./propagation.ts";
import { type AnyPeer, describe, type Setup } from "./setup.ts";
import { trackItems } from "./track_items.ts";

/** The outcome of a handler that has answered. */
const OK = "ok";

/** The outcome of a handler whose answer nobody waits for any more. */
const CANCELLED = "cancelled";

/** Returns the middleware. */
export function handledMiddleware(setup: Setup): (received: Incoming, peer: AnyPeer, next: Next) => unknown {
  return (received, peer, next) => {
    const call = setup.guard.run(() => HandledCall.begin(setup, received, peer));
    if (call === undefined) return next();
    try {
      const result = context.with(call.context, next);
      return isThenable(result) ? call.later(result as Promise<unknown>) : call.handled(result);
    } catch (error) {
      call.failed(error);
      throw error;
    }
  };
}

/** One call of a handler. */
class HandledCall {
  /** The context of the handler. */
  readonly context: Context;
  readonly #setup: Setup;
  readonly #received: Incoming;
  readonly #span: Span | undefined;
  /** True for a message, to which nobody waits for an answer. */
  readonly #oneWay: boolean;
  /** The name of the type, or {@linkcode OTHER} if no route has its code. */
  readonly #name: string;
  readonly #startedAt: number;
  #over = false;

  constructor(
    setup: Setup,
    received: Incoming,
    name: string,
    oneWay: boolean,
    within: Context,
    span: Span | undefined,
  ) {
    this.context = within;
    this.#setup = setup;
    this.#received = received;
    this.#name = name;
    this.#oneWay = oneWay;
    this.#span = span;
    this.#startedAt = realTime.now();
  }

  /** Begins the span of a handler that is about to be called. */
  static begin(setup: Setup, received: Incoming, peer: AnyPeer): HandledCall {
    const { contexts, guard, instruments, options, spans } = setup;
    const oneWay = received.kind === "message" && !received.wantsReply;
    const unknown = received.kind === "message" && (received as IncomingMessage).route === undefined;
    const name = unknown ? OTHER : received.type.name;
    const remote = guard.run(() => contextIn(received.meta));
    // Not the active context: it may be the one in which the connection was made.
    const trusted = remote !== undefined && guard.run(() => isTrusted(options.trust(peer), guard)) === true;
    const parent = trusted ? remote : ROOT_CONTEXT;
    const what = received.kind === "stream" ? "stream" : oneWay ? "message" : "request";
    if (received.kind === "message") instruments?.consumed(name);
    if (!spans.has(what)) return new HandledCall(setup, received, name, oneWay, parent, undefined);
    const links = trusted ? [] : linksTo(remote);
    const span = startSpan(setup, received, peer, name, oneWay, links, parent);
    describe(setup, span, () => ({
      name: what,
      direction: "incoming",
      type: received.type,
      peer,
      payload: received.kind === "stream" ? received.head : received.data,
      meta: received.meta,
    }));
    const within = trace.setSpan(parent, span);
    contexts.set(received, within);
    return new HandledCall(setup, received, name, oneWay, within, span);
  }

  /** Returns the promise of a handler, or one that takes its place. `next()` makes a promise of whatever can be awaited. */
  later(result: Promise<unknown>): Promise<unknown> {
    if (this.#received.kind === "stream") {
      return result.then((value) => this.handled(value), (error) => {
        this.failed(error);
        throw error;
      });
    }
    result.then((value) => this.handled(value), (error) => this.failed(error));
    return result;
  }

  /** Called with what a handler has returned. Returns what takes its place. */
  handled(value: unknown): unknown {
    if (this.#received.kind === "stream") {
      try {
        const tracked = this.#tracked(value, this.#received as AcceptedEnds);
        if (tracked !== undefined) return tracked;
      } catch (error) {
        // A member of the value cannot be read, so the library will fail with it, too.
        this.failed(error);
        return value;
      }
    }
    this.ended(value);
    return value;
  }

  /** Returns what takes the place of the items that the handler of a stream has returned; `undefined` if it has none. */
  #tracked(value: unknown, ends: AcceptedEnds): unknown {
    if (value instanceof ReadableStream && ends.writes && ends.writable.locked) {
      // The library can neither pipe it nor cancel it, so its end would never come.
      this.failed(new TypeError(`Cannot send "${ends.type.name}": its handler has locked writable`));
      return value;
    }
    return trackItems(value, this.context, {
      ended: (items) => {
        this.#counted(items);
        this.ended();
      },
      failed: (error, items) => {
        this.#counted(items);
        this.failed(error);
      },
    });
  }

  #counted(items: number): void {
    this.#setup.guard.run(() => this.#span?.setAttribute(ATTRIBUTE.streamItems, items));
  }

  /** Called when a handler has ended well. */
  ended(value?: unknown): void {
    const { aborted, answered, route, wantsReply } = this.#received as IncomingMessage;
    if (aborted !== undefined) return this.#abandoned(aborted.reason);
    // The library refuses a request to which no listener has answered.
    const refused = this.#received.kind === "message" && route === undefined && wantsReply && !answered &&
      value === undefined;
    if (refused) this.#end("no-route", "no-route", `No route for "${this.#received.type.name}"`);
    else this.#end(OK, undefined);
  }

  /** Called when a handler has failed. */
  failed(error: unknown): void {
    const received = this.#received;
    if (declares(received.type, error)) return this.#end(answerCode(error), undefined);
    const stopped = this.#setup.guard.run(() => (received as IncomingMessage | AcceptedEnds).stopped(error));
    if (stopped === true) return this.#abandoned((received as IncomingMessage).aborted?.reason);
    this.#end(answerCode(error), errorType(error), errorMessage(error), error);
  }

  /** Called when a handler has ended after the peer has got another answer, or has given up. */
  #abandoned(reason: unknown): void {
    const code = errorType(reason);
    // The peer that gives up is no fault of this side; a handler that takes too long is.
    if (code !== "timeout" && code !== "deadline-exceeded") return this.#end(CANCELLED, undefined);
    this.#end(code, code, errorMessage(reason));
  }

  #end(status: string, error: string | undefined, message?: string, exception?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const { guard, instruments } = this.#setup;
    guard.run(() => {
      const seconds = (realTime.now() - this.#startedAt) / 1_000;
      const { type } = this.#received;
      const failed = error === undefined ? undefined : metricCode(error, exception, type);
      if (this.#oneWay) instruments?.processed(seconds, this.#name, failed, this.context);
      else instruments?.answered(seconds, this.#name, metricCode(status, exception, type), failed, this.context);
    });
    if (this.#span === undefined) return;
    endSpan(guard, this.#span, (span) => {
      if (!this.#oneWay) span.setAttribute(ATTRIBUTE.rpcStatus, status);
      if (error !== undefined) span.setAttribute(ATTRIBUTE.errorType, error).setStatus(failure(message));
      if (exception !== undefined) span.recordException(toException(exception));
    });
  }
}

/** Returns the status of a span that failed. */
export function failure(message: string | undefined): { code: SpanStatusCode; message?: string } {
  return message === undefined ? { code: SpanStatusCode.ERROR } : { code: SpanStatusCode.ERROR, message };
}

/** Returns whether the option `trust` has answered that a peer is trusted. Reports what is no answer. */
function isTrusted(answer: unknown, guard: Guard): boolean {
  if (typeof answer === "boolean") return answer;
  guard.ignore(answer);
  throw new TypeError(
    `trust must return true or false at once, so the peer is not trusted: it returned ${shown(answer)}`,
  );
}

/** Returns what can be recorded of anything that was thrown. Never throws. */
function toException(error: unknown): Error | string {
  try {
    if (error instanceof Error) return error;
  } catch {
    // Anything can be thrown, even a value that cannot be asked what it is.
  }
  return errorMessage(error) ?? errorType(error);
}

function startSpan(
  { options, ownAddress, role, addressOf, tracer }: Setup,
  received: Incoming,
  peer: AnyPeer,
  name: string,
  oneWay: boolean,
  links: Link[],
  parent: Context,
): Span {
  const attributes: Attributes = oneWay
    ? {
      [ATTRIBUTE.messagingSystem]: SYSTEM,
      [ATTRIBUTE.operationName]: "process",
      [ATTRIBUTE.operationType]: "process",
      [ATTRIBUTE.destination]: name,
    }
    : { [ATTRIBUTE.rpcSystem]: SYSTEM, [ATTRIBUTE.rpcMethod]: name };
  const address = addressOf(peer);
  const own = ownAddress();
  // The side that answers is the server of the call, which may be a Client.
  if (own !== undefined) addServer(attributes, own);
  if (role === "server") addClient(attributes, address);
  addPeer(attributes, address);
  if (name === OTHER) {
    if (oneWay) attributes[ATTRIBUTE.messageCode] = received.type.code;
    else attributes[ATTRIBUTE.rpcMethodOriginal] = received.type.name;
  }
  if (options.sizes && received.kind === "message") {
    attributes[oneWay ? ATTRIBUTE.bodySize : ATTRIBUTE.requestSize] = received.content.length;
  }
  if (oneWay) {
    return tracer.startSpan(`process ${name}`, { kind: SpanKind.CONSUMER, attributes, links }, parent);
  }
  return tracer.startSpan(name === OTHER ? SYSTEM : name, { kind: SpanKind.SERVER, attributes, links }, parent);
}
