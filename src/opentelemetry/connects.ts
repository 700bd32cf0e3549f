/**
 * Spans of the attempts of a client to connect, each with its handshake.
 *
 * @module
 */

import { type Attributes, context, ROOT_CONTEXT, type Span, SpanKind } from "@opentelemetry/api";
import type { Client } from "../client/client.ts";
import { NO_METADATA } from "../wire/metadata.ts";
import { addPeer, addServer } from "./addresses.ts";
import { failure } from "./handled.ts";
import { ATTRIBUTE, SYSTEM } from "./names.ts";
import { errorMessage, errorType } from "./outcome.ts";
import { describe, type Setup } from "./setup.ts";

/** Follows the attempts of a client. Returns a function that ends the span of the attempt that is under way. */
export function traceConnects(client: Client, setup: Setup, signal: AbortSignal): () => void {
  const { guard, tracer } = setup;
  let span: Span | undefined;
  const end = (change: (span: Span) => void): void => {
    const ending = span;
    span = undefined;
    if (ending === undefined) return;
    guard.run(() => change(ending));
    guard.run(() => ending.end());
  };
  client.on("connecting", ({ attempt }) => {
    end(() => {});
    guard.run(() => {
      const attributes: Attributes = { [ATTRIBUTE.protocolName]: SYSTEM, [ATTRIBUTE.attempt]: attempt };
      addServer(attributes, client.server);
      addPeer(attributes, client.server);
      // The first attempt belongs to who has called connect(). Nobody waits for the others.
      const parent = attempt === 0 ? context.active() : ROOT_CONTEXT;
      span = tracer.startSpan("connect", { kind: SpanKind.CLIENT, attributes }, parent);
      describe(setup, span, () => ({
        name: "connect",
        direction: "outgoing",
        type: undefined,
        peer: client,
        payload: undefined,
        meta: NO_METADATA,
      }));
    });
  }, { signal });
  client.on("connect", ({ protocol }) => {
    end((span) => {
      const attributes: Attributes = { [ATTRIBUTE.protocol]: protocol };
      // Another one than the first that was tried, maybe.
      addServer(attributes, client.server);
      addPeer(attributes, client.server);
      span.setAttributes(attributes);
    });
  }, { signal });
  client.on("failed", ({ error, reason }) => {
    end((span) => {
      span.setAttribute(ATTRIBUTE.closeReason, reason);
      // An attempt that the program has given up is no failure.
      if (reason !== "manual") {
        span.setAttribute(ATTRIBUTE.errorType, errorType(error)).setStatus(failure(errorMessage(error)));
      }
    });
  }, { signal });
  return () => end(() => {});
}
