/**
 * Text for people: columns, times, sizes. Colours only where the stream is a terminal and `NO_COLOR` is not set.
 *
 * @module
 */
import { styleText } from "node:util";

/**
 * Lays rows out in columns.
 *
 * @param rows the cells; the first row is the heading
 * @returns lines without trailing blanks, separated by newlines
 */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => widths[at] = Math.max(widths[at] ?? 0, cell.length));
  return rows.map((row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd()).join(
    "\n",
  );
}

/** Milliseconds, readable. */
export function duration(ms: number | null): string {
  if (ms === null) return "-";
  if (ms < 1000) return `${ms.toFixed(1)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Bytes, readable. */
export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Text that stands out, where that is wanted. */
export function strong(text: string, colour: "green" | "red" | "bold" = "bold"): string {
  if (Deno.noColor || !Deno.stdout.isTerminal()) return text;
  return styleText(colour, text, { validateStream: false });
}
