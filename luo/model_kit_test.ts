/**
 * What sessions, files and FLBs answer, as a small model of its own: written from the reference, with nothing of `luo/` in
 * it.
 *
 * Happy path: {@linkcode Model.apply} says what an operation answers and which callbacks it makes; {@linkcode Model.view}
 * says what can be seen afterwards, {@linkcode Model.descriptors} how many descriptors are open.
 *
 * Unhappy path: an operation on something that was never there answers `none`: nobody tries it.
 *
 * @module
 */
import { type FileModel, Files, type SessionModel } from "./model_files_test.ts";
import { codeOfRefusal, fail, type Op } from "./model_op_test.ts";

/** What one image hands to the next. */
interface Handover {
  readonly sessions: readonly SessionModel[];
  readonly flbs: readonly [flb: string, count: number][];
  readonly number: bigint;
}

/** Both worlds of one process, through all its images. */
export class Model {
  readonly #files = new Files();
  readonly #handles = new Map<string, SessionModel>();
  readonly #created = new Map<string, SessionModel>();
  readonly #handed = new Map<string, SessionModel>();
  #device: "none" | "open" | "closed" = "none";
  #frozen = false;
  #record: Handover | null = null;
  #committed = true;
  #number = 0n;

  /** What an operation answers: `ok` with what it gave, or the name of an errno; and what it calls. */
  apply(op: Op): { answer: string; calls: string[] } {
    this.#files.fault = op.fault;
    this.#files.starved = op.starved ?? false;
    let answer: string;
    try {
      answer = this.#do(op) ?? "ok";
    } catch (error) {
      answer = codeOfRefusal(error);
    }
    return { answer, calls: this.#files.calls.splice(0) };
  }

  /** Everything that can be seen from outside. */
  view(): string[] {
    const record = this.#describe();
    const read = this.#device === "none" ? [] : [...this.#handed.values()];
    const seen = [...this.#created.values(), ...read].map((session) => {
      const { incoming, name, files, finished, issued } = session;
      const arrived = finished ? "finished" : issued ? "retrieved" : "pending";
      const state = incoming ? arrived : this.#frozen ? "frozen" : "preserving";
      const shown = files.map(({ token, handler, status }) => {
        const known = status.startsWith("E") ? `failed ${status}` : status;
        return ` ${token}:${handler}:${known === "preserved" && this.#frozen ? "frozen" : known}`;
      });
      return `${incoming ? "in" : "out"} ${name} ${state}${shown.join("")}`;
    });
    const next = record.sessions.map(({ name, files }) => `${name}[${files.map(({ token }) => token)}]`);
    const flbs = record.flbs.map(([flb, count]) => `${flb}*${count}`);
    return [...seen, `next ${record.number}: ${[...next, ...flbs].join(" ")}`];
  }

  /** How many descriptors LUO and the handover hold: none is leaked, none is closed too early. */
  descriptors(): number {
    const [incoming, outgoing] = [this.#handed, this.#created].map((world) =>
      [...world.values()].flatMap(({ files }) => files)
    ) as [FileModel[], FileModel[]];
    const sessions = [...this.#created.values(), ...this.#handed.values()].filter(({ issued }) => issued);
    const crossed = this.#record?.sessions.flatMap(({ files }) => files) ?? [];
    const handover = this.#committed ? incoming.length : crossed.length + 1;
    // The handler `open` makes a descriptor of its own; the other one lends what the handover holds.
    const made = incoming.filter(({ handler, status }) => handler === "open" && status === "retrieved");
    return Number(this.#device === "open") + sessions.length + outgoing.length + handover + made.length;
  }

  /** What stays for ever: FLBs whose references crossed, which nobody can give back. */
  alive(): string[] {
    return this.#files.flbs.alive();
  }

  /** What ends everything that is left. */
  rest(): Op[] {
    const names = new Set([...this.#created.keys(), ...this.#handed.keys()]);
    const sessions = [...names].flatMap((name): Op[] => [
      { op: "close", session: `out ${name}` },
      { op: "take", name },
      { op: "close", session: `in ${name}` },
    ]);
    const handlers = this.#files.handlers.map((handler): Op => ({ op: "unregister", handler }));
    return [
      { op: "thaw" },
      { op: "commit" },
      { op: "open" },
      ...sessions,
      ...this.#files.flbs.rest(),
      ...handlers,
      { op: "shut" },
    ];
  }

  #do(op: Op): string | void {
    const files = this.#files;
    switch (op.op) {
      case "open":
        if (this.#device === "open") fail("EBUSY");
        this.#device = "open";
        return `ok ${this.#number}`;
      case "shut":
        return void (this.#device = this.#device === "none" ? "none" : "closed");
      case "create":
        return this.#create(op.name);
      case "take":
        return this.#take(op.name);
      case "preserve":
        return files.preserve(this.#session(op.session, false), op.fd, op.token);
      case "unpreserve":
        return files.unpreserve(this.#session(op.session, false), op.token);
      case "retrieve":
        return this.#retrieve(this.#session(op.session, true), op.token);
      case "finish":
        return files.finish(this.#session(op.session, true)) ? undefined : fail("EBUSY");
      case "close":
        return this.#close(op.session);
      case "freeze":
        return this.#freeze();
      case "thaw":
        if (this.#frozen) files.unfreeze([...this.#created.values()]);
        return void (this.#frozen = false);
      case "update":
        this.#freeze();
        return this.#boot(this.#describe(), 0n);
      case "back":
        return this.#committed ? fail("none") : this.#boot(this.#record as Handover, 1n);
      case "commit":
        return void (this.#committed = true);
      case "register":
      case "unregister":
        return this.#device === "none" ? fail("none") : this.#register(op.op, op.handler);
      default:
        return this.#device === "none" ? fail("none") : files.flbs.apply(op, files.handlers);
    }
  }

  #create(name: string): void {
    this.#checkDevice();
    if (name.length < 1 || name.length > 63 || name.includes("\0")) fail("EINVAL");
    if (this.#frozen) fail("EBUSY");
    if (this.#created.has(name)) fail("EEXIST");
    const session = { name, incoming: false, files: [], issued: true, finished: false, closed: false };
    this.#created.set(name, session);
    this.#handles.set(`out ${name}`, session);
  }

  #take(name: string): void {
    this.#checkDevice();
    if (this.#frozen) fail("EBUSY");
    const session = this.#handed.get(name) ?? fail("ENOENT");
    if (session.issued) fail("EINVAL");
    session.issued = true;
    this.#handles.set(`in ${name}`, session);
  }

  #retrieve(session: SessionModel, token: bigint): string {
    this.#files.takeDescriptor();
    return this.#files.retrieve(session, token);
  }

  #close(handle: string): void {
    const session = this.#handles.get(handle) ?? fail("none");
    if (session.closed || !session.issued) return;
    if (this.#frozen) fail("EBUSY");
    if (session.incoming && !this.#files.finish(session)) return void (session.issued = false);
    for (const { token } of session.files.toReversed()) this.#files.unpreserve(session, token);
    session.closed = true;
    (session.incoming ? this.#handed : this.#created).delete(session.name);
  }

  #freeze(): void {
    if (this.#frozen) fail("EBUSY");
    this.#files.freeze([...this.#created.values()]);
    this.#frozen = true;
  }

  #describe(): Handover {
    const sessions = [...this.#created.values()];
    return { sessions, flbs: this.#files.flbs.crossing(), number: this.#number + 1n };
  }

  /** The next image, or the previous one again: nothing is there but what was handed over. */
  #boot({ sessions, flbs, number }: Handover, back: bigint): void {
    const record = sessions.map(({ name, files }): SessionModel => ({
      ...{ name, incoming: true, issued: false, finished: false, closed: false },
      files: files.map((file) => ({ ...file, id: null, status: "pending" })),
    }));
    for (const gone of [this.#handles, this.#created, this.#handed]) gone.clear();
    for (const session of structuredClone(record)) this.#handed.set(session.name, session);
    this.#files.boot(flbs);
    this.#record = { sessions: record, flbs, number };
    [this.#device, this.#frozen, this.#committed, this.#number] = ["none", false, false, number - back];
  }

  #register(op: "register" | "unregister", handler: string): void {
    const sessions = [...this.#created.values(), ...this.#handed.values()];
    const busy = sessions.some(({ files }) => files.some((file) => file.handler === handler));
    if (op === "register") this.#files.register(handler);
    else this.#files.unregister(handler, busy);
  }

  #checkDevice(): void {
    if (this.#device !== "open") fail(this.#device === "none" ? "none" : "EBADF");
    this.#files.takeDescriptor();
  }

  #session(handle: string, incoming: boolean): SessionModel {
    const session = this.#handles.get(handle) ?? fail("none");
    if (session.closed || !session.issued) fail("EBADF");
    if (this.#frozen) fail("EBUSY");
    return session.incoming === incoming ? session : fail("EINVAL");
  }
}
