import { assertEquals } from "@std/assert";
import { listFds, sameOpenFile } from "../sys/mod.ts";
import { CLOEXEC, type Look, lookAt } from "./descriptor_look.ts";
import { runtimeDescriptors } from "./runtime_descriptors.ts";

const NONBLOCK = 0o4000;
const EPOLL = "anon_inode:[eventpoll]";
const EVENTFD = "anon_inode:[eventfd]";

function look(fd: number, link: string, changes: Partial<Look> = {}): Look {
  return { fd, link, flags: 2 | CLOEXEC, inode: `0:${link}`, info: new Map(), socket: null, ...changes };
}

function unnamed(fd: number, inode: number, flags: number): Look {
  const none = { family: "unnamed" } as const;
  const socket = { listens: false, type: 1, local: none, peer: none };
  return look(fd, `socket:[${inode}]`, { flags: 2 | CLOEXEC | flags, socket });
}

function epoll(fd: number, members: [fd: number, data: string][]): Look {
  const lines = members.map(([fd, data]) =>
    `       ${fd} events: 80002019 data:   ${data}  pos:0 ino:1 sdev:9`
  );
  return look(fd, EPOLL, { info: new Map([["tfd", lines.join("\n")]]) });
}

/** What the runtime opens before the first line of JavaScript. */
const LOOP = [
  epoll(3, [[4, "0"], [8, "1"], [20, "55e715ae9e00"]]),
  look(4, EVENTFD),
  epoll(5, [[4, "0"], [8, "1"], [20, "55e715ae9e00"]]),
  unnamed(6, 100, NONBLOCK),
  unnamed(7, 101, NONBLOCK),
  unnamed(8, 100, NONBLOCK),
];

const find = (looks: Look[], same: (a: number, b: number) => boolean = () => false): Record<string, string> =>
  Object.fromEntries(runtimeDescriptors(looks, same));

Deno.test("runtimeDescriptors() knows the event loop by what it watches, and nothing else that it watches", () => {
  assertEquals(find([...LOOP, look(20, "pipe:[9]")]), {
    3: "event loop",
    4: "event loop",
    5: "event loop",
    6: "signals of the event loop",
    7: "signals of the event loop",
    8: "signals of the event loop",
  });
});

Deno.test("runtimeDescriptors() leaves an application its own epoll sets and eventfds", () => {
  const own = [epoll(30, [[31, "0"], [32, "1"]]), look(31, EVENTFD), look(32, EVENTFD), epoll(33, [])];
  assertEquals(Object.keys(find([...LOOP, ...own])), Object.keys(find(LOOP)));
});

Deno.test("runtimeDescriptors() knows a watch of Deno.watchFs", () => {
  const watch = [epoll(30, [[31, "0"], [32, "1"]]), look(31, "anon_inode:inotify"), look(32, EVENTFD)];
  assertEquals(find(watch), { 30: "Deno.watchFs", 31: "Deno.watchFs", 32: "Deno.watchFs" });
  assertEquals(find([look(31, "anon_inode:inotify")]), {});
});

Deno.test("runtimeDescriptors() takes one blocking pair for the signal listeners, both ends of it", () => {
  const pair = [unnamed(21, 200, 0), unnamed(22, 201, 0)];
  assertEquals(find(pair), { 21: "signal listeners", 22: "signal listeners" });
  assertEquals(Object.keys(find([...pair, unnamed(23, 300, 0), unnamed(24, 301, 0)])), ["21", "22"]);
  assertEquals(find([unnamed(21, 200, 0), unnamed(22, 205, 0)]), {}, "not of one pair");
  assertEquals(find([unnamed(21, 200, NONBLOCK), unnamed(22, 201, NONBLOCK)]), {});
  const watched = epoll(30, [[21, "7"]]);
  assertEquals(find([...pair, watched]), {}, "somebody reads it in an epoll set");
});

Deno.test("runtimeDescriptors() takes one copy of a stream for each event loop, more of them for what they are", () => {
  const streams = [0, 1, 2].map((fd) => look(fd, "/dev/null", { flags: 2 }));
  const copies = [10, 11, 12].map((fd) => look(fd, "/dev/null"));
  const same = (a: number, b: number): boolean => (a === 10 || a === 11) && b === 1;
  assertEquals(find([...streams, ...copies], same), { 10: "copy of stdout" });
  const worker = [epoll(40, [[41, "0"], [42, "1"]]), look(41, EVENTFD), unnamed(42, 100, NONBLOCK)];
  const two = find([...streams, ...LOOP, ...worker, ...copies], same);
  assertEquals([two["10"], two["11"], two["12"]], ["copy of stdout", "copy of stdout", undefined]);
  const crossing = look(10, "/dev/null", { flags: 2 });
  assertEquals(find([...streams, crossing], same), {}, "an application's own, which would cross an exec");
});

Deno.test("runtimeDescriptors() knows databases by name", () => {
  const paths = {
    "/root/.cache/deno/v8_code_cache_v2-wal": true,
    "/x/dep_analysis_cache_v12": true,
    "/x/location_data/0a1b/local_storage-shm": true,
    "/x/my_v8_code_cache_v2.db": false,
    "/x/location_data/mine": false,
  };
  for (const [path, isOwn] of Object.entries(paths)) {
    assertEquals(find([look(9, path)])[9] !== undefined, isOwn, path);
  }
});

Deno.test("runtimeDescriptors() explains what a bare program of this runtime has open", async () => {
  const [look, runtime, sys] = ["./descriptor_look.ts", "./runtime_descriptors.ts", "../sys/mod.ts"]
    .map((path) => JSON.stringify(new URL(path, import.meta.url).href));
  const script = `
    const [{ lookAt }, { runtimeDescriptors }, { listFds, sameOpenFile }] =
      await Promise.all([import(${look}), import(${runtime}), import(${sys})]);
    Deno.addSignalListener("SIGUSR2", () => {});
    console.log("");
    console.error("");
    const looks = listFds().map(lookAt).filter((each) => each !== null);
    const own = runtimeDescriptors(looks, sameOpenFile);
    const rest = looks.filter(({ fd, flags }) => fd > 2 && (flags & ${CLOEXEC}) !== 0 && !own.has(fd));
    console.log(JSON.stringify([own.size, rest.map(({ fd, link }) => fd + " " + link)]));
    Deno.exit(0);`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", script],
    stdin: "null",
  }).output();
  const [size, rest] = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) || "[0]");
  assertEquals([size > 8, rest], [true, []], new TextDecoder().decode(stderr));
});

Deno.test("lookAt() gives null for what is closed, and what it is for the rest", () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const looks = listFds().map(lookAt).filter((each) => each !== null);
  const { port } = listener.addr as Deno.NetAddr;
  const found = looks.filter(({ socket }) => socket?.local !== null && "port" in (socket?.local ?? {}));
  const own = found.find(({ socket }) => socket?.local?.family === "inet" && socket.local.port === port);
  assertEquals([own?.socket?.listens, own?.socket?.peer], [true, null]);
  assertEquals(lookAt(1 << 20), null);
  assertEquals(sameOpenFile(own?.fd ?? -1, own?.fd ?? -1), true);
});
