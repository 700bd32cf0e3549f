/**
 * Ends spans, whatever fails on the way to their end.
 *
 * @module
 */

import type { Span } from "@opentelemetry/api";
import type { Guard } from "./guard.ts";

/** Ends a span. If it is recorded, `change` is called before; the span ends even if that throws. */
export function endSpan(guard: Guard, span: Span, change: (span: Span) => void): void {
  guard.run(() => {
    if (span.isRecording()) change(span);
  });
  guard.run(() => span.end());
}
