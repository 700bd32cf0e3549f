/**
 * Follows what the handler of a stream returns up to its end: an asynchronous generator, an iterable, or a
 * `ReadableStream`.
 *
 * @module
 */

import { type Context, context } from "@opentelemetry/api";

/** Is told how it ends. */
export interface ItemsListener {
  /** Called at the end, or when nobody wants more. */
  ended(items: number): void;
  /** Called when the source has failed. */
  failed(error: unknown, items: number): void;
}

/**
 * Returns something that gives the same items, and runs the code of a generator in a context; `undefined` if the value has
 * no items.
 */
export function trackItems(value: unknown, within: Context, listener: ItemsListener): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  if (value instanceof ReadableStream) return trackReadable(value, listener);
  const make = (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator];
  if (typeof make !== "function") return undefined;
  return {
    [Symbol.asyncIterator](): AsyncIterator<unknown> {
      try {
        return trackIterator(make.call(value), within, listener);
      } catch (error) {
        listener.failed(error, 0);
        throw error;
      }
    },
  };
}

function trackIterator(
  source: AsyncIterator<unknown>,
  within: Context,
  listener: ItemsListener,
): AsyncIterator<unknown> {
  let items = 0;
  const failed = (error: unknown): never => {
    listener.failed(error, items);
    throw error;
  };
  return {
    async next(): Promise<IteratorResult<unknown>> {
      try {
        const step = await context.with(within, () => source.next());
        if (step.done === true) listener.ended(items);
        else items++;
        return step;
      } catch (error) {
        return failed(error);
      }
    },
    async return(value?: unknown): Promise<IteratorResult<unknown>> {
      try {
        return await context.with(within, () => source.return?.(value)) ?? { done: true, value };
      } catch (error) {
        return failed(error);
      } finally {
        listener.ended(items);
      }
    },
  };
}

function trackReadable(source: ReadableStream<unknown>, listener: ItemsListener): ReadableStream<unknown> {
  let reader: ReadableStreamDefaultReader<unknown>;
  try {
    reader = source.getReader();
  } catch (error) {
    // It is locked. The library gets it as it is, and fails with an error of its own.
    listener.failed(error, 0);
    return source;
  }
  let items = 0;
  return new ReadableStream({
    async pull(controller): Promise<void> {
      try {
        const { done, value } = await reader.read();
        if (done) {
          listener.ended(items);
          controller.close();
        } else {
          items++;
          controller.enqueue(value);
        }
      } catch (error) {
        listener.failed(error, items);
        controller.error(error);
      }
    },
    cancel(reason): Promise<void> {
      listener.ended(items);
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
