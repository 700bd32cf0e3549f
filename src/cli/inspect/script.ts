/**
 * Recorded conversations, read again: what was sent, in the order in which it was complete.
 *
 * @module
 */

import type { Protocol } from "../../wire/protocols.ts";
import { Conversation } from "./conversation.ts";
import { loadKnowledge } from "./knowledge.ts";
import type { RecordLine } from "./recording.ts";
import type { Seen, Sender } from "./seen.ts";

/** The end of a direction. */
export interface SeenEnd {
  readonly type: "end";
  readonly from: Sender;
}

/** One recorded connection. */
export interface RecordedConnection {
  readonly number: number;
  /** What was sent, and the ends. */
  readonly items: readonly (Seen | SeenEnd)[];
}

/** Returns the connections of a record. */
export async function scriptsOf(
  lines: readonly RecordLine[],
  protocol: Protocol | undefined,
): Promise<RecordedConnection[]> {
  const knowledge = await loadKnowledge({ protocol, secrets: true });
  const scripts = new Map<number, { items: (Seen | SeenEnd)[]; conversation: Conversation }>();
  for (const line of lines) {
    let script = scripts.get(line.connection);
    if (script === undefined) {
      const items: (Seen | SeenEnd)[] = [];
      script = { items, conversation: new Conversation(knowledge, (seen) => items.push(seen)) };
      scripts.set(line.connection, script);
    }
    if (line.type === "data") script.conversation.push(line.from, line.bytes);
    else if (line.type === "end") {
      script.conversation.end(line.from);
      script.items.push({ type: "end", from: line.from });
    }
  }
  return [...scripts].map(([number, { items }]) => ({ number, items }));
}
