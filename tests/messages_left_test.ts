/** Messages that came, and that nobody handles because the connection ends: they are counted. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { messageType, text } from "../mod.ts";
import { deferred, Raw, serve, turn, until, WORLDS } from "./session_support.ts";

const JOB = messageType(200, "job", text);

for (const world of WORLDS) {
  describe(`messages that wait when their connection ends, ${world.name},`, () => {
    for (const release of ["native", "2.0.0"] as const) {
      it(`are counted in the disconnect event and named in the log, ${release}`, async () => {
        const made = await world.make();
        const gate = deferred();
        let handled = 0;
        await using served = await serve(made, release === "native" ? {} : { protocol: "2.0" }, (server) => {
          server.route(JOB, () => {
            handled++;
            return gate.promise;
          }, { ordered: true });
        });
        const raw = await Raw.connect(made, served.address, release);
        await raw.send(...Array(10).fill({ code: 200, content: "x" }));
        await until(() => served.server.clients[0]?.stats().queuedMessages === 9);
        void served.server.clients[0].close("manual", { drain: 0 });
        const [, { unhandled }] = await served.events.next("disconnect");
        assertEquals([handled, unhandled], [1, 9]);
        assertEquals(served.log.lines, [["warn", "Client 1 is gone, and 9 of its messages were not handled"]]);
        gate.resolve();
        await turn();
        assertEquals(handled, 1);
        await raw[Symbol.asyncDispose]();
      });
    }

    it("are none where all were handled", async () => {
      const made = await world.make();
      let handled = 0;
      await using served = await serve(made, {}, (server) => server.route(JOB, () => void handled++));
      const raw = await Raw.connect(made, served.address, "native");
      await raw.send(...Array(10).fill({ code: 200, content: "x" }));
      await until(() => handled === 10);
      void served.server.clients[0].close("manual", { drain: 0 });
      const [, { unhandled }] = await served.events.next("disconnect");
      assertEquals([unhandled, served.log.lines], [0, []]);
      await raw[Symbol.asyncDispose]();
    });
  });
}
