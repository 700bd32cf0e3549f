/**
 * Passes contexts on as metadata, and reads those that peers send, by the propagator that is registered with
 * `@opentelemetry/api`.
 *
 * @module
 */

import {
  type Context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import type { OutgoingCall } from "../app/outgoing_middleware.ts";
import { type Metadata, metadataMembers } from "../wire/metadata.ts";

/** Up to so many UTF-16 units, a context fits into the metadata of a message that has no other. */
const SMALL = 1_024;

/** The names of the W3C Trace Context, which matter more than anything else that a propagator adds. */
const TRACE_NAMES = ["traceparent", "tracestate"];

const GETTER: TextMapGetter<Metadata> = {
  keys: (meta) => Object.keys(meta),
  get: (meta, name) => Object.hasOwn(meta, name) ? meta[name] : undefined,
};

const SETTER: TextMapSetter<Record<string, string>> = {
  set(meta, name, value): void {
    if (typeof value === "string") meta[name] = value;
  },
};

/** Returns the context that metadata carries, with nothing of this process in it; `undefined` if it carries none. */
export function contextIn(meta: Metadata | undefined): Context | undefined {
  if (meta === undefined || isEmpty(meta)) return undefined;
  const remote = propagation.extract(ROOT_CONTEXT, meta, GETTER);
  return remote === ROOT_CONTEXT ? undefined : remote;
}

/** Returns a link to the span of a context; none if it has no valid span. */
export function linksTo(remote: Context | undefined): Link[] {
  const span = remote && trace.getSpanContext(remote);
  return span === undefined ? [] : [{ context: span }];
}

/** Returns the metadata of a call if the program has set a context in it itself, which is then left as it is. */
export function ownContext({ options: { meta } }: OutgoingCall<unknown>): Metadata | undefined {
  if (typeof meta !== "object" || meta === null) return undefined;
  return propagation.fields().some((name) => Object.hasOwn(meta, name)) ? meta : undefined;
}

/**
 * Returns the metadata that carries a context with a call, or `undefined` if there is nothing to carry. What does not fit
 * beside the metadata of the call is left out, so that the call never fails for it.
 */
export function carrierOf(
  context: Context,
  { kind, options: { meta }, type }: OutgoingCall<unknown>,
): Metadata | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context, carrier, SETTER);
  const names = Object.keys(carrier);
  if (names.length === 0) return undefined;
  const size = names.reduce((sum, name) => sum + name.length + carrier[name].length, 0);
  if (meta === undefined && size <= SMALL && names.length < 10) return carrier;
  const deadline = kind === "request" || kind === "open";
  const known = names.filter((name) => TRACE_NAMES.includes(name));
  for (const chosen of [names, known, known.slice(0, 1)]) {
    const part = Object.fromEntries(chosen.map((name) => [name, carrier[name]]));
    if (chosen.length > 0 && fits(type.name, { ...meta, ...part }, deadline)) return part;
  }
  return undefined;
}

/** Returns whether metadata can be sent. */
function fits(name: string, meta: Metadata, deadline: boolean): boolean {
  try {
    metadataMembers(name, meta, deadline);
    return true;
  } catch {
    // If the metadata of the program itself cannot be sent, the call says so.
    return false;
  }
}

function isEmpty(meta: Metadata): boolean {
  for (const _name in meta) return false;
  return true;
}
