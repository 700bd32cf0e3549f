/// <reference lib="dom" />
/**
 * The charts of the page, drawn by uPlot in the colors of the style sheet.
 *
 * @module
 */

import uPlot from "uplot";
import type { Sample } from "../contract.ts";

/** How much of the past is shown, in samples. */
const SHOWN = 120;
const HEIGHT = 160;

/** One line of a chart. */
interface Line {
  readonly label: string;
  /** The custom property of the style sheet that has its color. */
  readonly color: string;
  readonly of: (sample: Sample) => number;
}

/** One chart. */
interface Chart {
  readonly title: string;
  readonly lines: readonly Line[];
  /** Returns a value as text. */
  readonly text: (value: number) => string;
}

const mebibytes = (value: number): string => `${(value / 1024 / 1024).toFixed(0)} MiB`;
const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const clock = (seconds: number): string => new Date(seconds * 1000).toLocaleTimeString("en", { hour12: false });
const whole = (value: number): string => Math.round(value).toLocaleString("en");

const CHARTS: readonly Chart[] = [
  {
    title: "Messages a second",
    lines: [{ label: "messages", color: "--line", of: (sample) => sample.messagesPerSecond }],
    text: whole,
  },
  {
    title: "Connections",
    lines: [{ label: "connections", color: "--line", of: (sample) => sample.connections }],
    text: whole,
  },
  {
    title: "Latency",
    lines: [
      { label: "median", color: "--line", of: (sample) => sample.latency.median },
      { label: "highest", color: "--second", of: (sample) => sample.latency.highest },
    ],
    text: milliseconds,
  },
  {
    title: "Memory",
    lines: [{ label: "memory", color: "--line", of: (sample) => sample.memory }],
    text: mebibytes,
  },
];

/** All charts of the page. */
export class Charts {
  readonly #place: HTMLElement;
  #samples: Sample[] = [];
  #drawn: {
    readonly chart: Chart;
    readonly plot: uPlot;
    readonly output: HTMLOutputElement;
    readonly card: Element;
  }[] = [];

  /** @param place The element that gets the charts. */
  constructor(place: HTMLElement) {
    this.#place = place;
    this.#build();
    // uPlot draws on canvases, which know nothing of the style sheet.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#build());
    new ResizeObserver(() => {
      for (const { plot, card } of this.#drawn) plot.setSize({ width: widthOf(card), height: HEIGHT });
    }).observe(place);
  }

  /** Begins anew. */
  clear(): void {
    this.#samples = [];
  }

  /** Shows one more sample. */
  add(sample: Sample): void {
    this.#samples = [...this.#samples, sample].slice(-SHOWN);
    this.#draw();
  }

  #draw(): void {
    const times = this.#samples.map(({ time }) => time / 1000);
    const last = this.#samples.at(-1);
    for (const { chart, plot, output } of this.#drawn) {
      plot.setData([times, ...chart.lines.map(({ of }) => this.#samples.map(of))]);
      output.value = last === undefined ? "–" : chart.lines.map(({ of }) => chart.text(of(last))).join(" · ");
    }
  }

  #build(): void {
    for (const { plot } of this.#drawn) plot.destroy();
    this.#place.replaceChildren();
    this.#drawn = CHARTS.map((chart) => {
      const card = document.createElement("section");
      const title = document.createElement("h2");
      title.textContent = chart.lines.length === 1
        ? chart.title
        : `${chart.title} (${chart.lines.map(({ label }) => label).join(" · ")})`;
      const output = document.createElement("output");
      card.className = "card";
      card.append(title, output);
      this.#place.append(card);
      return { chart, card, output, plot: new uPlot(optionsOf(chart, card), [[]], card) };
    });
    this.#draw();
  }
}

function optionsOf(chart: Chart, card: Element): uPlot.Options {
  const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: color("--faint"),
    grid: { stroke: color("--edge"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui",
  };
  return {
    width: widthOf(card),
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 0) * 1.1)] } },
    axes: [{ ...axis, space: 80, values: (_plot, times) => times.map(clock) }, {
      ...axis,
      size: 64,
      values: (_plot, values) => values.map(chart.text),
    }],
    series: [
      {},
      ...chart.lines.map((line): uPlot.Series => ({
        label: line.label,
        stroke: color(line.color),
        width: 2,
        points: { show: false },
      })),
    ],
  };
}

function widthOf(card: Element): number {
  const { paddingLeft, paddingRight } = getComputedStyle(card);
  return Math.max(100, card.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight));
}
