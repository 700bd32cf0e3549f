/**
 * What the parts of the telemetry of one Server or Client share.
 *
 * @module
 */

import type { Context, Span, Tracer } from "@opentelemetry/api";
import type { Endpoint } from "../base/address.ts";
import { isThenable } from "../base/thenable.ts";
import type { Client } from "../client/client.ts";
import type { ConnectedClient } from "../server/connected_client.ts";
import type { Guard } from "./guard.ts";
import type { Instruments } from "./instruments.ts";
import type { ReadOptions, SpanAttributes, SpanName, SpanSubject } from "./options.ts";

/** The other side: on a server a client, on a client the client itself. */
export type AnyPeer = ConnectedClient<unknown> | Client;

/** What the parts share. */
export interface Setup {
  readonly role: "client" | "server";
  readonly tracer: Tracer;
  readonly spans: ReadonlySet<SpanName>;
  /** `undefined` without metrics. */
  readonly instruments: Instruments | undefined;
  readonly options: ReadOptions;
  readonly guard: Guard;
  /** The contexts of the messages and streams that handlers have. */
  readonly contexts: WeakMap<object, Context>;
  /** Returns the address of the other side. */
  addressOf(peer: AnyPeer): Endpoint;
  /** Returns the address of this side, as far as it is known; `undefined` on a client, and with several listeners. */
  ownAddress(): Endpoint | undefined;
}

/** Adds the attributes that the program gives. Never throws. */
export function describe(
  { guard, options: { attributes } }: Setup,
  span: Span,
  subject: () => SpanSubject,
): void {
  if (attributes === undefined) return;
  guard.run(() => {
    if (!span.isRecording()) return;
    const given: SpanAttributes | undefined = attributes(subject());
    if (given === undefined || given === null) return;
    if (isThenable(given)) {
      guard.ignore(given);
      throw new TypeError("attributes must return the attributes at once, so none are added: it returned a promise");
    }
    span.setAttributes(given);
  });
}
