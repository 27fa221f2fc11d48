/**
 * Looks at the access log of the service: it is one file, appended to by every build in turn, and each request that was
 * answered has one line in it.
 *
 * Happy path: {@linkcode readAccessLog} counts.
 *
 * Unhappy path: lines that do not parse are counted too; a file that cannot be read is the system's error.
 *
 * @module
 */

/** What is in an access log. */
export interface AccessLogFacts {
  /** All lines. */
  readonly lines: number;
  /** The lines that are no record of a request. */
  readonly broken: number;
  /** The lines of requests for the path that was asked for. */
  readonly matching: number;
  /** How many requests each generation answered, by its number. */
  readonly byGeneration: readonly number[];
  /** Did a generation write after a later one had? */
  readonly outOfOrder: boolean;
}

/**
 * Reads an access log.
 *
 * @param path the file
 * @param wanted the requests to count on their own, as `METHOD PATH`
 */
export async function readAccessLog(path: string, wanted: string): Promise<AccessLogFacts> {
  return factsOf(await Deno.readTextFile(path), wanted);
}

/**
 * Counts the lines of an access log.
 *
 * @param text the log
 * @param wanted the requests to count on their own, as `METHOD PATH`
 */
export function factsOf(text: string, wanted: string): AccessLogFacts {
  const lines = text.split("\n");
  // A whole log ends with a newline; what stands behind the last one is half a line.
  if (lines.at(-1) === "") lines.pop();
  const byGeneration: number[] = [];
  let broken = 0;
  let matching = 0;
  let outOfOrder = false;
  for (const line of lines) {
    const record = parseLine(line);
    if (record === null) {
      broken++;
      continue;
    }
    if (`${record.method} ${record.path}` === wanted) matching++;
    while (byGeneration.length <= record.generation) byGeneration.push(0);
    byGeneration[record.generation]! += 1;
    outOfOrder ||= record.generation < byGeneration.length - 1;
  }
  return { lines: lines.length, broken, matching, byGeneration, outOfOrder };
}

interface LogLine {
  readonly generation: number;
  readonly method: string;
  readonly path: string;
}

function parseLine(line: string): LogLine | null {
  try {
    const record = JSON.parse(line) as Partial<LogLine> | null;
    const { generation, method, path } = record ?? {};
    if (typeof generation !== "number" || !Number.isSafeInteger(generation) || generation < 0) return null;
    if (typeof method !== "string" || typeof path !== "string") return null;
    return { generation, method, path };
  } catch {
    return null;
  }
}
