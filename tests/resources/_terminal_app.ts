/**
 * An application with a shell in a terminal, and how a test talks to it and looks at it from outside.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";

import { processInfo, waitFor } from "../../testing/mod.ts";
import { descriptorOf, fdInfoOf, type Stage } from "./_kit.ts";

/** Milliseconds that a shell may take on a busy machine. */
export const PATIENCE_MS = 30_000;

/** The terminal itself: what comes out of it is written to `tape.log`. */
export function terminalCode(command: readonly string[], name = "shell"): string {
  return `const tape = await live.file("tape", "tape.log", { append: true, create: true });
let ended = 0;
const shell = await live.terminal("${name}", {
  command: ${JSON.stringify(command)},
  env: { PS1: "$ ", PS2: "> ", ENV: "/dev/null", HISTFILE: "/dev/null" },
  columns: 100,
  rows: 30,
  data: (bytes) => tape.write(bytes),
  exit: () => void ended++,
});`;
}

/** Routes for a test to talk to the terminal. */
export const TERMINAL_ROUTES = `
  if (path === "/type") return new Response(String(shell.write(query.get("text"))));
  if (path === "/shell") {
    return Response.json({ pid: shell.pid, path: shell.path, size: shell.size, ended, fd: shell.fd });
  }
  if (path === "/resize") {
    shell.resize(Number(query.get("columns")), Number(query.get("rows")));
    return new Response("resized");
  }`;

/** What the application says of its terminal. */
export interface Shell {
  pid: number;
  path: string;
  size: { columns: number; rows: number };
  ended: number;
  fd: number;
}

/** What the application says of its terminal. */
export async function shellOf(stage: Stage): Promise<Shell> {
  return JSON.parse(await stage.ask("/shell"));
}

/** Types a text, the whole of it. */
export async function type(stage: Stage, text: string): Promise<void> {
  assertEquals(await stage.ask(`/type?text=${encodeURIComponent(text)}`), String(text.length));
}

/** Everything that has come out of the terminal. */
export async function tapeOf({ app }: Stage): Promise<string> {
  return await Deno.readTextFile(`${app.dir}/tape.log`);
}

/** Waits until something has come out of the terminal behind a place. */
export async function untilSaid(stage: Stage, wanted: string | RegExp, from = 0): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const said = (await tapeOf(stage)).slice(from);
    return typeof wanted === "string" ? said.includes(wanted) : wanted.test(said);
  };
  await waitFor(isThere, { what: `the terminal to say ${wanted}`, timeoutMs: PATIENCE_MS });
}

/** Runs a program and gives what it prints. */
export async function output(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  assert(success, `${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Session, terminal, foreground group and start of a process: fields 6, 7, 8 and 22 of its `stat`. */
export function sessionOfProcess(pid: number): string[] {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /s, "").split(" ");
  return [3, 4, 5, 19].map((index) => fields[index] ?? "");
}

/** What a terminal is to somebody else: the kernel's words, its settings and size, and the session in it. */
export async function lookFromOutside(stage: Stage, name = "shell"): Promise<unknown> {
  const { pid, path } = await shellOf(stage);
  const { description } = await descriptorOf(stage.app, name);
  return {
    description,
    info: await fdInfoOf(stage.app, name),
    settings: await output("stty", "-F", path, "-a"),
    session: sessionOfProcess(pid),
    command: processInfo(pid).command,
    pid,
    path,
  };
}
