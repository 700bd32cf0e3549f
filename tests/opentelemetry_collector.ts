/**
 * A collector of OpenTelemetry: an HTTP server on loopback that takes OTLP as JSON and keeps spans and metrics.
 *
 * @module
 */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as it came. */
export interface CollectedSpan {
  /** The `service.name` of the process that sent it. */
  readonly service: string;
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the root of a trace. */
  readonly parentSpanId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly linked: readonly string[];
}

/** A point of a metric as it came; of one that came several times, the last one. */
export interface CollectedPoint {
  readonly service: string;
  readonly metric: string;
  readonly unit: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Of a histogram, its count. */
  readonly value: number;
  /** Of a histogram. */
  readonly bounds: readonly number[] | undefined;
}

/** The number of each kind of span in OTLP. */
export const KIND = { INTERNAL: 1, SERVER: 2, CLIENT: 3, PRODUCER: 4, CONSUMER: 5 } as const;

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** A collector that listens. */
export class Collector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  /** What was sent that is no OTLP as JSON. */
  readonly refused: string[] = [];
  readonly #points = new Map<string, CollectedPoint>();
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Starts one on a free port. */
  static async listen(): Promise<Collector> {
    const server = createServer();
    const collector = new Collector(server);
    server.on("request", (request, response) => {
      const parts: Uint8Array[] = [];
      request.on("data", (part) => parts.push(part));
      request.on("end", () => {
        const status = collector.#take(request.url ?? "", request.headers["content-type"], Buffer.concat(parts));
        response.writeHead(status, { "content-type": "application/json" });
        response.end("{}");
        for (const look of [...collector.#waiting]) look();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return collector;
  }

  /** Its URL, for `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The points of all metrics, the last of each. */
  get points(): CollectedPoint[] {
    return [...this.#points.values()];
  }

  /** Waits until something is there: looks whenever something has come. */
  until<Value>(look: () => Value | undefined): Promise<Value> {
    const found = look();
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => {
      const again = (): void => {
        const found = look();
        if (found === undefined) return;
        this.#waiting.delete(again);
        resolve(found);
      };
      this.#waiting.add(again);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Takes what was sent. Returns the status of the answer. */
  #take(path: string, type: string | undefined, body: Uint8Array): number {
    if (type?.startsWith("application/json") !== true) {
      this.refused.push(`${path} ${type}`);
      return 415;
    }
    const value = JSON.parse(new TextDecoder().decode(body));
    if (path === "/v1/traces") { for (const one of value.resourceSpans) this.#takeSpans(one); }
    else if (path === "/v1/metrics") { for (const one of value.resourceMetrics) this.#takeMetrics(one); }
    return 200;
  }

  // deno-lint-ignore no-explicit-any
  #takeSpans({ resource, scopeSpans }: any): void {
    const service = String(attributesOf(resource.attributes)["service.name"]);
    for (const { spans } of scopeSpans) {
      for (const { name, kind, traceId, spanId, parentSpanId = "", attributes, links = [] } of spans) {
        const linked = links.map((link: { readonly spanId: string }) => link.spanId);
        const read = attributesOf(attributes);
        this.spans.push({ service, name, kind, traceId, spanId, parentSpanId, attributes: read, linked });
      }
    }
  }

  // deno-lint-ignore no-explicit-any
  #takeMetrics({ resource, scopeMetrics }: any): void {
    const service = String(attributesOf(resource.attributes)["service.name"]);
    // deno-lint-ignore no-explicit-any
    for (const { name, unit, gauge, sum, histogram } of scopeMetrics.flatMap(({ metrics }: any) => metrics)) {
      for (const point of (gauge ?? sum ?? histogram).dataPoints) {
        const attributes = attributesOf(point.attributes);
        const value = Number(point.count ?? point.asInt ?? point.asDouble);
        this.#points.set(`${service} ${name} ${JSON.stringify(Object.entries(attributes).sort())}`, {
          service,
          metric: name,
          unit,
          attributes,
          value,
          bounds: point.explicitBounds,
        });
      }
    }
  }
}

function attributesOf(list: readonly KeyValue[] = []): Record<string, unknown> {
  return Object.fromEntries(list.map(({ key, value }) => {
    const [[kind, inner]] = Object.entries(value);
    return [key, kind === "intValue" ? Number(inner) : inner];
  }));
}
