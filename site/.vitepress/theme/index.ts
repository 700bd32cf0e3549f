/**
 * The default theme in colors of our own, with the fonts of the reader's system: nothing is loaded from elsewhere. The home
 * page has a program beside its title.
 *
 * @module
 */
import DefaultTheme from "vitepress/theme-without-fonts";
import { h, type VNode } from "vue";
import Hero from "../../pages/hero.md";
import "./style.css";

export default {
  extends: DefaultTheme,
  Layout: (): VNode =>
    h(DefaultTheme.Layout, null, { "home-hero-image": () => h("div", { class: "hero-code vp-doc" }, h(Hero)) }),
};
