/**
 * The figures of the benchmark for people.
 *
 * @module
 */
import { columns, size, strong } from "../../service/text.ts";
import type { Spread, Summary } from "./summary.ts";

/**
 * Lays the figures out.
 *
 * @param summary the figures
 * @returns the lines
 */
export function reportLines(summary: Summary): string[] {
  const { machine, rounds, memory, files } = summary;
  return [
    strong(`What a client sees around an update: ${rounds} updates each, in turn`),
    `Deno ${machine.deno}, Linux ${machine.kernel}, ${machine.cpus} CPUs; 8 keep-alive clients every 10 ms, 100 new ` +
    `connections/s; milliseconds from when a request was due: median (min-max)`,
    "",
    ...table([
      ["", "longest wait", "over floor", "p99 within 1 s", "requests", "failed", "keep-alive closed"],
      ...summary.subjects.map((subject) => [
        subject.name,
        spreadText(subject.longest_wait_ms),
        subject.ratio_to_floor.toFixed(2),
        spreadText(subject.p99_ms),
        String(subject.requests),
        String(subject.failed),
        String(subject.keep_alive_closed),
      ]),
    ]),
    "",
    `Heirloom's phases; the pause is from the freeze until the taps were open: ${
      spreadText(summary.blackout_ms)
    }`,
    "",
    ...table([
      ["phase", "ms", "of the pause"],
      ...summary.phases.map(({ name, ms, share }) => [
        name,
        ms.toFixed(2).padStart(7),
        share === null ? "-" : `${(share * 100).toFixed(0)} %`,
      ]),
    ]),
    "",
    `Memory: ${size(memory.steady)} before, ${size(memory.peak)} at most; with children ${
      size(memory.family_peak)
    }`,
    `${files.files} files: segment of ${size(files.segment_bytes)}, pause ${files.blackout_ms.toFixed(1)} ms`,
    `The generator of the load was late by ${summary.generator_lag_ms.toFixed(1)} ms at most`,
    "",
    ...table(summary.aims.map(({ name, met, value, limit }) => [
      met ? strong("met", "green") : strong("missed", "red"),
      name,
      `${short(value)}, at most ${short(limit)}`,
    ])),
  ];
}

function table(rows: readonly (readonly string[])[]): string[] {
  return columns(rows).split("\n").map((line) => `  ${line}`);
}

function spreadText({ median, min, max }: Spread): string {
  return `${median.toFixed(1)} (${min.toFixed(1)}-${max.toFixed(1)})`;
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
