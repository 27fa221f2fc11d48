import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { makePipe } from "../sys/helpers_test.ts";
import { dupOnto } from "../sys/fd.ts";
import { openFile, type OwnedFd, read, write } from "../sys/mod.ts";
import { lookAtTerminal, openTerminal, setWindowSize, slavePath } from "../sys/terminal.ts";
import { assertCarried, carry, takerOf } from "./helpers_test.ts";
import { ptyHandler } from "./pty.ts";

const SIZE = { columns: 91, rows: 17 };

function slaveOf(master: OwnedFd): OwnedFd {
  return openFile(slavePath(master.fd), { read: true, write: true });
}

/** A terminal by its path, where there is one that may be opened. */
function terminal(path: string): OwnedFd | null {
  using undo = new DisposableStack();
  try {
    const opened = undo.use(openFile(path));
    if (lookAtTerminal(opened.fd) === null) throw new TypeError("it is no terminal");
    undo.move();
    return opened;
  } catch (error) {
    console.log(`ignored: ${path}: ${(error as Error).message}`);
    return null;
  }
}

Deno.test("ptyHandler takes both ends of a pty, and nothing that is no terminal", () => {
  using master = openTerminal(SIZE);
  using slave = slaveOf(master);
  const [reader, writer] = makePipe();
  using _writer = writer;
  using _reader = reader;
  using none = openFile("/dev/null");
  using zero = openFile("/dev/zero");
  assertEquals([master, slave].map(takerOf), ["pty-v1", "pty-v1"]);
  assertEquals([reader, none, zero].map((fd) => ptyHandler.canPreserve(fd)), [false, false, false]);
  assertEquals([none, zero].map(takerOf), [null, null]);
});

Deno.test("ptyHandler carries a master with its state, and what waits in it both ways", () => {
  using master = openTerminal(SIZE);
  using slave = slaveOf(master);
  write(slave.fd, new TextEncoder().encode("out"));
  write(master.fd, new TextEncoder().encode("in\r"));
  const { end, index, columns, rows, locked, packet, settings } = assertCarried(ptyHandler, master);
  assertEquals([end, `/dev/pts/${index}`, columns, rows, locked, packet], [
    "master",
    slavePath(master.fd),
    91,
    17,
    false,
    false,
  ]);
  assertEquals((settings as Uint8Array).byteLength, 44);
  const bytes = new Uint8Array(20);
  assertEquals(new TextDecoder().decode(bytes.subarray(0, read(slave.fd, bytes))), "in\n");
});

Deno.test("ptyHandler carries a slave, and what others change meanwhile is no other terminal", () => {
  using master = openTerminal(SIZE);
  using slave = slaveOf(master);
  const { end, index } = assertCarried(ptyHandler, slave);
  assertEquals([end, index], ["slave", null]);
  using arrived = carry(ptyHandler, slave, () => setWindowSize(master.fd, { columns: 5, rows: 5 }));
  assertEquals(typeof ptyHandler.retrieve(arrived.args), "number");
  ptyHandler.finish(arrived.args);
});

Deno.test("ptyHandler carries a slave that was hung up as what it is", () => {
  const master = openTerminal(SIZE);
  using slave = slaveOf(master);
  using meanwhile = carry(ptyHandler, slave, () => master[Symbol.dispose]());
  assertEquals(typeof ptyHandler.retrieve(meanwhile.args), "number");
  ptyHandler.finish(meanwhile.args);
  assertEquals(assertCarried(ptyHandler, slave)["device"], null);
});

for (const path of ["/dev/tty", "/dev/tty1"]) {
  const there = terminal(path);
  there?.[Symbol.dispose]();
  Deno.test({
    name: `ptyHandler carries ${path} as the terminal behind it`,
    ignore: there === null,
    fn() {
      using opened = openFile(path);
      assertCarried(ptyHandler, opened);
    },
  });
}

Deno.test("ptyHandler refuses another terminal, the other end, and what is none", () => {
  using master = openTerminal(SIZE);
  using slave = slaveOf(master);
  using other = openTerminal(SIZE);
  using others = slaveOf(other);
  using none = openFile("/dev/null");
  const swaps: [OwnedFd, OwnedFd, string][] = [
    [master, other, "it is another one"],
    [slave, others, "it was opened as another device"],
    [master, slave, "it was opened as another device"],
    [master, none, "it is none any more"],
  ];
  for (const [was, is, message] of swaps) {
    using arrived = carry(ptyHandler, was, (_, held) => dupOnto(is.fd, held.fd));
    assertHandoverError(() => ptyHandler.retrieve(arrived.args), "WRONG_DESCRIPTOR", message);
    ptyHandler.finish(arrived.args);
  }
});
