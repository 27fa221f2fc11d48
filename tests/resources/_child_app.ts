/**
 * What the tests of children share: an application whose children write down everything that is told of them, and the look
 * at processes from outside.
 *
 * @module
 */
import { type AppParts, READY_IN_CHECK } from "../update/_fixtures.ts";
import { descriptors, type TestApp, waitFor } from "../../testing/mod.ts";
import { textOf } from "./_kit.ts";

/** Something that a build was told of a child. */
export interface Told {
  /** The build. */
  build: string;
  /** The child. */
  name: string;
  /** What it wrote on its standard output. */
  out?: string;
  /** How it ended: success, code, signal. */
  end?: [boolean, number | null, string | null];
}

/** Ends with 7 when there is something to read in a FIFO of that name; says so before. */
export const WAITS = (fifo: string): string => `echo begins; read line <${fifo}; echo "got $line"; exit 7`;

/** How a build is made. */
export interface ChildAppOptions {
  /** Tells builds apart. */
  label: string;
  /** The children: a command of the shell each, or null for one that is kept without being taken. */
  children: Readonly<Record<string, string | null>>;
  /** More statements after the children are there. */
  more?: string;
  /** What happens instead of `ready()`. */
  ready?: string;
  /** Waits with that until there is a file `go`; a file `holds` says that it waits. */
  holds?: boolean;
  /** The statements of {@linkcode AppParts}. */
  routes?: string;
}

/** A build. It has a route `/children`, which gives a JSON of what it has, by name. */
export function childApp(options: ChildAppOptions): AppParts {
  const { label, children, more = "", ready = "await live.ready();", holds = false, routes = "" } = options;
  const spawned = Object.entries(children).map(([name, command]) =>
    command === null ? `live.keep("${name}");` : `await start("${name}", ${JSON.stringify(command)});`
  );
  const hold = holds
    ? `if (!live.checking) {
  Deno.writeTextFileSync("holds", "");
  const there = () => { try { return Deno.statSync("go").isFile; } catch { return false; } };
  while (!there()) await new Promise((resolve) => setTimeout(resolve, 5));
}`
    : "";
  return {
    label,
    use: `
const tell = (told: object) =>
  Deno.writeTextFileSync("told", JSON.stringify({ build: "${label}", ...told }) + "\\n", { append: true });
const children = new Map<string, Awaited<ReturnType<typeof live.spawn>>>();
const start = async (name: string, command: string, options: object = {}) => {
  const child = await live.spawn(name, {
    command: ["sh", "-c", command],
    stdout: (bytes) => tell({ name, out: new TextDecoder().decode(bytes) }),
    exit: ({ success, code, signal }) => tell({ name, end: [success, code, signal] }),
    ...options,
  });
  children.set(name, child);
  return child;
};
${spawned.join("\n")}
${more}
${hold}`,
    routes: `
if (path === "/children") {
  return Response.json(Object.fromEntries([...children].map(([name, { pid, isNew, running, status }]) =>
    [name, { pid, isNew, running, status }])));
}
${routes}`,
    ready: ready.startsWith("await live.ready") ? ready : `${READY_IN_CHECK}${ready}`,
  };
}

/** What a build says of its children. */
export type Children = Record<
  string,
  { pid: number; isNew: boolean; running: boolean; status: { code: number | null } | null }
>;

/** Everything that was told so far. */
export function told(dir: string): Told[] {
  const text = textOf(`${dir}/told`);
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** All output of a child, and its ends with the builds that were told of them. */
export function toldOf(dir: string, name: string): { out: string; ends: [string, ...unknown[]][] } {
  const all = told(dir).filter((event) => event.name === name);
  const out = all.map(({ out = "" }) => out).join("");
  const ends = all.flatMap(({ build, end }): [string, ...unknown[]][] =>
    end === undefined ? [] : [[build, ...end]]
  );
  return { out, ends };
}

/** Waits until ends of so many children were told. */
export async function untilEnded(dir: string, count: number): Promise<void> {
  await waitFor(() => told(dir).filter(({ end }) => end !== undefined).length >= count, {
    what: `the end of ${count} children, told is ${JSON.stringify(told(dir))}`,
  });
}

/** Does a file exist? */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The state of a process in one letter, as `ps` has it; null when it is gone. */
export function stateOf(pid: number): string | null {
  const text = textOf(`/proc/${pid}/stat`);
  return text === "" ? null : text.slice(text.lastIndexOf(")") + 2)[0] ?? null;
}

/** Waits until a process is not there any more, not even as a zombie. */
export async function untilGone(pid: number): Promise<void> {
  await waitFor(() => stateOf(pid) === null, { what: `process ${pid} to be reaped`, timeoutMs: 30_000 });
}

/** The parent of a process; null when it is gone. */
export function parentOf(pid: number): number | null {
  const text = textOf(`/proc/${pid}/stat`);
  return text === "" ? null : Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
}

/** The children of a process, zombies among them. */
export function childrenOf(pid: number): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name))
    .filter((candidate) => candidate > 0 && parentOf(candidate) === pid);
}

/** How many processes and pipes an application holds. */
export function holdings(app: TestApp): { pidfds: number; pipes: number } {
  const all = descriptors(app.pid).map(({ description }) => description);
  return {
    pidfds: all.filter((text) => text.includes("pidfd")).length,
    pipes: all.filter((text) => text.startsWith("pipe")).length,
  };
}
