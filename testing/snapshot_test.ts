import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertNothingLost } from "./assertions.ts";
import { type Snapshot, snapshot } from "./snapshot.ts";
import { tempDir, waitFor } from "./wait.ts";

/**
 * A process that does to itself what a line on its standard input asks for, and a way to look at it.
 */
class Subject implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

  constructor() {
    const script = `
      const libc = Deno.dlopen("libc.so.6", { fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" } }).symbols;
      const open = [];
      const file = (name) => open.push(Deno.openSync(name, { write: true, create: true, append: true }));
      const buffer = new Uint8Array(4096);
      console.log("ready");
      for (;;) {
        const size = await Deno.stdin.read(buffer);
        if (size === null) break;
        await eval("(async () => {" + new TextDecoder().decode(buffer.subarray(0, size)) + "})")()
        console.log("done");
      }`;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.getReader();
  }

  async ready(): Promise<this> {
    await this.#output.read();
    return this;
  }

  async do(code: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(code));
    await this.#output.read();
  }

  look(generation = 0): Promise<Snapshot> {
    return snapshot({ status: () => Promise.resolve({ pid: this.#child.pid, generation }) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await Promise.allSettled([this.#input.close(), this.#output.cancel()]);
  }
}

Deno.test("assertNothingLost accepts a process to which nothing happened", async () => {
  await using subject = await new Subject().ready();
  const before = await subject.look(3);
  await subject.do(";");
  const after = await subject.look(3);
  assertNothingLost(before, after);
  assertNothingLost(before, after, { updates: 0 });
  assert(before.descriptors.length > 5, before.descriptors.join("\n"));
  assertEquals(before.inheritable.filter((each) => each === "pipe read").length, 1);
});

Deno.test("assertNothingLost lists every difference", async () => {
  await using dir = tempDir();
  const [lost, kept, found] = ["lost", "kept", "found"].map((name) => `${dir.path}/${name}`);
  await using subject = await new Subject().ready();
  await subject.do(`file("${lost}"); file("${kept}")`);
  const before = await subject.look(1);
  await subject.do(`
    open.shift().close();
    file("${found}"); file("${found}");
    const { readdirSync, readlinkSync } = await import("node:fs");
    for (const fd of readdirSync("/proc/self/fd")) {
      try { if (readlinkSync("/proc/self/fd/" + fd) === "${kept}") libc.fcntl(Number(fd), 2, 0); } catch {}
    }
    Deno.umask(0o077); Deno.chdir("${dir.path}");
    globalThis.child = new Deno.Command("sleep", { args: ["1000"], stdin: "null", stdout: "null" }).spawn();
  `);
  const after = await waitFor(async () => {
    const look = await subject.look(2);
    return look.children.some((child) => child.command === "sleep") ? look : null;
  }, { what: "the child to be executed" });
  const error: Error = assertThrows(() => assertNothingLost(before, after, { updates: 2 }), Error);
  const child = after.children[0]!;
  const lines = error.message.split("\n").filter((line) => !line.includes("gained: descriptor unix stream"));
  assertEquals(lines, [
    "The service does not hold what it held:",
    "  generation 2, not 3",
    `  lost: descriptor file ${lost} (write append)`,
    `  gained: descriptor file ${found} (write append)`,
    `  gained: descriptor file ${found} (write append)`,
    `  gained: descriptor pidfd of ${child.pid}`,
    `  inheritable now: descriptor file ${kept} (write append)`,
    `  gained: child ${child.pid} (sleep) of ${after.pid}`,
    "  changed: umask is 0077, before 0022",
    `  changed: directory is ${dir.path}, before ${before.attributes["directory"]}`,
  ]);
  await subject.do("globalThis.child.kill(); await globalThis.child.status");
});

const SAMPLE: Snapshot = {
  pid: 10,
  startTicks: 100,
  generation: 1,
  descriptors: ["eventfd", "pipe read", "runtime copy of stdout", "tcp 127.0.0.1:80 listening"],
  inheritable: ["pipe read"],
  children: [{ pid: 11, parent: 10, state: "S", command: "sleep", startTicks: 101 }],
  attributes: { parent: "1", umask: "0022", "variable A": "secret", "variable B": "b" },
};

function differences(change: Partial<Snapshot>, options?: Parameters<typeof assertNothingLost>[2]): string[] {
  try {
    assertNothingLost(SAMPLE, { ...SAMPLE, ...change }, options);
    return [];
  } catch (error) {
    return (error as Error).message.split("\n").slice(1).map((line) => line.trim());
  }
}

Deno.test("assertNothingLost counts equal descriptors", () => {
  assertEquals(differences({ descriptors: [...SAMPLE.descriptors, "eventfd", "eventfd"] }), [
    "gained: descriptor eventfd",
    "gained: descriptor eventfd",
  ]);
  assertEquals(differences({ descriptors: SAMPLE.descriptors.slice(1) }), ["lost: descriptor eventfd"]);
});

Deno.test("assertNothingLost lets the runtime's own and what is to be ignored come and go", () => {
  const descriptors = ["eventfd", "pipe read", "runtime cache x", "tcp 127.0.0.1:80 listening", "tcp a to b"];
  assertEquals(differences({ descriptors }), ["gained: descriptor tcp a to b"]);
  assertEquals(differences({ descriptors }, { ignore: (each) => / to /.test(each) }), []);
});

Deno.test("assertNothingLost knows another process, also under the same PID", () => {
  assertEquals(differences({ pid: 12 }), ["another process: PID 12, before 10"]);
  assertEquals(differences({ startTicks: 200 }), [
    "another process with the same PID 10: started at 200, before 100",
  ]);
});

Deno.test("assertNothingLost allows another process and parent after a recovery, and nothing else", () => {
  const children = [{ ...SAMPLE.children[0]!, parent: 1 }];
  const change = { pid: 12, startTicks: 200, children, attributes: { ...SAMPLE.attributes, parent: "5" } };
  assertEquals(differences(change).length, 4);
  assertEquals(differences(change, { recovered: true }), []);
  assertEquals(differences({ ...change, children: [] }, { recovered: true }), ["lost: child 11 (sleep)"]);
});

Deno.test("assertNothingLost checks the generation", () => {
  assertEquals(differences({ generation: 5 }), []);
  assertEquals(differences({ generation: 0 }), ["generation 0, not at least 1"]);
  assertEquals(differences({ generation: 1 }, { updates: 1 }), ["generation 1, not 2"]);
});

Deno.test("assertNothingLost sees a zombie", () => {
  assertEquals(differences({ children: [{ ...SAMPLE.children[0]!, state: "Z" }] }), [
    "lost: child 11 (sleep) of 10",
    "gained: child 11 (sleep), a zombie, of 10",
  ]);
});

Deno.test("assertNothingLost does not print what environment variables hold", () => {
  const attributes = { parent: "1", umask: "0022", "variable A": "hidden", "variable C": "" };
  assertEquals(differences({ attributes }), [
    "changed: variable A",
    "lost: variable B",
    "gained: variable C",
  ]);
});

Deno.test("snapshot waits for the connections to the control socket", async () => {
  await using dir = tempDir();
  const socket = `${dir.path}/control.sock`;
  using listener = Deno.listen({ transport: "unix", path: socket });
  const status = async (): Promise<{ pid: number; generation: number }> => {
    const client = await Deno.connect({ transport: "unix", path: socket });
    const server = await listener.accept();
    setTimeout(() => {
      client.close();
      server.close();
    }, 200);
    return { pid: Deno.pid, generation: 0 };
  };
  const found = await snapshot({ socket, status });
  assert(!found.descriptors.some((each) => each.includes("connected")), found.descriptors.join("\n"));
  assert(found.descriptors.includes(`unix stream ${socket} listening`));
});
