import { assert, assertEquals } from "@std/assert";
import { call, lastErrno, libc } from "./symbols.ts";

Deno.test("call finds each function of the table in the C library", () => {
  for (const name of Object.keys(libc) as (keyof typeof libc)[]) {
    assertEquals(typeof call[name], "function", name);
  }
});

Deno.test("call opens a function once", () => {
  assert(call.fcntl === call.fcntl);
});

Deno.test("call answers the same before and after a function is found to be hot", () => {
  const first = call.getppid;
  const answers = new Set<number>();
  for (let i = 0; i < 1000; i++) answers.add(call.getppid());
  answers.add(first());
  assertEquals([...answers], [Deno.ppid]);
  assert(call.getppid !== first);
});

Deno.test("lastErrno() tells why the last call failed, however often it is made", () => {
  for (let i = 0; i < 20_000; i++) {
    assertEquals(call.close(0x7ffffff0), -1);
    assertEquals(lastErrno(), 9);
    assertEquals(call.lseek(0x7ffffff0, 0n, 99), -1n);
    assertEquals(lastErrno(), 9);
  }
});

Deno.test("lastErrno() is right when the first call of a process fails", async () => {
  const script = `
    import { call, lastErrno } from ${JSON.stringify(import.meta.resolve("./symbols.ts"))};
    const answer = call.chdir(new TextEncoder().encode("/does/not/exist\\0"));
    console.log(answer, lastErrno());
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", "--ext=ts", script] }).output();
  assertEquals(new TextDecoder().decode(stdout), "-1 2\n");
});

Deno.test("lastErrno() belongs to its thread", async () => {
  const source = `
    import { call, lastErrno } from ${JSON.stringify(import.meta.resolve("./symbols.ts"))};
    postMessage([call.close(0x7ffffff0), lastErrno()]);
  `;
  assertEquals(call.chdir(new TextEncoder().encode("/does/not/exist\0")), -1);
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: "module" });
  try {
    const answer = await new Promise((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    assertEquals(answer, [-1, 9]);
  } finally {
    worker.terminate();
  }
});
