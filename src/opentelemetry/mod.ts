/**
 * Traces and metrics of a Server or a Client by [OpenTelemetry](https://opentelemetry.io). It needs the package
 * `@opentelemetry/api` alone; the program chooses where the data goes.
 *
 * @example Traces of a server
 * ```ts
 * import { Server } from "@veltix/core";
 * import { instrument } from "@veltix/core/opentelemetry";
 *
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * using _telemetry = instrument(server);
 * await server.start();
 * ```
 *
 * @module
 */

export { instrument, type Instrumentable, type Instrumentation, type TelemetryContext } from "./instrument.ts";
export type { InstrumentOptions, MeterSource, SpanAttributes, SpanName, SpanSubject, TracerSource } from "./options.ts";
