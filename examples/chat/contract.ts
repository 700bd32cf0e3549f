/**
 * What the server and its clients say to each other.
 *
 * @module
 */

import { empty, json, messageTypes, text } from "@veltix/core";

/** A line of somebody, as the others in the room see it. */
export interface Said {
  readonly name: string;
  readonly line: string;
}

/** A room, and how many people are in it. */
export interface Room {
  readonly name: string;
  readonly people: number;
}

/** The types of messages. Their codes follow their order, so new ones are appended. */
export const contract = messageTypes({
  /** Somebody's name. The answer is who is in the lobby, oneself included. */
  join: { payload: text, reply: json<string[]>(), errors: ["name-taken", "bad-name"] },
  /** A line for all others in one's room. */
  say: text,
  /** From the server: a line that somebody said. */
  said: json<Said>(),
  /** The room to go to. The answer is who is there, oneself included. */
  enter: [text, json<string[]>()],
  /** Which rooms there are. */
  rooms: [empty, json<Room[]>()],
});
