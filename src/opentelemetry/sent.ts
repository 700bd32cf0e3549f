/**
 * Spans and durations of what is sent: messages, requests, broadcasts and streams. A middleware that is around all of it
 * sends the context of the span with it.
 *
 * @module
 */

import { type Attributes, type Context, context, type Span, SpanKind, trace } from "@opentelemetry/api";
import { type OutgoingCall, type OutgoingChanges, type OutgoingNext, wrongResult } from "../app/outgoing_middleware.ts";
import { realTime } from "../base/real_time.ts";
import { isThenable } from "../base/thenable.ts";
import { NO_METADATA } from "../wire/metadata.ts";
import { addPeer, addServer } from "./addresses.ts";
import { endSpan } from "./end_span.ts";
import { failure } from "./handled.ts";
import { ATTRIBUTE, SYSTEM } from "./names.ts";
import type { SpanName } from "./options.ts";
import { errorMessage, errorType, metricErrorType } from "./outcome.ts";
import { carrierOf, contextIn, linksTo, ownContext } from "./propagation.ts";
import { type AnyPeer, describe, type Setup } from "./setup.ts";

/** The names of spans by the method that sends. */
const NAMES: Readonly<Record<OutgoingCall<unknown>["kind"], SpanName>> = {
  send: "message",
  request: "request",
  broadcast: "broadcast",
  open: "stream",
};

/** Returns the middleware. */
export function sentMiddleware(setup: Setup): (call: OutgoingCall<AnyPeer>, next: OutgoingNext) => unknown {
  return (call, next) => {
    const sent = setup.guard.run(() => SentCall.begin(setup, call));
    if (sent === undefined) return next();
    let result: unknown;
    try {
      result = context.with(sent.context, next, undefined, sent.changes);
    } catch (error) {
      sent.failed(error);
      throw error;
    }
    return sent.made(result);
  };
}

/** One call that sends something. */
class SentCall {
  /** The context of the call. */
  readonly context: Context;
  /** What is sent in addition. */
  readonly changes: OutgoingChanges | undefined;
  readonly #setup: Setup;
  readonly #call: OutgoingCall<AnyPeer>;
  readonly #span: Span | undefined;
  readonly #startedAt: number;
  #over = false;

  constructor(
    setup: Setup,
    call: OutgoingCall<AnyPeer>,
    within: Context,
    changes: OutgoingChanges | undefined,
    span: Span | undefined,
  ) {
    this.context = within;
    this.changes = changes;
    this.#setup = setup;
    this.#call = call;
    this.#span = span;
    this.#startedAt = realTime.now();
  }

  /** Begins the span of a call. */
  static begin(setup: Setup, call: OutgoingCall<AnyPeer>): SentCall {
    const { contexts, options: { propagate }, spans } = setup;
    const name = NAMES[call.kind];
    let parent = context.active();
    const scope = call.options.within;
    if (typeof scope === "object" && scope !== null && trace.getSpan(parent) === undefined) {
      parent = contexts.get(scope) ?? parent;
    }
    const own = ownContext(call);
    let within = parent;
    let span: Span | undefined;
    if (spans.has(name)) {
      span = startSpan(setup, call, parent, own === undefined ? [] : linksTo(contextIn(own)));
      describe(setup, span, () => {
        const { options: { meta = NO_METADATA }, payload, peer, type } = call;
        return { name, direction: "outgoing", type, peer, payload, meta };
      });
      within = trace.setSpan(parent, span);
    }
    // The span has begun and must end, so nothing may throw from here on.
    const changes = propagate && own === undefined ? setup.guard.run(() => changesFor(within, call)) : undefined;
    return new SentCall(setup, call, within, changes, span);
  }

  /** Called with what a call has returned. Returns what takes its place. Never throws. */
  made(result: unknown): unknown {
    const { kind } = this.#call;
    try {
      if (kind !== "request") {
        const wrong = wrongResult(this.#call, result);
        // The library refuses it, too.
        if (wrong !== undefined) return (this.failed(wrong), result);
      }
      if (kind === "send") this.#sent(1, 0);
      else if (kind === "broadcast") {
        const { sent = 0, dropped = 0 } = result as { readonly sent?: number; readonly dropped?: number };
        this.#sent(sent, dropped);
      } else {
        const answer = kind === "open" ? (result as { readonly result?: unknown }).result : result;
        if (isThenable(answer)) {
          const settled = Promise.resolve(answer);
          settled.then((value) => this.#answered(value), (error) => this.failed(error));
          return kind === "open" ? result : settled;
        }
        this.#answered(answer);
      }
    } catch (error) {
      // A member of what a middleware returned cannot be read, so its caller cannot read it either.
      this.failed(error);
    }
    return result;
  }

  /** Called when a call has failed. */
  failed(error: unknown): void {
    const { kind, type } = this.#call;
    const asks = kind === "request" || kind === "open";
    this.#end((span) => {
      const code = errorType(error);
      if (asks) span.setAttribute(ATTRIBUTE.rpcStatus, code);
      span.setAttribute(ATTRIBUTE.errorType, code).setStatus(failure(errorMessage(error)));
    }, () => {
      const known = metricErrorType(error, type);
      if (asks) this.#record(known, known);
      else this.#setup.instruments?.sent(1, type.name, known);
    });
  }

  /** Called with the answer to a request, or with the result of a stream. */
  #answered(value: unknown): void {
    let wrong: unknown;
    try {
      wrong = this.#call.kind === "request" ? wrongResult(this.#call, value) : undefined;
    } catch (error) {
      wrong = error;
    }
    if (wrong !== undefined) return this.failed(wrong);
    this.#end((span) => span.setAttribute(ATTRIBUTE.rpcStatus, "ok"), () => this.#record("ok", undefined));
  }

  #sent(count: number, dropped: number): void {
    const { kind, type } = this.#call;
    this.#end((span) => {
      if (kind === "broadcast") span.setAttributes({ [ATTRIBUTE.batchCount]: count, [ATTRIBUTE.dropped]: dropped });
    }, () => {
      if (count > 0) this.#setup.instruments?.sent(count, type.name, undefined);
    });
  }

  /** Ends the span, whatever fails before, and measures. */
  #end(change: (span: Span) => void, measure: () => void): void {
    if (this.#over) return;
    this.#over = true;
    const { guard } = this.#setup;
    guard.run(measure);
    if (this.#span !== undefined) endSpan(guard, this.#span, change);
  }

  #record(status: string, error: string | undefined): void {
    const { addressOf, instruments, role } = this.#setup;
    if (instruments === undefined) return;
    const { peer, type: { name } } = this.#call;
    // The addresses of a server's clients are too many for a metric.
    const to = role === "client" && peer !== undefined ? addressOf(peer) : undefined;
    instruments.asked((realTime.now() - this.#startedAt) / 1_000, name, status, error, to, this.context);
  }
}

/** Returns what a call carries in addition: a context, if it has one and its peer takes metadata. */
function changesFor(within: Context, call: OutgoingCall<AnyPeer>): OutgoingChanges | undefined {
  const carried = carrierOf(within, call);
  // Asked last: of a broadcast, it looks at every client.
  return carried !== undefined && call.takesMetadata ? { meta: carried } : undefined;
}

function startSpan(
  { addressOf, tracer }: Setup,
  { kind, peer, type: { name } }: OutgoingCall<AnyPeer>,
  parent: Context,
  links: ReturnType<typeof linksTo>,
): Span {
  const asks = kind === "request" || kind === "open";
  const attributes: Attributes = asks ? { [ATTRIBUTE.rpcSystem]: SYSTEM, [ATTRIBUTE.rpcMethod]: name } : {
    [ATTRIBUTE.messagingSystem]: SYSTEM,
    [ATTRIBUTE.operationName]: kind,
    [ATTRIBUTE.operationType]: "send",
    [ATTRIBUTE.destination]: name,
  };
  if (peer !== undefined) {
    const address = addressOf(peer);
    addServer(attributes, address);
    addPeer(attributes, address);
  }
  if (asks) return tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes, links }, parent);
  return tracer.startSpan(`${kind} ${name}`, { kind: SpanKind.PRODUCER, attributes, links }, parent);
}
