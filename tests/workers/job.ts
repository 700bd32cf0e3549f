/** A worker that does what it is told, good or bad. */

import { existsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { threadId } from "node:worker_threads";
import { workerHandler } from "../../src/workers/worker_handler.ts";
import { JOB, standStillUntil } from "./contract.ts";

const never = new Promise<never>(() => {});

export default workerHandler(JOB, async (message) => {
  const { value } = message.data;
  switch (message.data.do) {
    case "double":
      return value as number * 2;
    case "thread":
      return threadId;
    case "look": {
      const { client, content, json, requestId, sentAt, text, type, wantsReply } = message;
      return { client, code: type.code, json, requestId, sentAt, size: content.length, text, wantsReply };
    }
    case "wait": // Its thread stands still: only another one can make the file.
      writeFileSync(`${value}.began`, "");
      standStillUntil(() => existsSync(value as string));
      return threadId;
    case "connect": // The socket is open as long as the thread.
      await new Promise<void>((resolve) => connect(value as number, "127.0.0.1", resolve));
      return threadId;
    case "meta": {
      const { meta, setReplyMeta, timeLeft } = message;
      setReplyMeta({ first: "1" });
      setReplyMeta({ got: meta.a, own: Object.keys(meta).join() });
      if (value === "throw") throw Object.assign(new Error("no"), { code: "E_NO" });
      const safe = Object.isFrozen(meta) && Object.getPrototypeOf(meta) === null;
      return {
        meta: Object.entries(meta),
        safe,
        timeLeft: timeLeft === undefined ? "unknown" : timeLeft > 0 && timeLeft <= 60_000,
      };
    }
    case "abort":
      if (typeof value === "string") writeFileSync(`${value}.began`, "");
      await new Promise((resolve) => message.signal.addEventListener("abort", resolve));
      throw Object.assign(new Error(`seen: ${message.signal.reason.message}`), { code: message.signal.reason.code });
    case "throw":
      throw Object.assign(new RangeError("too much"), { code: "E_MUCH" });
    case "throw later":
      setTimeout(() => {
        throw new Error("thrown later");
      }, 0);
      return await never;
    case "reject":
      Promise.reject(new Error("not handled"));
      return await never;
    case "exit":
      return process.exit(3);
    case "loop":
      for (;;);
    case "stick": // As endless, but it leaves the core to others: Deno cuts either after two seconds only.
      return standStillUntil(() => false);
    case "nothing": // Which is no JSON, and no reply.
      return undefined;
  }
});
