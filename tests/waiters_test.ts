import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Waiters } from "../src/base/waiters.ts";
import { microtasks } from "./session_support.ts";

describe("Waiters", () => {
  it("go on together, in the order in which they came, and only those who waited by then", async () => {
    const waiters = new Waiters();
    const went: string[] = [];
    const wait = (name: string): void => void waiters.wait().then(() => went.push(name));
    waiters.release();
    wait("a");
    wait("b");
    assertEquals(waiters.size, 2);
    await microtasks(5);
    assertEquals(went, []);
    waiters.release();
    wait("c");
    assertEquals(waiters.size, 1);
    await microtasks(5);
    assertEquals(went, ["a", "b"]);
    waiters.release();
    waiters.release();
    assertEquals(waiters.size, 0);
    await microtasks(5);
    assertEquals(went, ["a", "b", "c"]);
  });
});
