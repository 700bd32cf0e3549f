import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Stop } from "../src/base/stop.ts";

describe("Stop", () => {
  it("is given once, to whoever listens by then", () => {
    const stop = new Stop();
    const heard: unknown[] = [];
    stop.listen(() => heard.push("nobody any more"));
    stop.listen((reason) => heard.push(reason));
    assertEquals([stop.given, stop.reason], [false, undefined]);
    stop.give("first");
    stop.give("second");
    stop.listen((reason) => heard.push(reason));
    assertEquals([stop.given, stop.reason, heard], [true, "first", ["first"]]);
  });

  it("is heard by nobody who stopped listening", () => {
    const stop = new Stop();
    stop.listen(() => {
      throw new Error("heard");
    });
    stop.listen(undefined);
    stop.give(undefined);
    assertEquals([stop.given, stop.reason], [true, undefined]);
  });
});
