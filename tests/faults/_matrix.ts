/**
 * The matrix: all rows or some, one after another, on as few services as they permit.
 *
 * Happy path: {@linkcode runMatrix} gives one result for each row, as soon as it is there.
 *
 * Unhappy path: a row that fails has its reason in the result, with the end of what the service wrote; the next row gets a
 * new service.
 *
 * @module
 */
import { stripVTControlCharacters } from "node:util";
import { play } from "./_stage.ts";
import { Service } from "./_service.ts";
import { AVAILABLE, type Row, type Verdict } from "./_types.ts";

/** Lines of a service's standard error that a failure shows. */
const SHOWN_LINES = 12;

/** What a row came to. */
export interface RowResult {
  /** What the rows of a group have in common. */
  readonly group: string;
  /** What goes wrong. */
  readonly name: string;
  /** When. */
  readonly phase: string;
  /** How the update may end. */
  readonly expected: readonly Verdict[];
  /** Did everything hold? Null for a row that was skipped. */
  readonly ok: boolean | null;
  /** How the update ended, where the row came so far. */
  readonly outcome: Verdict | null;
  /** Why. */
  readonly reason: string | null;
  /** Requests that failed, all of them allowed. */
  readonly failed: number;
  /** How long the row took, a start of the service included, in milliseconds. */
  readonly ms: number;
  /** What did not hold, or why the row was skipped. */
  readonly problem: string | null;
}

/**
 * Plays rows.
 *
 * @param rows the rows, in an order in which neighbours can share a service
 */
export async function* runMatrix(rows: readonly Row[]): AsyncGenerator<RowResult, void, void> {
  let service: Service | null = null;
  let key = "";
  try {
    for (const row of rows) {
      const skipped = await skipReason(row);
      if (skipped !== null) {
        yield result(row, { ok: null, problem: skipped });
        continue;
      }
      const began = performance.now();
      const wanted = JSON.stringify(row.service ?? {});
      if (service !== null && (key !== wanted || (row.ends !== undefined && service.recovered))) {
        await service[Symbol.asyncDispose]();
        service = null;
      }
      key = wanted;
      const took = (): { ms: number } => ({ ms: performance.now() - began });
      try {
        service ??= await Service.start(row.service);
        const played = await play(service, row);
        yield result(row, { ok: true, ...played, ...took() });
        if (row.ends === undefined) continue;
      } catch (error) {
        const message = stripVTControlCharacters(error instanceof Error ? error.message : String(error));
        yield result(row, { ok: false, problem: message + lastLines(service), ...took() });
      }
      await service?.[Symbol.asyncDispose]();
      service = null;
    }
  } finally {
    await service?.[Symbol.asyncDispose]();
  }
}

/** Rows whose group, name or phase has a text in it. */
export function selectRows(rows: readonly Row[], part: string): Row[] {
  const wanted = part.toLowerCase();
  return rows.filter(({ group, name, phase }) =>
    `${group}: ${name}, ${phase}`.toLowerCase().includes(wanted)
  );
}

async function skipReason(row: Row): Promise<string | null> {
  const missing = (row.needs ?? []).filter((need) => !AVAILABLE.has(need));
  if (missing.length > 0) return `needs: ${missing.join(", ")}`;
  return await row.possible?.() ?? null;
}

function result(row: Row, facts: Partial<RowResult>): RowResult {
  const { group, name, phase, expect: expected } = row;
  return {
    group,
    name,
    phase,
    expected,
    ok: null,
    outcome: null,
    reason: null,
    failed: 0,
    ms: 0,
    problem: null,
    ...facts,
  };
}

function lastLines(service: Service | null): string {
  const lines = service?.app.output().stderr.trimEnd().split("\n").slice(-SHOWN_LINES) ?? [];
  return lines.map((line) => `\n      | ${line}`).join("");
}
