/** The moving picture that the recorder of the demonstration draws. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { movingPicture } from "../scripts/moving_picture.ts";

const draw = (...screens: string[]): string =>
  movingPicture(screens.map((screen) => ({ screen, ms: 250 })), { columns: 20, title: "A & B" });

/** The texts of a picture with their attributes, in the order of its lines. */
function texts(picture: string): [attributes: string, text: string][] {
  return [...picture.matchAll(/<text ([^>]*)>([^<]*)<\/text>/g)].map(([, attributes, text]) => [attributes, text]);
}

describe("a moving picture", () => {
  it("has a run of text for each look, where it stands", () => {
    const [plain, bold, green, both, after] = texts(draw("ab\x1b[1mcd\x1b[22;32me\x1b[1mf\x1b[0mg"));
    assertEquals([plain, bold, green, both, after].map(([, text]) => text), ["ab", "cd", "e", "f", "g"]);
    assert(plain[0].includes('x="0.0"') && !plain[0].includes("class") && !plain[0].includes("fill"), plain[0]);
    assert(bold[0].includes('x="16.8"') && bold[0].includes('class="b"') && !bold[0].includes("fill"), bold[0]);
    assert(green[0].includes("fill") && !green[0].includes("class"), green[0]);
    assert(both[0].includes("fill") && both[0].includes('class="b"'), both[0]);
    assert(!after[0].includes("fill") && !after[0].includes("class"), after[0]);
  });

  it("knows colors by their numbers, and leaves out what it does not know", () => {
    const color = (codes: string): string | undefined =>
      /fill="([^"]+)"/.exec(texts(draw(`\x1b[${codes}mx`))[0][0])?.[1];
    assertEquals(color("31"), color("38;5;1"));
    assertEquals(color("91"), color("38;5;9"));
    assert(color("31") !== undefined && color("31") !== color("91"));
    assertEquals([color("38;5;200"), color("38;2;1;2;3"), color("39"), color("53")], Array(4).fill(undefined));
  });

  it("fills what is inverse, and has no text where there are only spaces", () => {
    const picture = draw("\x1b[7mx\x1b[27m   \x1b[41m  \x1b[0m");
    assertEquals(texts(picture).map(([, text]) => text), ["x"]);
    assertEquals([...picture.matchAll(/<rect x=/g)].length, 2);
  });

  it("escapes what the terminal showed", () => {
    assertEquals(texts(draw('<a href="&">')).map(([, text]) => text), ["&lt;a href=&quot;&amp;&quot;&gt;"]);
    assert(draw("x").includes("<title>A &amp; B</title>"));
  });

  it("shows each screen for its time, keeps equal lines once, and the last screen for those who want no motion", () => {
    const picture = draw("one\ntwo", "one\nthree", "one\nthree\nfour");
    assertEquals(texts(picture).map(([, text]) => text), ["one", "two", "three", "four"]);
    const height = Number(/height="(\d+)" role/.exec(picture)![1]);
    const steps = [...picture.matchAll(/([\d.]+)%\{transform:translateY\((-?\d+)px\)\}/g)].map(([, at, y]) => [at, y]);
    const last = `${-2 * height}`;
    assertEquals(steps, [["0.00", "0"], ["33.33", `${-height}`], ["66.67", last], ["100", last]]);
    assert(picture.includes("animation:play 750ms step-end infinite"));
    assert(picture.includes(`#screens{transform:translateY(${last}px)}`));
  });
});
