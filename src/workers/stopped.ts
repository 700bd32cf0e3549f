/**
 * The error of messages whose threads were ended.
 *
 * @module
 */

import { WorkerError } from "../errors.ts";

/** Returns the error for a message whose threads were ended. */
export function stopped(name: string): WorkerError {
  return new WorkerError("worker-stopped", `Cannot handle "${name}": its threads were ended`);
}
