/**
 * What becomes of a resource whose duplicate was made something else behind our back (dup2(2)).
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { heirloomRoot } from "../../testing/mod.ts";
import type { AppParts } from "../update/_fixtures.ts";
import { descriptorOf, type Running } from "./_kit.ts";

const SYS = `file://${heirloomRoot()}/sys`;

/** What a duplicate becomes, and how its link begins then. */
const LINKS = {
  eventfd: "anon_inode:\\[eventfd\\]",
  memfd: "/memfd:other",
  timerfd: "anon_inode:\\[timerfd\\]",
};

/** Imports of an application that puts something else behind the duplicate which is held of a descriptor. */
export const SWAPPING = `import { createEventfd } from "${SYS}/eventfd.ts";
import { dupOnto } from "${SYS}/fd.ts";
import { createMemfd } from "${SYS}/memfd.ts";
import { createTimerfd } from "${SYS}/timerfd.ts";
const swap = (query: URLSearchParams): Response => {
  const makers: Record<string, () => ReturnType<typeof createMemfd>> = {
    eventfd: createEventfd,
    memfd: () => createMemfd("other"),
    timerfd: () => createTimerfd("monotonic"),
  };
  using made = makers[query.get("other")!]!();
  dupOnto(made.fd, Number(query.get("onto")));
  return new Response("swapped");
};`;

/** The route for {@linkcode SWAPPING}. */
export const SWAP_ROUTE = `  if (path === "/swap") return swap(query);\n`;

/**
 * Puts something else behind the duplicate that is held of a resource. The next update is refused in the handler's words, and
 * the build goes on.
 *
 * @param service an application with {@linkcode SWAPPING} and {@linkcode SWAP_ROUTE}
 * @param name the resource
 * @param other what is put there
 * @param what the resource in words, with its article
 * @param next a build, of another label
 * @param reason what the record says
 */
export async function refusesSwapped(
  service: Running,
  name: string,
  other: keyof typeof LINKS,
  what: string,
  next: AppParts,
  reason: RegExp = new RegExp(`Cannot use fd \\d+ as ${what}: it is ${LINKS[other]}`),
): Promise<void> {
  const { app, ask } = service;
  const { fd } = await descriptorOf(app, name);
  const label = await ask("/");
  assertEquals(await ask(`/swap?other=${other}&onto=${fd}`), "swapped");
  assertMatch((await descriptorOf(app, name)).link, new RegExp(`^${LINKS[other]}`));
  await service.refuses(next, reason);
  assertEquals(await ask("/"), label);
}
