/**
 * The documentation site, as VitePress builds it. `scripts/site/build.ts` lays out the pages that it reads.
 *
 * @module
 */
import process from "node:process";
import { defineConfig, type HeadConfig } from "vitepress";
import { anchorOf } from "../../scripts/site/markdown.ts";
import { pages } from "../../scripts/site/pages.ts";
import { sidebarOf } from "../../scripts/site/sidebar.ts";
import { termsOf } from "./terms.ts";

/** The path of the site on its host. */
const BASE = process.env.VELTIX_SITE_BASE ?? "/";
const SUMMARY = "Typed messages, requests and streams for Deno, Bun, Node and browsers.";

/** What the home page shows above its text. `docs/index.md` has only what reads well anywhere. */
const HOME = {
  layout: "home",
  hero: {
    name: "Veltix",
    text: "Typed messages between programs",
    tagline: "Messages, requests and streams over TCP, TLS and WebSockets, for Deno, Bun, Node and browsers.",
    actions: [
      { theme: "brand", text: "Get started", link: "/getting-started" },
      { theme: "alt", text: "Read the guide", link: "/guide/" },
      { theme: "alt", text: "Examples", link: "/examples/" },
    ],
  },
  features: [
    {
      title: "Types on both sides",
      details: "One contract types servers and clients. A payload that does not fit never reaches a handler.",
      link: "/guide/contracts",
    },
    {
      title: "Requests and streams",
      details: "Either side asks the other. Files and feeds of any size travel beside messages.",
      link: "/guide/streams",
    },
    {
      title: "Survives a cut cable",
      details: "With resume on both sides, messages, requests and streams go on, each once and in order.",
      link: "/guide/resuming",
    },
    {
      title: "Back-pressure everywhere",
      details: "Queues, buffers and windows have limits, and every limit is an option with a default.",
      link: "/guide/back-pressure",
    },
    {
      title: "Encrypted with or without certificates",
      details: "TLS, or identities for devices and networks that have no certificates.",
      link: "/security",
    },
    {
      title: "One wire, several languages",
      details: "The protocol is documented, and Python's Veltix 1.2 to 3.3 speak to it.",
      link: "/interop",
    },
  ],
};

const icon: HeadConfig = ["link", { rel: "icon", type: "image/svg+xml", href: `${BASE}logo.svg` }];

export default defineConfig({
  lang: "en-US",
  title: "Veltix",
  description: SUMMARY,
  base: BASE,
  srcDir: "pages",
  // The theme shows it on the home page.
  srcExclude: ["hero.md"],
  outDir: "dist",
  cacheDir: ".vitepress/cache",
  head: [icon, ["meta", { name: "color-scheme", content: "light dark" }]],
  markdown: {
    // Links are those that GitHub makes, too.
    anchor: { slugify: anchorOf },
    attrs: { disable: true },
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
    languageAlias: { haproxy: "ini", mjs: "js" },
  },
  transformPageData(page): void {
    if (page.relativePath === "index.md") Object.assign(page.frontmatter, HOME);
  },
  themeConfig: {
    logo: "/logo.svg",
    nav: [
      { text: "Start", link: "/getting-started" },
      { text: "Tutorial", link: "/tutorial/" },
      { text: "Guide", link: "/guide/" },
      { text: "Recipes", link: "/recipes" },
      { text: "FAQ", link: "/faq" },
      { text: "Examples", link: "/examples/" },
      { text: "API", link: "/reference" },
    ],
    sidebar: sidebarOf(pages()).map(({ items, ...group }) => ({ ...group, items: [...items] })),
    outline: { level: [2, 3], label: "On this page" },
    search: {
      provider: "local",
      options: {
        detailedView: false,
        miniSearch: {
          options: { processTerm: termsOf },
          searchOptions: {
            boost: { title: 4, titles: 1, text: 1 },
            // The headings of the FAQ are whole questions: they count nearly as much as short ones.
            bm25: { k: 1.2, b: 0.3, d: 0.5 },
            prefix: (term) => term.length > 2,
            fuzzy: (term) => term.length > 5 ? 0.15 : false,
          },
        },
        /** The words that a page has in comments for the search, and not in its text: `<!-- keywords: … -->`. */
        async _render(source, env, md): Promise<string> {
          const html = await md.render(source.replaceAll(/<!-- keywords: ([^]*?) -->/g, "$1"), env);
          return env.frontmatter?.search === false ? "" : html;
        },
      },
    },
    notFound: {
      title: "There is no such page",
      quote: "The address may have changed. The search and the navigation know all pages.",
      linkText: "To the first page",
      linkLabel: "To the first page",
    },
    footer: { message: "MIT license" },
  },
});
