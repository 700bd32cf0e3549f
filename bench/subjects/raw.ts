/**
 * The floor with one write a message.
 *
 * @module
 */

import { floor } from "../floor/floor.ts";
import { RawOutbox } from "../floor/outbox.ts";
import type { Sockets } from "../floor/sockets.ts";
import type { Subject } from "../subject.ts";

/** Makes the subject. */
export function raw(sockets: Sockets): Subject {
  return floor(sockets, (socket) => new RawOutbox(socket));
}
