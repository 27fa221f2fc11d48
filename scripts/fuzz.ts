/**
 * Damages segments and journals for as long as one likes, and looks at what becomes of them.
 *
 *     deno run -A scripts/fuzz.ts [--mutations N] [--seed S] [--from INDEX] [--only segment|journal] [--json]
 *
 * Happy path: a table of what was seen (with `--json` one document), exit 0.
 *
 * Unhappy paths: the first input that is neither refused as it should be nor means exactly its bytes, or that crashes, hangs,
 * or takes too much time or memory: it is written to a file, and the exit status is 1. Flags that nobody knows: exit 2. SIGINT
 * and SIGTERM: the exit status is 128 and the signal's number.
 *
 * @module
 */
import {
  type CampaignReport,
  describeFinding,
  type Finding,
  type Group,
  MAX_MIB,
  MAX_MS,
  runCampaign,
} from "../kho/fuzz_campaign_test.ts";
import { columns, strong } from "../service/text.ts";

const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** How many inputs one process reads: what its engine learned and kept from them does not count for ever. */
const AT_ONCE = 25_000;

const HELP = `fuzz.ts [--mutations N] [--seed S] [--from INDEX] [--only segment|journal] [--json]

  --mutations N   how many inputs of each kind, 100000 if absent
  --seed S        from 0 to 4294967295, a random one if absent; seed and number decide what an input is
  --from INDEX    number of the first input, 0 if absent
  --only KIND     segment or journal
  --json          one document instead of a table`;

interface Options {
  readonly mutations: number;
  readonly seed: number;
  readonly from: number;
  readonly groups: readonly Group[];
  readonly json: boolean;
}

/** What was seen of one kind of input. */
interface Summary {
  readonly group: Group;
  inputs: number;
  seconds: number;
  slowest: CampaignReport["slowest"];
  largest: CampaignReport["largest"];
  growth_mib: number;
  readonly outcomes: Record<string, Record<string, number>>;
  finding: Finding | null;
}

/**
 * Runs the campaigns.
 *
 * @param args the flags
 * @returns the exit status
 */
export async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const options = parse(args);
  if (typeof options === "string") {
    console.error(`fuzz: ${options}\n\n${HELP}`);
    return 2;
  }
  const stop = new AbortController();
  let stopped = 0;
  for (const [name, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(name as keyof typeof SIGNALS, () => {
      stopped = 128 + number;
      stop.abort();
    });
  }
  console.error(`fuzz: seed ${options.seed}`);
  const summaries: Summary[] = [];
  try {
    for (const group of options.groups) {
      const summary = await runAll(group, options, stop.signal);
      summaries.push(summary);
      if (summary.finding !== null) break;
    }
  } catch (error) {
    if (stopped > 0) return stopped;
    console.error(`fuzz: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
  console.log(options.json ? JSON.stringify({ seed: options.seed, summaries }) : table(summaries));
  const last = summaries.at(-1);
  if (last === undefined || last.finding === null) return 0;
  const { group, finding } = last;
  console.error(`\n${await describeFinding({ group, seed: options.seed, from: 0, mutations: 1 }, finding)}`);
  return 1;
}

/** One kind of input, in as many processes as it takes. */
async function runAll(
  group: Group,
  { seed, from, mutations }: Options,
  signal: AbortSignal,
): Promise<Summary> {
  const none = { ms: 0, mib: 0, index: from };
  const all: Summary = {
    group,
    inputs: 0,
    seconds: 0,
    slowest: none,
    largest: none,
    growth_mib: 0,
    outcomes: {},
    finding: null,
  };
  for (let done = 0; done < mutations && all.finding === null; done += AT_ONCE) {
    const options = { group, seed, from: from + done, mutations: Math.min(AT_ONCE, mutations - done) };
    const report = await runCampaign(options, signal);
    all.inputs += report.inputs;
    all.seconds += report.seconds;
    if (report.slowest.ms > all.slowest.ms) all.slowest = report.slowest;
    if (report.largest.mib > all.largest.mib) all.largest = report.largest;
    all.growth_mib = Math.max(all.growth_mib, report.growth_mib);
    for (const [family, outcomes] of Object.entries(report.outcomes)) {
      const counts = all.outcomes[family] ??= {};
      for (const [outcome, count] of Object.entries(outcomes)) {
        counts[outcome] = (counts[outcome] ?? 0) + count;
      }
    }
    all.finding = report.finding;
    console.error(`fuzz: ${group}: ${all.inputs} of ${mutations}, ${all.seconds.toFixed(0)} s`);
  }
  return all;
}

function table(summaries: readonly Summary[]): string {
  return summaries.map((summary) => {
    const { group, inputs, seconds, slowest, largest, growth_mib, outcomes } = summary;
    const rows = Object.entries(outcomes).sort().map(([family, counts]) => [
      `  ${family}`,
      Object.entries(counts).sort().map(([outcome, count]) => `${outcome} ${count}`).join(", "),
    ]);
    return [
      strong(`${group}: ${inputs} damaged inputs in ${seconds.toFixed(0)} s`),
      columns([
        ...rows,
        ["  slowest", `${slowest.ms.toFixed(0)} ms, number ${slowest.index}; at most ${MAX_MS} ms`],
        ["  largest", `${largest.mib.toFixed(1)} MiB, number ${largest.index}; at most ${MAX_MIB} MiB`],
        ["  the whole run", `${growth_mib.toFixed(1)} MiB; at most ${MAX_MIB} MiB`],
      ]),
    ].join("\n");
  }).join("\n\n");
}

function parse(args: readonly string[]): Options | string {
  let groups: readonly Group[] = ["segment", "journal"];
  let json = false;
  const numbers = {
    "--mutations": 100_000,
    "--seed": crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    "--from": 0,
  };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const equals = arg.indexOf("=");
    const [name, inline] = equals < 0 ? [arg] : [arg.slice(0, equals), arg.slice(equals + 1)];
    switch (name) {
      case "--json":
        json = true;
        break;
      case "--only": {
        const group = inline ?? rest.shift();
        if (group !== "segment" && group !== "journal") {
          return "Cannot understand --only: segment or journal is needed";
        }
        groups = [group];
        break;
      }
      case "--mutations":
      case "--seed":
      case "--from": {
        const text = inline ?? rest.shift() ?? "";
        if (!/^[0-9]{1,10}$/.test(text) || Number(text) > 0xffffffff) {
          return `Cannot understand ${name}: a whole number, at most 4294967295, is needed`;
        }
        numbers[name] = Number(text);
        break;
      }
      default:
        return `Cannot understand "${arg}"`;
    }
  }
  return {
    mutations: numbers["--mutations"],
    seed: numbers["--seed"],
    from: numbers["--from"],
    groups,
    json,
  };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
