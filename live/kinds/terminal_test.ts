import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

import { assertLuoError } from "../../luo/helpers_test.ts";
import { childPids, closeFd, isOpenFd, openFile, SysError, write } from "../../sys/mod.ts";
import { waitFor } from "../../testing/wait.ts";
import { coldSide, commit, nextSide, type Side } from "../helpers_test.ts";
import type { Carrier } from "../port.ts";
import { openTerminal } from "./open_terminal.ts";
import { type LiveTerminal, Terminal, type TerminalOptions } from "./terminal.ts";
import { findProgram } from "./terminal_program.ts";

const PATIENCE = { timeoutMs: 30_000, intervalMs: 2 };

/** Waits until a child has ended and was reaped. */
async function untilReaped(pid: number | null): Promise<void> {
  await waitFor(() => pid !== null && !childPids().includes(pid), { what: "the reaping", ...PATIENCE });
}

/** One image with its taps. */
class Image {
  readonly side: Side;
  readonly ports = new Set<Carrier>();
  readonly settling = new Set<{ settle(): void }>();
  said = "";
  ends = 0;

  constructor(side: Side = coldSide()) {
    this.side = side;
  }

  async terminal(name: string, options: TerminalOptions = {}): Promise<LiveTerminal> {
    const decoder = new TextDecoder();
    return await openTerminal(
      {
        resources: this.side.resources,
        isReady: false,
        addPort: (port) => void this.ports.add(port),
        removePort: (port) => void this.ports.delete(port),
        addSegment: (one) => void this.settling.add(one),
        removeSegment: (one) => void this.settling.delete(one),
      },
      name,
      {
        data: (bytes) => void (this.said += decoder.decode(bytes)),
        exit: () => void this.ends++,
        ...options,
      },
    );
  }

  open(): void {
    for (const port of this.ports) port.open();
  }

  async says(text: string): Promise<void> {
    await waitFor(() => this.said.includes(text), { what: `${text} in ${this.said}`, ...PATIENCE });
  }
}

function names(image: Image): string[] {
  return image.side.resources.names().map(({ name, kind }) => `${name} ${kind}`);
}

Deno.test("live.terminal reads nothing before its tap is open, and what the program has written then", async () => {
  const image = new Image();
  const shell = await image.terminal("shell", {
    command: ["sh", "-c", "echo begun; read line; echo got $line"],
  });
  assertEquals(names(image), ["shell terminal", "shell#program part"]);
  const { pid } = shell;
  assert(pid !== null && childPids().includes(pid));
  assertEquals(shell.size, { columns: 80, rows: 24 });
  assertEquals(shell.write("word\r"), 5);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assertEquals(image.said, "");
  image.open();
  await image.says("got word\r\n");
  await waitFor(() => image.ends === 1, { what: "the end", ...PATIENCE });
  await untilReaped(pid);
  assertEquals([shell.pid, image.ends], [null, 1]);
  assertEquals(shell.write("nobody"), 0);
  await shell.close();
  assertEquals([names(image), image.ports.size, shell.fd, shell.path], [[], 0, -1, "/dev/null"]);
});

Deno.test("live.terminal hangs its program up when it is closed, and reaps it", async () => {
  const image = new Image();
  const shell = await image.terminal("shell", { command: ["sleep", "1000"] });
  image.open();
  const { pid, fd } = shell;
  await shell.close();
  await shell.close();
  assertEquals(isOpenFd(fd), false);
  await untilReaped(pid);
  // The name is free again.
  const again = await image.terminal("shell");
  assertEquals(names(image), ["shell terminal"]);
  await again.close();
});

Deno.test("live.terminal without a program is for whoever opens its path", async () => {
  const image = new Image();
  const terminal = await image.terminal("plain", { columns: 7, rows: 5 });
  image.open();
  assertEquals([terminal.pid, terminal.size], [null, { columns: 7, rows: 5 }]);
  {
    using guest = openFile(terminal.path, { write: true });
    write(guest.fd, new TextEncoder().encode("from a guest"));
    await image.says("from a guest");
    assertEquals(image.ends, 0);
  }
  await waitFor(() => image.ends === 1, { what: "the end", ...PATIENCE });
  await terminal.close();
});

Deno.test("live.terminal is taken back with the program, its size and what nobody has read", async () => {
  const first = new Image();
  const shell = await first.terminal("shell", {
    command: ["sh", "-c", "while read line; do echo got $line; done"],
  });
  shell.resize(33, 44);
  const { pid, path } = shell;
  shell.write("one\r");
  const side = nextSide(first.side);
  // As an exec does.
  closeFd(shell.fd);
  const second = new Image(side);
  // Only what is new is started: this is another command.
  const taken = await second.terminal("shell", { command: ["no-such-program"], columns: 1, rows: 1 });
  assertEquals([taken.pid, taken.path, taken.size], [pid, path, { columns: 33, rows: 44 }]);
  commit(second.side);
  assertEquals(names(second), ["shell terminal", "shell#program part"]);
  second.open();
  await second.says("got one\r\n");
  taken.write("two\r");
  await second.says("got two\r\n");
  await taken.close();
  await untilReaped(pid);
});

Deno.test("live.terminal refuses what is wrong, and leaves nothing behind", async () => {
  const image = new Image();
  const before = childPids();
  await using _held = { [Symbol.asyncDispose]: async () => await held.close() };
  const held = await image.terminal("held");
  const wrong: [TerminalOptions, string, new (...args: never[]) => Error, string][] = [
    [{ command: ["no-such-program"] }, "a", SysError, 'Cannot start "no-such-program": ENOENT'],
    [{ command: ["/etc/passwd"] }, "a", SysError, "ENOENT"],
    [{ command: ["sh"], cwd: "/no/such" }, "a", SysError, "ENOENT"],
    [{ command: ["sh", "\0"] }, "a", TypeError, "NUL"],
    [{ command: [] }, "a", TypeError, "no name"],
    [{ columns: 0 }, "a", RangeError, "0 columns"],
    [{ rows: 65536 }, "a", RangeError, "65536 rows"],
  ];
  for (const [options, name, kind, message] of wrong) {
    await assertRejects(() => image.terminal(name, options), kind, message);
    assertEquals(names(image), ["held terminal"]);
  }
  const error = await image.terminal("held").catch((error) => error);
  assertLuoError(
    () => {
      throw error;
    },
    "EEXIST",
    '"held" as a terminal: it is in use',
  );
  assertThrows(() => held.resize(0, 1), RangeError);
  assertEquals([childPids(), image.ports.size], [before, 1]);
});

Deno.test("Terminal in a check can be used, and does nothing", async () => {
  const options: TerminalOptions = { columns: 12, rows: 34 };
  const terminal = new Terminal({ name: "shell", fd: null, options, program: null, drop() {} });
  assertEquals([terminal.fd, terminal.path, terminal.pid, terminal.size, terminal.write("abc")], [
    -1,
    "/dev/null",
    null,
    { columns: 12, rows: 34 },
    3,
  ]);
  terminal.resize(5, 6);
  await terminal.close();
});

Deno.test("findProgram() searches PATH as a shell does, from the directory that the program will have", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/bin`);
  await Deno.writeTextFile(`${folder}/bin/tool`, "#!/bin/sh\n", { mode: 0o755 });
  await Deno.writeTextFile(`${folder}/bin/text`, "", { mode: 0o644 });
  assertEquals(findProgram(["tool"], `/nowhere:${folder}/bin`), `${folder}/bin/tool`);
  assertEquals(findProgram(["bin/tool"], "", folder), "bin/tool");
  assertEquals(findProgram(["tool"], "bin", folder), "bin/tool");
  assertThrows(() => findProgram(["text"], `${folder}/bin`), SysError, "ENOENT");
  assertThrows(() => findProgram(["bin"], folder), SysError, "ENOENT");
  await Deno.remove(folder, { recursive: true });
});
