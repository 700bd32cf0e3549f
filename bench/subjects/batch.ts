/**
 * The floor with one write for the frames of an event-loop turn.
 *
 * @module
 */

import { floor } from "../floor/floor.ts";
import { BatchOutbox } from "../floor/outbox.ts";
import type { Sockets } from "../floor/sockets.ts";
import type { Subject } from "../subject.ts";

/** Makes the subject. */
export function batch(sockets: Sockets): Subject {
  return floor(sockets, (socket) => new BatchOutbox(socket));
}
