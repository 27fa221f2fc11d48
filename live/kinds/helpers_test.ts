/**
 * What the tests of this folder share: an application whose taps a test opens and closes. It has no tests itself; the name
 * keeps it out of the published package.
 *
 * @module
 */
import { Carriers } from "../carriers.ts";
import { coldSide, commit, nextSide, type Side } from "../helpers_test.ts";
import type { Carrier } from "../port.ts";
import type { Settling } from "../segment.ts";

/** An application, as a resource sees it. */
export class FakeLife {
  readonly side: Side;
  readonly carriers = new Carriers();
  readonly settling: Settling[] = [];
  readonly state = "serving";
  #isReady = false;

  /** @param side one image */
  constructor(side: Side = coldSide()) {
    this.side = side;
  }

  get resources(): Side["resources"] {
    return this.side.resources;
  }

  get ports(): readonly Carrier[] {
    return this.carriers.all;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** The names of everything that it has, with their kinds. */
  get names(): string[] {
    return this.resources.names().map(({ name, kind }) => `${name} ${kind}`);
  }

  addPort(port: Carrier): void {
    this.carriers.add(port);
  }

  removePort(port: Carrier): void {
    this.carriers.remove(port);
  }

  addSegment(segment: Settling): void {
    this.settling.push(segment);
  }

  removeSegment(segment: Settling): void {
    const at = this.settling.indexOf(segment);
    if (at >= 0) this.settling.splice(at, 1);
  }

  /** The application is ready; in a new build that is the commit. */
  ready(): void {
    this.#isReady = true;
    if (this.side.incoming !== null) commit(this.side);
    this.open();
    this.settle();
  }

  /** The taps open, as they do before the commit where an update has a time for it. */
  open(): void {
    this.carriers.open();
  }

  /** What waits for the commit is done. */
  settle(): void {
    for (const one of this.settling) one.settle();
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
