import { findBrowsers } from "./find.ts";
import { Stage, WAYS } from "./stage.ts";
import { serve } from "../pairs/server.ts";
import { Checks } from "../pairs/contract.ts";
import process from "node:process";
const t0 = performance.now();
const log = (...a: unknown[]) => console.log(Math.round(performance.now() - t0), ...a);
for (const found of findBrowsers()) {
  if (process.argv[2] && found.name !== process.argv[2]) continue;
  log(found);
  await using stage = await Stage.set(found);
  log(stage.browser.version);
  for (const way of WAYS[stage.name]) {
    log(way.name);
    const page = await stage.open(way);
    const here: unknown[] = [];
    let found = (_: number) => {};
    const port = new Promise<number>((r) => found = r);
    const serving = serve(new Checks((r) => { here.push(r); if (r.port !== undefined) found(r.port); }), stage.make(way)).catch(() => {});
    const p = await port;
    log("port", p, await page.call("report"));
    const results = await page.call("contract", `${way.secure ? "wss" : "ws"}://127.0.0.1:${p}/`);
    log(results.length, results.at(-1));
    await Promise.race([serving, new Promise((r) => setTimeout(r, 3000))]);
    log(here.length, here.at(-1));
    await page[Symbol.asyncDispose]();
  }
}
log("end");
