import { assertEquals } from "@std/assert";

import { waitFor } from "../testing/wait.ts";
import { moduleUrl } from "./helpers_test.ts";

/** What a child's process group has to do with a terminal: none, or one of its own. */
type Terminal = "none" | "own";

/** Makes the child the leader of a session without a terminal, or with a new one. */
const SESSION = `const libc = Deno.dlopen("libc.so.6", {
  setsid: { parameters: [], result: "i32" },
  posix_openpt: { parameters: ["i32"], result: "i32" },
  grantpt: { parameters: ["i32"], result: "i32" },
  unlockpt: { parameters: ["i32"], result: "i32" },
  ptsname: { parameters: ["i32"], result: "pointer" },
  open: { parameters: ["pointer", "i32"], result: "i32" },
}).symbols;
if (libc.setsid() < 0) throw new Error("setsid");
const takeTerminal = () => {
  const master = libc.posix_openpt(2);
  // The leader of a session without a terminal gets the first one that it opens.
  if (libc.grantpt(master) + libc.unlockpt(master) + Number(libc.open(libc.ptsname(master), 2) < 0) !== 0) {
    throw new Error("no terminal");
  }
};
`;

/** A child that runs statements, with what it says, line by line. */
class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #done: Promise<unknown>;
  #text = "";

  constructor(statements: string, terminal: Terminal) {
    const script = `import { listenForUpdates, onUpdateSignal } from "${moduleUrl("signals.ts")}";
${SESSION}${terminal === "own" ? "takeTerminal();" : ""}
${statements}
console.log("up");
setInterval(() => {}, 1000);`;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", "--no-lock", "--ext=js", script],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#done = Promise.all([this.#read(this.#process.stdout), this.#read(this.#process.stderr)]);
  }

  /** Waits until it has said something. */
  async says(text: string): Promise<void> {
    await waitFor(() => this.#text.includes(text), { what: `${text} in ${this.#text}`, timeoutMs: 30_000 });
  }

  send(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** The signal that ended it. */
  async ended(): Promise<Deno.Signal | null> {
    return (await this.#process.status).signal;
  }

  count(text: string): number {
    return this.#text.split(text).length - 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#process.status;
    await this.#done;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.#text += decoder.decode(chunk, { stream: true });
  }
}

const REACT = (hup: boolean): string => `onUpdateSignal((signal) => console.log("got", signal), ${hup});`;

Deno.test("listenForUpdates() answers SIGUSR2 with a line until somebody can update", async () => {
  await using child = new Child("listenForUpdates();", "none");
  await child.says("up");
  child.send("SIGUSR2");
  await child.says("heirloom: SIGUSR2: Cannot update: the service is starting");
});

Deno.test("onUpdateSignal() reacts to SIGUSR2, once to each, also where it was listened for before", async () => {
  await using child = new Child(`listenForUpdates();\n${REACT(false)}`, "none");
  await child.says("up");
  for (let i = 1; i <= 2; i++) {
    child.send("SIGUSR2");
    await waitFor(() => child.count("got SIGUSR2") === i, { what: `signal ${i}`, timeoutMs: 30_000 });
  }
  assertEquals(child.count("is starting"), 0);
});

Deno.test("onUpdateSignal() reacts to SIGHUP where there is no terminal", async () => {
  await using child = new Child(REACT(false), "none");
  await child.says("up");
  child.send("SIGHUP");
  await child.says("got SIGHUP");
});

Deno.test("onUpdateSignal() leaves SIGHUP to end a process with a terminal", async () => {
  await using child = new Child(REACT(false), "own");
  await child.says("up");
  child.send("SIGUSR2");
  await child.says("got SIGUSR2");
  child.send("SIGHUP");
  assertEquals(await child.ended(), "SIGHUP");
});

Deno.test("onUpdateSignal() reacts to SIGHUP with a terminal when it is told to", async () => {
  await using child = new Child(REACT(true), "own");
  await child.says("up");
  child.send("SIGHUP");
  await child.says("got SIGHUP");
});
