/**
 * What the server and its clients say to each other. Both sides import this file.
 *
 * @module
 */

import { messageType, text } from "@veltix/core";

/** A text, which is answered by a text. The code, 200, is what goes over the wire. */
export const ECHO = messageType(200, "echo", text, text);
