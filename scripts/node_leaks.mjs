// Preloaded into every Node test process. When all tests have ended and the process does not, something was left open:
// say what it is and end the process, instead of waiting for it without end.
import { createHook } from "node:async_hooks";
import { isMainThread } from "node:worker_threads";

const GRACE = 20_000;

// Threads have it preloaded too, and no tests.
if (isMainThread) {
  const { after, beforeEach } = await import("node:test");

  // The runner follows every promise, to know in which test one was rejected that nobody handles. That takes a fifth of the
  // time of most tests. Unfollowed, such an error still fails the process; its stack, which is written here, names the test.
  const { prototype } = createHook({}).constructor;
  const { enable } = prototype;
  let following;
  // deno-lint-ignore explicit-function-return-type
  prototype.enable = function () {
    following = this;
    return enable.call(this);
  };
  beforeEach(() => {
    prototype.enable = enable;
    following?.disable();
    following = undefined;
  });
  for (const event of ["unhandledRejection", "uncaughtException"]) {
    process.on(event, (error) => process.stderr.write(`${event}: ${error?.stack ?? error}\n`));
  }

  after(() => {
    setTimeout(() => {
      const open = process.getActiveResourcesInfo().join(", ");
      process.exitCode = 87;
      process.stderr.write(`Still open ${GRACE} ms after the last test: ${open}\n`, () => process.exit());
    }, GRACE).unref();
  });
}
