/**
 * The work queue, as a user starts it on this runtime: with jobs that fail, one that kills each worker, and Ctrl+C.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { INTERRUPTED, Program } from "./examples_support.ts";
import { describeOnPosix } from "./posix.ts";

describeOnPosix("examples/work_queue", () => {
  it("does each job once, tries again what failed, and gives up what kills its workers", async () => {
    await using program = new Program("work_queue/main.ts", "--jobs", "40", "--workers", "2", "--size", "1000");
    await program.find(/job 13 is given up after 3 attempts: .*peer-closed/);
    await program.find(/39 jobs done, 1 given up\n/);
    // Jobs 10, 20, 30 and 40 fail at first, and job 13 each time.
    await program.find(/6 attempts were repeated; 3 workers have crashed\n$/);
    assertEquals(await program.end(), 0);
    assert(!program.text.includes("Error"), program.text);
  });

  it("finishes what it has taken at Ctrl+C, and takes no more, however much there is", async () => {
    await using program = new Program("work_queue/main.ts", "--jobs", "1000000", "--workers", "1", "--size", "1000");
    await program.find(/worker 1 has crashed/); // So the jobs up to 12 are done.
    program.interrupt();
    await program.find(/Stopping: the jobs that were taken are finished\n/);
    const [, done, givenUp, left] = await program.find(/(\d+) jobs done, (\d+) given up, (\d+) not taken\n/);
    assertEquals(Number(done) + Number(givenUp) + Number(left), 1_000_000);
    // At most 16 are taken that are not finished.
    assert(Number(done) >= 12 && Number(done) < 500_000);
    await program.find(/attempts were repeated; \d workers have crashed\n$/);
    assertEquals(await program.end(), INTERRUPTED);
  });
});
