/**
 * The instruments that are told of single calls and events.
 *
 * @module
 */

import type { Attributes, Context, Counter, Histogram, Meter } from "@opentelemetry/api";
import type { Endpoint } from "../base/address.ts";
import { addServer } from "./addresses.ts";
import { ATTRIBUTE, BUCKETS, METRIC, type MetricName, SYSTEM } from "./names.ts";

/** The instruments of one Server or Client. */
export class Instruments {
  readonly meter: Meter;
  readonly #role: Attributes;
  readonly #asked: Histogram;
  readonly #answered: Histogram;
  readonly #processed: Histogram;
  readonly #sent: Counter;
  readonly #consumed: Counter;
  readonly #counters = new Map<MetricName, Counter>();

  constructor(meter: Meter, role: "client" | "server") {
    this.meter = meter;
    this.#role = { [ATTRIBUTE.role]: role };
    this.#asked = histogram(meter, METRIC.clientCall);
    this.#answered = histogram(meter, METRIC.serverCall);
    this.#processed = histogram(meter, METRIC.process);
    this.#sent = counter(meter, METRIC.sent);
    this.#consumed = counter(meter, METRIC.consumed);
  }

  /** Records a request or stream of this side, in seconds. */
  asked(
    seconds: number,
    name: string,
    status: string,
    error: string | undefined,
    to: Endpoint | undefined,
    within: Context,
  ): void {
    const attributes = callAttributes(name, status, error);
    if (to !== undefined) addServer(attributes, to);
    this.#asked.record(seconds, attributes, within);
  }

  /** Records the handler of a request or stream, in seconds. */
  answered(seconds: number, name: string, status: string, error: string | undefined, within: Context): void {
    this.#answered.record(seconds, callAttributes(name, status, error), within);
  }

  /** Records the handler of a message, in seconds. */
  processed(seconds: number, name: string, error: string | undefined, within: Context): void {
    this.#processed.record(seconds, messageAttributes("process", name, error), within);
  }

  /** Counts messages that were sent, or one that could not be. */
  sent(count: number, name: string, error: string | undefined): void {
    this.#sent.add(count, messageAttributes("send", name, error));
  }

  /** Counts a message that is handed to its handler. */
  consumed(name: string): void {
    this.#consumed.add(1, messageAttributes("process", name, undefined));
  }

  /** Counts an event. */
  count(metric: MetricName, attributes: Attributes = {}): void {
    let found = this.#counters.get(metric);
    if (found === undefined) this.#counters.set(metric, found = counter(this.meter, metric));
    found.add(1, { ...this.#role, ...attributes });
  }
}

function histogram(meter: Meter, { name, unit, description }: MetricName): Histogram {
  return meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries: [...BUCKETS] } });
}

function counter(meter: Meter, { name, unit, description }: MetricName): Counter {
  return meter.createCounter(name, { unit, description });
}

function callAttributes(name: string, status: string, error: string | undefined): Attributes {
  const attributes: Attributes = {
    [ATTRIBUTE.rpcSystem]: SYSTEM,
    [ATTRIBUTE.rpcMethod]: name,
    [ATTRIBUTE.rpcStatus]: status,
  };
  if (error !== undefined) attributes[ATTRIBUTE.errorType] = error;
  return attributes;
}

function messageAttributes(operation: string, name: string, error: string | undefined): Attributes {
  const attributes: Attributes = {
    [ATTRIBUTE.messagingSystem]: SYSTEM,
    [ATTRIBUTE.operationName]: operation,
    [ATTRIBUTE.destination]: name,
  };
  if (error !== undefined) attributes[ATTRIBUTE.errorType] = error;
  return attributes;
}
