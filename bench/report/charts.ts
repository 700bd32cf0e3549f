/**
 * The charts as Vega-Lite specifications.
 *
 * @module
 */

import type { TopLevelSpec } from "vega-lite";
import type { FloorBar, PeerBar, PeerChart } from "./data.ts";
import { COLOURS, CONFIG } from "./theme.ts";

const BAR = 13;
const PADDING = 16;

/** Grouped bars: how much of its floor the library reaches. */
export function floorChart(bars: readonly FloorBar[], subtitle: readonly string[]): TopLevelSpec {
  const groups = [...new Set(bars.map(({ workload }) => workload))];
  const runtimes = COLOURS.domain.filter((name) => bars.some(({ runtime }) => runtime === name));
  const color = {
    domain: runtimes,
    range: runtimes.map((name) => COLOURS.range[COLOURS.domain.indexOf(name)]),
  };
  const y = { field: "workload", type: "nominal", sort: groups, title: null, scale: { paddingInner: 0.3 } };
  const yOffset = { field: "runtime", type: "nominal", sort: runtimes, scale: { paddingInner: 0.12 } };
  const x = { field: "ratio", type: "quantitative" };
  return specification({
    title: { text: "Veltix beside the bare floor of the same runtime", subtitle, fontSize: 16, offset: 14 },
    width: 520,
    height: groups.length * (runtimes.length * BAR + 16),
    data: { values: bars },
    layer: [
      {
        mark: { type: "bar", cornerRadiusEnd: 2 },
        encoding: {
          y,
          yOffset,
          x: { ...x, title: "times as good as hand-written framing: 1 is the floor itself", axis: { tickCount: 6 } },
          color: {
            field: "runtime",
            type: "nominal",
            scale: color,
            legend: { title: null, orient: "top", direction: "horizontal" },
          },
        },
      },
      {
        mark: { type: "text", align: "left", baseline: "middle", dx: 4 },
        encoding: { y, yOffset, x, text: { field: "label" } },
      },
      { mark: { type: "rule", strokeDash: [4, 3] }, encoding: { x: { datum: 1 } } },
    ],
  });
}

/** A chart of bars for each figure, two beside each other; the axis is logarithmic. */
export function peersChart(charts: readonly PeerChart[], subtitle: readonly string[]): TopLevelSpec {
  return specification({
    title: { text: "Veltix beside others, logarithmic scale", subtitle, fontSize: 16, offset: 18 },
    columns: 2,
    spacing: { row: 34, column: 32 },
    concat: charts.map(onePeerChart),
    resolve: { scale: { x: "independent", y: "independent" } },
  });
}

function onePeerChart({ title, subtitle, bars }: PeerChart): object {
  const values = bars.map(({ value }) => value);
  // A logarithmic axis has no zero: it begins at the power of ten below the least, with room for its bar.
  const low = 10 ** Math.floor(Math.log10(Math.min(...values) / 1.5));
  const y = { field: "subject", type: "nominal", sort: bars.map(({ subject }: PeerBar) => subject), title: null };
  const scale = { type: "log", domain: [low, Math.max(...values)], nice: false };
  const x = { field: "value", type: "quantitative", scale, axis: null };
  return {
    title: { text: title, subtitle },
    width: 260,
    height: bars.length * (BAR + 5),
    data: { values: bars },
    layer: [
      {
        mark: { type: "bar", cornerRadiusEnd: 2 },
        encoding: {
          y,
          x,
          x2: { datum: low },
          color: { field: "kind", type: "nominal", scale: COLOURS, legend: null },
        },
      },
      {
        mark: { type: "text", align: "left", baseline: "middle", dx: 4 },
        encoding: { y, x, text: { field: "label" } },
      },
    ],
  };
}

function specification(parts: object): TopLevelSpec {
  return { padding: PADDING, config: CONFIG, ...parts } as unknown as TopLevelSpec;
}
