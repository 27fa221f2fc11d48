/**
 * How an application comes by an eventfd or a timer.
 *
 * @module
 */
import { anonymousKind } from "../../handlers/anonymous.ts";
import type { OwnedFd } from "../../sys/mod.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { ResourceKind } from "../resource_name.ts";
import { take } from "../take.ts";
import { takeover } from "../takeover.ts";
import type { Counter, CounterParts } from "./counter.ts";

/** What is asked for. */
export interface CounterWish<T extends Counter> extends Pick<CounterParts, "name" | "counted" | "overdue"> {
  /** What the name stands for. */
  kind: ResourceKind;
  /** The kernel's name for such a descriptor. */
  anonymous: string;
  /** Makes the descriptor. */
  create(): OwnedFd;
  /** Looks at one that was handed over; throws when it is not what was asked for. */
  check(fd: OwnedFd): void;
  /** Makes the counter of it. */
  make(parts: CounterParts): T;
}

/**
 * Takes back what counts, or makes it. In a check it is one of the build's own, which does all that a real one does and is
 * seen by nobody.
 *
 * @param life the application
 * @param wish what is asked for
 * @throws {LuoError} `EEXIST`, `EINVAL`; what `create` and `check` throw
 */
export async function takeCounter<T extends Counter>(
  life: Pick<Lifecycle, "addPort" | "removePort" | "resources">,
  wish: CounterWish<T>,
): Promise<T> {
  const { resources } = life;
  const { name, kind, counted, overdue } = wish;
  let isNew = true;
  const standIn = (handed: boolean, model: OwnedFd | null): OwnedFd => {
    isNew = !handed;
    // What cannot be read has no model: the report says so, and the application goes on.
    if (model === null || anonymousKind(model.fd) !== wish.anonymous) return wish.create();
    wish.check(model);
    return model.dup();
  };
  const fd = await take(resources, name, kind, wish.create, standIn, (fd, handed) => {
    isNew = !handed;
    if (handed) wish.check(fd);
  });
  const counter: T = wish.make({
    name,
    fd,
    isNew,
    isOwn: isNew || takeover.check !== null,
    counted,
    overdue,
    drop() {
      resources.drop(name);
      // Who closes all of them is going through the list just now.
      queueMicrotask(() => life.removePort(counter));
    },
  });
  life.addPort(counter);
  return counter;
}
