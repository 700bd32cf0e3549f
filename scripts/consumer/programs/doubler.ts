/**
 * The handler that `worker.ts` has in a thread.
 *
 * @module
 */
import { json, type MessageType, messageType, type WorkerHandler, workerHandler } from "@veltix/core";

/** Asks for twice a number. */
export const DOUBLE: MessageType<number, number, number, number> = messageType(
  200,
  "double",
  json<number>(),
  json<number>(),
);

const handler: WorkerHandler = workerHandler(DOUBLE, ({ data }) => data * 2);
export default handler;
