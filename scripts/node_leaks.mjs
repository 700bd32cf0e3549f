// Preloaded into every Node test process. When all tests have ended and the process does not, something was left open:
// say what it is and end the process, instead of waiting for it without end.
import { after } from "node:test";

const GRACE = 20_000;

after(() => {
  setTimeout(() => {
    const open = process.getActiveResourcesInfo().join(", ");
    process.exitCode = 87;
    process.stderr.write(`Still open ${GRACE} ms after the last test: ${open}\n`, () => process.exit());
  }, GRACE).unref();
});
