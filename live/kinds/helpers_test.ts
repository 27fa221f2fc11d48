/**
 * What the tests of this folder share: an application whose taps a test opens and closes. It has no tests itself; the name
 * keeps it out of the published package.
 *
 * @module
 */
import type { Carrier } from "../port.ts";
import { commit, nextSide, type Side } from "../helpers_test.ts";

/** An application, as a resource sees it. */
export class FakeLife {
  readonly side: Side;
  readonly ports: Carrier[] = [];
  #isOpen = false;

  /** @param side one image */
  constructor(side: Side) {
    this.side = side;
  }

  get resources(): Side["resources"] {
    return this.side.resources;
  }

  addPort(port: Carrier): void {
    this.ports.push(port);
    if (this.#isOpen) port.open();
  }

  removePort(port: Carrier): void {
    this.ports.splice(this.ports.indexOf(port), 1);
  }

  /** The application is ready; in a new build that is the commit. */
  ready(): void {
    this.#isOpen = true;
    if (this.side.incoming !== null) commit(this.side);
    this.open();
  }

  /** The taps open, as they do before the commit where an update has a time for it. */
  open(): void {
    for (const port of this.ports) port.open();
  }

  /** An update lets everything stand still. */
  pause(): void {
    for (const { connections } of this.ports) connections.pause();
  }

  /** The update was refused. */
  resume(): void {
    for (const { connections } of this.ports) connections.resume();
  }

  /** The next image; this one is gone. */
  next(): FakeLife {
    this.pause();
    return new FakeLife(nextSide(this.side));
  }

  /** Ends what the taps hold. */
  async end(): Promise<void> {
    await Promise.all([...this.ports].map((port) => port.close()));
  }
}

/** Some turns of the event loop, in which something could happen that should not. */
export function turns(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 30));
}
