/**
 * Prints the spans of a trace as a tree.
 *
 * @module
 */

import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";

/** Returns a line for each span, below its parent: how long it took, its service, its kind and its name. */
export function treeOf(spans: readonly ReadableSpan[]): string[] {
  const ids = new Set(spans.map((span) => span.spanContext().spanId));
  const roots = spans.filter(({ parentSpanContext }) => !ids.has(parentSpanContext?.spanId ?? ""));
  return linesOf(spans, roots, "");
}

function linesOf(all: readonly ReadableSpan[], some: readonly ReadableSpan[], indent: string): string[] {
  return some.toSorted((a, b) => timeOf(a.startTime) - timeOf(b.startTime)).flatMap((span) => [
    `${milliseconds(span).padStart(8)}  ${indent}${lineOf(span)}`,
    ...linesOf(all, all.filter((one) => one.parentSpanContext?.spanId === span.spanContext().spanId), `${indent}  `),
  ]);
}

function lineOf({ attributes, kind, name, resource, status }: ReadableSpan): string {
  const failed = status.code === SpanStatusCode.ERROR ? ` FAILED: ${attributes["error.type"]}` : "";
  return `${resource.attributes["service.name"]}: ${SpanKind[kind].toLowerCase()} "${name}"${failed}`;
}

function milliseconds({ duration }: ReadableSpan): string {
  return `${(timeOf(duration) / 1_000_000).toFixed(1)} ms`;
}

function timeOf([seconds, nanoseconds]: readonly [number, number]): number {
  return seconds * 1e9 + nanoseconds;
}
