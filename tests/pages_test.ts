/**
 * All Markdown of the repository: each page is in the sidebar of the site, each link leads somewhere, and each block of
 * code is one that is checked.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../scripts/runtimes.ts";
import { htmlFiles, LinkChecker } from "../scripts/site/links.ts";
import { anchorOf, type Block, blocksOf, headingsOf, linksOf, targetOf } from "../scripts/site/markdown.ts";
import { markdownFiles, type Page, pages, sourcePage, stagedPage } from "../scripts/site/pages.ts";
import { pathOf } from "../scripts/site/serve.ts";
import { linkOf, nameOf, sidebarOf } from "../scripts/site/sidebar.ts";
import { termsOf } from "../site/.vitepress/terms.ts";
import { CHECKS, PROGRAMS } from "./pages_support.ts";
import { isMine } from "./wire_support.ts";

const FILES = new Map(markdownFiles().map((file) => [file, readFileSync(ROOT + file, "utf8")]));

/**
 * Pages whose `ts ignore` blocks are files of one program. A test makes the program of them and runs it, and a page tells
 * the reader so.
 */
const PROGRAM_PAGES = [
  { pages: /^docs\/tutorial\//, test: "tests/tutorial_page_test.ts", told: "docs/tutorial/index.md" },
  {
    pages: /^docs\/getting-started\.md$/,
    test: "tests/getting_started_page_test.ts",
    told: "docs/getting-started.md",
  },
];

/** What tells a reader why a block is not checked. */
const REASON = /\b(not|no|none|never|cannot|only|nothing)\b[^.]*\b(check|compile|run|type|block|package|try|tried)/i;

/** What is wrong with a link. */
function problemOfLink(file: string, href: string): string | undefined {
  if (href.startsWith("/")) return "it is not relative";
  const target = targetOf(file, href);
  if (target === undefined) return undefined;
  const { anchor, path } = target;
  if (path.startsWith("..") || !existsSync(ROOT + path)) return `there is no ${path}`;
  if (anchor === "") return undefined;
  const text = FILES.get(path);
  if (text === undefined) return `${path} has no anchors`;
  return headingsOf(text).some((heading) => heading.anchor === anchor) ? undefined : `${path} has no #${anchor}`;
}

/** What is wrong with a block. */
function problemOfBlock(file: string, { around, code, language, words }: Block): string | undefined {
  if (language === "") return "no language";
  if (language === "ts") {
    if (!words.includes("ignore")) return undefined;
    const program = PROGRAM_PAGES.find(({ pages }) => pages.test(file));
    if (program !== undefined) return existsSync(ROOT + program.test) ? undefined : `there is no ${program.test}`;
    return REASON.test(around) ? undefined : "nothing beside it says why it is not checked";
  }
  const found = Object.hasOwn(CHECKS, language) ? CHECKS[language] : undefined;
  if (found === undefined) return `nothing checks blocks of ${language}`;
  return found.needs !== undefined && PROGRAMS[found.needs] === undefined ? undefined : found.check(code);
}

function block(language: string, code = "", around = ""): Block {
  const [name, ...words] = language.split(" ");
  return { language: name, words, code, around, line: 1 };
}

describe("the pages", () => {
  it("are all in the sidebar of the site, each once, but for the home page", () => {
    const all = pages();
    const listed = sidebarOf(all).flatMap(({ items }) => items.map(({ link }) => link));
    const wanted = all.map(({ path }) => nameOf(path)).filter((name) => name !== "index").map(linkOf);
    assertEquals([...listed].sort(), [...wanted, "/reference"].sort());
    const lonely: Page = { file: "docs/lonely.md", path: "lonely.md", title: "Lonely" };
    assert(!sidebarOf([...all, lonely]).some(({ items }) => items.some(({ link }) => link === "/lonely")));
    assertThrows(() => sidebarOf(all.filter(({ path }) => path !== "faq.md")), Error, "names faq, which is no page");
  });

  it("have links that lead to files and headings that exist", () => {
    const problems = [...FILES].flatMap(([file, text]) =>
      linksOf(text).map(({ href, line }) => [`${file}:${line}`, problemOfLink(file, href)])
    ).filter(([, problem]) => problem !== undefined);
    assertEquals(problems, []);
    for (const href of ["nowhere.md", "#nowhere", "LICENSE#part", "../outside.md", "/LICENSE"]) {
      assert(problemOfLink("README.md", href) !== undefined, href);
    }
    assertEquals(problemOfLink("docs/guide/index.md", "../errors.md#errors"), undefined);
    assertEquals(problemOfLink("README.md", "https://example.org/nowhere"), undefined);
  });

  it("have blocks of code that are checked, each with a language", () => {
    const all = [...FILES].flatMap(([file, text]) => blocksOf(text).map((block) => ({ file, block })));
    // Many are given to a shell or to Python, which takes its time.
    const problems = all.filter((_, i) => isMine(i))
      .map(({ file, block }) => [`${file}:${block.line}`, problemOfBlock(file, block)])
      .filter(([, problem]) => problem !== undefined);
    assertEquals(problems, []);
  });

  it("tell the reader where blocks are parts of a program that a test runs", () => {
    for (const { told } of PROGRAM_PAGES) if (FILES.has(told)) assert(REASON.test(FILES.get(told)!), told);
  });

  it("are refused with blocks that are wrong", () => {
    const wrong: [language: string, code: string][] = [
      ["", ""],
      ["cobol", ""],
      ["ts ignore", "let a"],
      ["js", "const = 5"],
      ["html", "<div><p></div>"],
      ["html", "<p>"],
      ["html", '<script type="module">const = 5</script>'],
      ["json", "{ // none\n}"],
      ["jsonc", '{ "a" }'],
      ["nginx", "stream {\n  listen 80\n}"],
      ["nginx", "stream {"],
      ["haproxy", "Frontend x"],
      ["ini", "[Service]\nExecStart"],
      ["toml", "a"],
      ["yaml", "a:\n\tb: 1"],
      ["yaml", "a:\n    b: 1"],
      ["dockerfile", "FORM debian"],
      ...PROGRAMS.bash === undefined ? [] : [["sh", "if true"]] as [string, string][],
      ...PROGRAMS.python3 === undefined ? [] : [["python", "def f("]] as [string, string][],
    ];
    for (const [language, code] of wrong) {
      assert(problemOfBlock("docs/index.md", block(language, code)) !== undefined, `${language}: ${code}`);
    }
    const right: [language: string, code: string, around?: string][] = [
      ["ts", "const = 5"],
      ["ts ignore", "let a", "This block is not checked: it needs another package."],
      ["jsonc", '{ "a": "http://b", /* c */ } // d'],
      ["yaml", "# a\na:\n  - b: 1\n    c: |\n         free\n  - d\ne: [1]"],
      ["html", '<!doctype html><p><br>a</p><script type="module">let a: number = 5;</script>'],
      ["dockerfile", "FROM debian\nRUN a \\\n  && b"],
    ];
    for (const [language, code, around] of right) {
      assertEquals(problemOfBlock("docs/index.md", block(language, code, around)), undefined, language);
    }
  });
});

describe("Markdown", () => {
  it("has the anchors that GitHub makes", () => {
    assertEquals(anchorOf("What is `it`? A_b – c/d!"), "what-is-it-a_b--cd");
    const text = "# A\n\n```sh\n# none\n```\n\n## `a` of [b](c.md)\n\n<!--\n## None\n-->\n\n## A ##\n";
    assertEquals(headingsOf(text), [
      { level: 1, text: "A", anchor: "a" },
      { level: 2, text: "a of b", anchor: "a-of-b" },
      { level: 2, text: "A", anchor: "a-1" },
    ]);
  });

  it("has links in texts, images, definitions and HTML, and none in code or comments", () => {
    const text = 'A [`b`](c.md#d), ![e](f.svg "g").\n`[no](no.md)`\n```sh\n[no](no.md)\n```\n<!-- [no](no.md) -->\n' +
      '<img src="h.png">\n\n[i]: j.md\n';
    assertEquals(linksOf(text).map(({ href, line }) => [href, line]), [
      ["c.md#d", 1],
      ["f.svg", 1],
      ["h.png", 7],
      ["j.md", 9],
    ]);
    assertEquals(targetOf("docs/a/b.md", "../c.md#d"), { path: "docs/c.md", anchor: "d" });
    assertEquals(targetOf("docs/a.md", "#b"), { path: "docs/a.md", anchor: "b" });
    assertEquals(targetOf("docs/a.md", "mailto:somebody@example.org"), undefined);
  });

  it("has blocks with the text around them, in lists, too", () => {
    const [first, second] = blocksOf(
      "before\n\n```ts ignore\na\n```\n\nafter\n\n- x\n\n  ~~~~sh\n  b\n  ~~~\n  ~~~~\n",
    );
    assertEquals([first.language, first.words, first.code, first.line], ["ts", ["ignore"], "a", 3]);
    assertEquals(first.around, "before\nafter");
    assertEquals([second.language, second.code], ["sh", "b\n~~~"]);
  });
});

describe("a page of the site", () => {
  it("has links to pages of the site in place of those that leave docs/", () => {
    const page = pages().find(({ path }) => path === "guide/streams.md")!;
    const { text, sources } = stagedPage(page);
    assert(text.includes("(/examples/folder/index.md)"));
    assertEquals(linksOf(text).filter(({ href }) => href.includes("../../")), []);
    assertEquals(sources, []);
  });

  it("shows the sources of an example", () => {
    const page = pages().find(({ path }) => path === "examples/echo/index.md")!;
    const { text, sources } = stagedPage(page);
    assert(sources.includes("examples/echo/server.ts"));
    assert(text.includes("(/source/examples/echo/server-ts.md)"));
    const { path, text: shown } = sourcePage("examples/echo/server.ts");
    assertEquals(path, "source/examples/echo/server-ts.md");
    assert(shown.includes(readFileSync(`${ROOT}examples/echo/server.ts`, "utf8").trimEnd()));
  });
});

describe("the built site", () => {
  it("has no link that leads nowhere, and loads nothing from elsewhere", () => {
    const folder = `${mkdtempSync(join(tmpdir(), "veltix-pages-"))}/`;
    try {
      writeFileSync(`${folder}a.html`, '<h2 id="x&amp;y">X</h2><a href="b.html#c">b</a> <a href="#x&amp;y">x</a>');
      writeFileSync(
        `${folder}b.html`,
        '<p id="c"><a href="/a.html?q">a</a> <a href="no.html">no</a> <a class="d" href="./a.html#d">d</a>' +
          '<img src="https://example.org/e.png"> <a href="https://example.org/">far</a> <a href="/">home</a>',
      );
      const checker = new LinkChecker(folder);
      assertEquals(htmlFiles(folder), ["a.html", "b.html"]);
      assertEquals(checker.problemsOf("a.html"), []);
      assertEquals(checker.problemsOf("b.html"), [
        "no.html leads nowhere",
        "./a.html#d has no such anchor",
        "loads https://example.org/e.png",
        "/ leads nowhere",
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is served without the files beside it", () => {
    const asked = ["/", "/guide/", "/a%20b.html?c", "/x/../y", "/..%2fpackage.json", "/a/..%5cb", "/%00", "/%"];
    assertEquals(asked.map(pathOf), [
      "index.html",
      "guide/index.html",
      "a b.html",
      "y",
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("compares words in its search without their plurals, by all of their names, and without those that say nothing", () => {
    assertEquals(["Messages", "queries", "class", "How", "bufferedAmount", "constructor"].map(termsOf), [
      "message",
      "query",
      "class",
      null,
      ["buffered", "back", "pressure"],
      "constructor",
    ]);
  });

  it("sends the function for the words of its search to pages, which works there alone", () => {
    const alone = new Function(`return ${termsOf}`)() as typeof termsOf;
    assertEquals(alone("SSL"), ["ssl", "tls"]);
  });
});
