import { assertEquals, assertThrows } from "@std/assert";

import { openFile } from "../../sys/file.ts";
import type { OwnedFd } from "../../sys/owned_fd.ts";
import type { About } from "../http/connections.ts";
import { channelOf, type Member, Members } from "./members.ts";
import { turn } from "./helpers_test.ts";

/** A member that writes down what happens to it. */
class Noted implements Member {
  owing = false;
  readonly log: string[] = [];
  #fd: OwnedFd;
  fault: string | null = null;

  constructor(fd: OwnedFd = openFile("/dev/null")) {
    this.#fd = fd;
  }

  hold(): void {
    this.log.push("hold");
  }

  release(): void {
    this.log.push("release");
  }

  about(): About {
    this.log.push("about");
    if (this.fault !== null) throw new TypeError(this.fault);
    return { stage: "noted", input: new Uint8Array(1), output: new Uint8Array(2) };
  }

  take(): OwnedFd {
    this.log.push("take");
    return this.#fd.dup();
  }

  destroy(): void {
    this.log.push("destroy");
    this.#fd[Symbol.dispose]();
  }
}

function membersOf(restored: (member: Noted) => void = () => {}): Members<Noted> {
  return new Members({ restore: (fd) => new Noted(fd), restored });
}

Deno.test("a pause holds all members, present and to come, until the end of it", () => {
  const members = membersOf();
  const [first, second] = [new Noted(), new Noted()];
  members.add(first);
  assertEquals(members.stalledSinceNs(), null);
  members.pause();
  members.pause();
  members.add(second);
  assertEquals([members.paused, members.size, typeof members.stalledSinceNs()], [true, 2, "bigint"]);
  members.resume();
  members.resume();
  for (const { log } of [first, second]) assertEquals(log, ["hold", "release"]);
  members.delete(first);
  assertEquals([...members], [second]);
});

Deno.test("takeDescriptors() takes every member that owes nothing, and none if one cannot be written down", () => {
  const members = membersOf();
  const all = [new Noted(), new Noted(), new Noted()];
  for (const member of all) members.add(member);
  all[1]!.owing = true;
  const fds = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = fds();
  members.pause();
  assertEquals(members.preview(), [{ stage: "noted" }, { stage: "noted" }]);
  all[2]!.fault = "no saved form";
  assertThrows(() => members.takeDescriptors(), TypeError, "no saved form");
  all[2]!.fault = null;
  assertEquals(fds(), before);
  assertEquals(members.takeDescriptors(1).map(({ fd }) => fd[Symbol.dispose]()).length, 1);
  const taken = members.takeDescriptors();
  assertEquals(taken.map(({ about }) => [about?.stage, about?.output?.byteLength]), [["noted", 2], [
    "noted",
    2,
  ]]);
  assertEquals([members.owing, members.closeOwing(), all[1]!.log.at(-1)], [1, 1, "destroy"]);
  for (const { fd } of taken) fd[Symbol.dispose]();
  for (const member of all) member.destroy();
});

Deno.test("settled() waits for a pause, and for those that owe", async () => {
  const members = membersOf();
  const member = new Noted();
  members.add(member);
  member.owing = true;
  let settled = false;
  const done = members.settled().then(() => settled = true);
  await turn();
  assertEquals(settled, false);
  members.pause();
  await turn();
  assertEquals(settled, false);
  members.resume();
  member.owing = false;
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(settled, false);
  members.pause();
  await done;
  member.destroy();
});

Deno.test("what was handed over is there before the tap opens, and goes on when it does", () => {
  const seen: string[][] = [];
  const members = membersOf((member) => seen.push([...member.log]));
  const handed = [1, 2].map(() => ({ fd: openFile("/dev/null"), about: null }));
  const channel = channelOf("feed", members, handed);
  assertEquals([members.size, seen, channel.name], [2, [[], []], "feed"]);
  assertEquals([...members].map(({ log }) => log), [[], []]);
  channel.open();
  assertEquals([...members].map(({ log }) => log), [["release"], ["release"]]);
  assertEquals(handed.map(({ fd }) => fd.disposed), [false, false], "they are the members' now");
  for (const member of members) member.destroy();
});

Deno.test("a member that comes when the taps are open goes on at once", () => {
  const members = membersOf();
  members.adopt(openFile("/dev/null"));
  assertEquals([...members].map(({ log }) => log), [["release"]]);
  [...members][0]?.destroy();
});

Deno.test("one that cannot be restored leaves no descriptor behind", () => {
  let count = 0;
  const members = membersOf(() => {
    if (++count === 2) throw new Error("not this one");
  });
  const handed = [1, 2, 3].map(() => ({ fd: openFile("/dev/null"), about: null }));
  assertThrows(() => channelOf("feed", members, handed), Error, "not this one");
  assertEquals(handed.map(({ fd }) => fd.disposed), [false, true, true]);
  for (const member of members) member.destroy();
});
